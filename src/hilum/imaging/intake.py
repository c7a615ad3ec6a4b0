"""The one door: bytes in, `Radiograph` or `UnreadableImage` out.

Training, prediction, the service and the PACS node all read films through `read_radiograph`. It checks sizes
before anything is decoded and trusts magic bytes, never a file name. Knows nothing about HTTP or data sets.
"""

from pathlib import Path

from hilum.domain.errors import DamagedImage, HostileFile, UnsupportedFormat
from hilum.imaging.damage import damaged_message
from hilum.imaging.dicom import read_dicom
from hilum.imaging.file_bytes import read_file
from hilum.imaging.headers import DICOM_PREFIX_OFFSET, PROGRAMS, describe_other, header_size, sniff_format
from hilum.imaging.limits import check_bytes, check_size
from hilum.imaging.radiograph import Radiograph
from hilum.imaging.raster import read_raster


def read_radiograph(
    source: Path | bytes, *, name: str | None = None, min_side_px: int | None = None
) -> Radiograph:
    """Read one film from a file or from the bytes of one.

    PNG, JPEG, TIFF, BMP, WebP and DICOM; grey, colour, palette, transparent, 1-bit to 16-bit, rotated
    by EXIF. Whatever comes in, what goes out is uint8 (H, W), MONOCHROME2 (air dark), upright.

    Parameters
    ----------
    source
        Path of a file, or its content.
    name
        How messages call the image; by default the file's own name, or "image" for bytes.
    min_side_px
        The caller will shrink to this side at once: a JPEG may be decoded at a reduced DCT scale whose
        sides are not below twice that. ``facts`` keep the original size.

    Raises
    ------
    UnreadableImage
        If the file is missing, not an image of these formats (then `UnsupportedFormat`), truncated or
        damaged, or beyond `MAX_FILE_BYTES`, `MAX_PIXELS` or `MAX_SIDE_PX`. The message is one line and
        quotes no header value that could identify a patient.
    """
    label = _label(source, name)
    data = source if isinstance(source, bytes) else read_file(source, name=label)
    check_bytes(len(data), name=label)
    file_format = sniff_format(data)
    if file_format is None:
        raise UnsupportedFormat(
            f"{label}: this is {describe_other(data)}; expected a PNG, JPEG, TIFF, BMP, WebP or DICOM image"
            " (told by content, not by file name). Export the film in one of these formats."
        )
    if file_format == "DICOM":
        if describe_other(data[:DICOM_PREFIX_OFFSET]) in PROGRAMS:
            raise HostileFile(
                f"{label}: a program is hidden in the DICOM preamble; it must be empty or a TIFF header."
                " Treat the file as hostile and ask the sender."
            )
        return read_dicom(data, name=label)
    size = header_size(data, file_format)
    if size is None:
        raise DamagedImage(damaged_message(label, file_format))
    check_size(*size, name=label)
    return read_raster(data, file_format, name=label, min_side_px=min_side_px)


def _label(source: Path | bytes, name: str | None) -> str:
    """Name the image for messages, on one line."""
    if name is None:
        name = "image" if isinstance(source, bytes) else source.name
    return "".join(character if character.isprintable() else "?" for character in name)
