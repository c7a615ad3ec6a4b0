"""The one tree of errors.

HilumError
  InputError              the caller's file or request: exit 1 (HTTP 4xx)
    UnreadableImage       its header lacks or contradicts what decoding needs; or why, by a class below
      FileUnreadable      not there, not allowed to be read, or no regular file (a pipe, a device, a folder)
      FileTooLarge        more bytes than we agree to read
      ImageTooLarge       more pixels, or more bytes once inflated, than we agree to decode
      DamagedImage        cut short, or decodes with errors
      HostileFile         made to do harm: a program hidden in it, a text that inflates without end
      SeveralFrames       more than one picture
      NoPixels            a file of ours without a picture
      UnsupportedFormat   another kind of file
        UnsupportedCoding a whole file of ours, coded in a way that is not decoded here
    UnsuitableImage       readable, but outside the input contract (size, aspect)
    FilmRefused           readable, but the input gate says that it is no film to be scored
    EmptyDataset          a data folder or table without usable films
    DatasetError          a data folder or table that contradicts itself
  ConfigError             a setting or an option: exit 2
  CheckpointError         a checkpoint or bundle that does not fit: refuse to use it
  WeightsUnavailable      pretrained weights that cannot be had here
  RunFolderBusy           another process writes to the same run folder
  TrainingDiverged        the loss is no longer a number
  EngineOverloaded        more films wait than may wait (HTTP 503)
  EngineFailed            the network raised or gave something that is no number
  DecoderFailed           the process that decodes died over a film, twice
    DecoderLate           it took too long: the film is hostile, or the machine too busy
  JournalUnavailable      the journal cannot be written or read: nothing may be answered (HTTP 503)
  RetentionRefused        more records are due at once than a right clock explains
  VaultRefused            a case store's key is missing or wrong, or a case was altered

A message names the thing, the value found, what is allowed and the way out. It never carries a
patient identifier, a DICOM header value or pixel data. The command line maps branches to exit codes
in one table, `hilum.cli.main`.
"""


class HilumError(Exception):
    """Anything hilum refuses to do, with a message for the person who asked."""

    code = "error"


class InputError(HilumError):
    """The caller's file or request cannot be used."""

    code = "input"


class UnreadableImage(InputError):
    """The bytes cannot be decoded: for the reason of a class below, or for what the header says or lacks."""

    code = "unreadable_image"


class FileUnreadable(UnreadableImage):
    """The file is not there, may not be read, or is a pipe, a device, a socket or a folder."""

    code = "file_unreadable"


class FileTooLarge(UnreadableImage):
    """The file has more bytes than we agree to read."""

    code = "too_large"


class ImageTooLarge(UnreadableImage):
    """The picture has more pixels, or inflates to more bytes, than we agree to decode."""

    code = "image_too_large"


class DamagedImage(UnreadableImage):
    """The file is cut short or decodes with errors: a part of the film may be missing."""

    code = "image_damaged"


class HostileFile(UnreadableImage):
    """The file is made to do harm: a program is hidden in it, or a text that inflates without end."""

    code = "hostile_file"


class SeveralFrames(UnreadableImage):
    """The file holds more than one picture, and nothing says which of them is the film."""

    code = "several_frames"


class NoPixels(UnreadableImage):
    """The file is one of ours, but holds no picture."""

    code = "no_pixels"


class UnsupportedFormat(UnreadableImage):
    """The file is of a kind that we do not decode; it need not be damaged."""

    code = "unsupported_format"


class UnsupportedCoding(UnsupportedFormat):
    """The file is whole and of a kind we read, but its pixels are coded in a way that is not decoded here."""

    code = "unsupported_coding"


class UnsuitableImage(InputError):
    """The image decodes but lies outside the input contract."""

    code = "unsuitable_image"


class FilmRefused(InputError):
    """The input gate refuses a film; `code` is the gate's own, `fix` what its sender can do.

    Parameters
    ----------
    code, sentence, fix
        Of `hilum.inference.gate.Refusal`.
    film_png
        The film as displayed, when it was asked for: whoever sent it must see what was rejected.
    """

    code = "film_refused"

    def __init__(self, code: str, sentence: str, fix: str, film_png: bytes | None = None) -> None:
        super().__init__(f"{code}: {sentence} {fix}")
        self.code = code
        self.sentence = sentence
        self.fix = fix
        self.film_png = film_png


class EmptyDataset(InputError):
    """There is nothing to work on."""

    code = "empty_dataset"


class DatasetError(InputError):
    """A data set contradicts itself: an unknown class, a missing file, a patient in two splits."""

    code = "dataset"


class ConfigError(HilumError):
    """A setting is unknown, of the wrong type or out of range."""

    code = "config"


class CheckpointError(HilumError):
    """A checkpoint or bundle does not fit the code or the request."""

    code = "checkpoint"


class WeightsUnavailable(HilumError):
    """The pretrained weights asked for cannot be had here; never replaced by random ones silently."""

    code = "weights_unavailable"


class RunFolderBusy(HilumError):
    """Another process holds the run folder."""

    code = "run_folder_busy"


class TrainingDiverged(HilumError):
    """The loss is no longer a number; going on would only keep worthless weights."""

    code = "training_diverged"


class EngineOverloaded(HilumError):
    """More films wait than may wait; ask again after `retry_after_s` seconds."""

    code = "overload"

    def __init__(self, waiting: int, retry_after_s: int) -> None:
        super().__init__(f"{waiting} films wait already; ask again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class EngineFailed(HilumError):
    """The network raised, or its output is not finite: nothing it says may be shown."""

    code = "engine_failed"


class DecoderFailed(HilumError):
    """The process that decodes films died over this one, twice."""

    code = "decoder_failed"


class DecoderLate(DecoderFailed):
    """Decoding took too long, which a busy machine does to good films too: worth asking again later."""

    code = "decoder_late"


class JournalUnavailable(HilumError):
    """The journal's database or checkpoints cannot be used; what is not recorded must not be answered."""

    code = "storage"


class RetentionRefused(HilumError):
    """More records are due for anonymising or purging than a right clock explains; a person must confirm."""

    code = "retention"


class VaultRefused(HilumError):
    """A case cannot be opened: the key is missing or wrong, or the file was altered; all look the same."""

    code = "vault"
