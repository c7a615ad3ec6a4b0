"""The picture of a TIFF or BigTIFF to upright 8-bit grey.

Samples of 16 bits and more are read as they stand (`tiff_samples`), JPEG 2000 by OpenJPEG, everything else by
Pillow. JPEG strips must satisfy libjpeg-turbo in strict mode, because libtiff accepts one that was cut.
"""

import io
from typing import Any, Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from openjpeg.utils import decode as decode_jpeg_2000
from PIL import Image, UnidentifiedImageError

from hilum.domain.errors import DamagedImage, SeveralFrames, UnsupportedCoding
from hilum.imaging import tiff_directory as tags
from hilum.imaging.damage import damaged_message
from hilum.imaging.deep_samples import COLOURS, deep_grey
from hilum.imaging.headers import BIG_TIFF_MAGICS, JPEG_2000_START, frame_header
from hilum.imaging.picture_modes import (
    DEEP_MODES,
    PHOTOMETRIC_OF_MODE,
    SIDEWAYS,
    check_mode,
    grey_of,
    upright,
    valid_orientation,
)
from hilum.imaging.radiograph import ImageFacts, Radiograph
from hilum.imaging.tiff_directory import TiffDirectory
from hilum.imaging.tiff_samples import classic_tiff, deep_samples, sample_type
from hilum.imaging.windowing import WHITE

WHITE_IS_ZERO: Final = 0  # TIFF 6.0, PhotometricInterpretation
RGB: Final = 2
DEEP_PHOTOMETRICS: Final = frozenset({WHITE_IS_ZERO, 1, RGB})
UNASSOCIATED_ALPHA: Final = 2  # TIFF 6.0, ExtraSamples; associated alpha is already on black
INKS: Final = 4
BITS_OF_BYTE: Final = 8
END_OF_CODESTREAM: Final = b"\xff\xd9"


def read_tiff(data: bytes, *, name: str) -> Radiograph:
    """Decode a TIFF whose size the caller has already found acceptable.

    Raises
    ------
    DamagedImage, SeveralFrames, UnsupportedCoding
        If it is cut short or damaged, holds several pictures, or is coded in a way that is not decoded here.
    OSError, ValueError
        Of the decoders, if it is damaged.
    """
    directory = TiffDirectory.read(data)
    if directory is None or not directory.is_complete(data):
        raise DamagedImage(damaged_message(name, "TIFF"))
    if directory.pictures > 1:
        raise SeveralFrames(
            f"{name}: the TIFF file holds more than one frame; exactly 1 is allowed. Export the film alone."
        )
    photometric = directory.number(tags.PHOTOMETRIC, 1)
    is_deep = sample_type(directory) is not None and photometric in DEEP_PHOTOMETRICS
    orientation = turn = valid_orientation(directory.number(tags.ORIENTATION, 1))
    if directory.number(tags.COMPRESSION, 1) in tags.JPEG_2000_CODINGS:
        samples = _jpeg_2000_samples(data, directory, name=name)
        grey, model = _of_samples(samples, directory, photometric, name=name)
    elif is_deep and (deep := deep_samples(data, directory)) is not None:
        grey, model = _of_samples(deep, directory, photometric, name=name)
    elif _is_misread(directory):
        raise _not_decoded(directory, name)
    else:
        grey, model = _of_pillow(data, directory, photometric, name=name)
        turn = 1  # Pillow turns a picture while loading it
    width, height = directory.size
    if orientation in SIDEWAYS:
        width, height = height, width
    facts = ImageFacts("TIFF", width, height, directory.number(tags.BITS, 1), model, len(data))
    return Radiograph(pixels=upright(grey, turn), facts=facts)


def _of_samples(
    samples: NDArray[Any], directory: TiffDirectory, photometric: int, *, name: str
) -> tuple[NDArray[np.uint8], str]:
    """Return grey and the name of the colour model."""
    is_colour = photometric == RGB and samples.shape[2] >= COLOURS
    has_alpha = directory.number(tags.EXTRA_SAMPLES, 0) == UNASSOCIATED_ALPHA
    if samples.dtype.itemsize == 1:  # made for display: no window
        grey = grey_of(Image.fromarray(samples[:, :, :COLOURS] if is_colour else samples[:, :, 0]))
    else:
        grey = deep_grey(samples, is_colour=is_colour, has_alpha=has_alpha, name=name)
    if is_colour:
        return grey, "RGBA" if has_alpha else "RGB"
    if photometric == WHITE_IS_ZERO:
        return WHITE - grey, "MONOCHROME1"
    return grey, "GREY_ALPHA" if has_alpha else "MONOCHROME2"


def _of_pillow(
    data: bytes, directory: TiffDirectory, photometric: int, *, name: str
) -> tuple[NDArray[np.uint8], str]:
    if directory.number(tags.COMPRESSION, 1) == tags.JPEG_CODING:
        _check_jpeg_pieces(data, directory)
    if data.startswith(BIG_TIFF_MAGICS):
        data = classic_tiff(data, directory.order, directory.numbers)
    try:
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
            check_mode(image, "TIFF", name=name)
            model = PHOTOMETRIC_OF_MODE[image.mode]
            if image.mode not in DEEP_MODES:
                return grey_of(image), model  # Pillow turns white-is-zero over itself
            samples = np.asarray(image)[:, :, np.newaxis]
    except UnidentifiedImageError:
        raise _not_decoded(directory, name) from None
    return _of_samples(samples, directory, photometric, name=name)


def _is_misread(directory: TiffDirectory) -> bool:
    """Tell whether Pillow would drop the lower bits, or take negative bytes for bright ones."""
    if directory.number(tags.BITS, 1) == BITS_OF_BYTE:
        return directory.number(tags.SAMPLE_FORMAT, 1) == tags.SIGNED
    return sample_type(directory) is not None and directory.number(tags.SAMPLES, 1) > 1


def _check_jpeg_pieces(data: bytes, directory: TiffDirectory) -> None:
    """Refuse (ValueError) strips or tiles that libjpeg-turbo calls damaged in any way."""
    tables = bytes(directory.numbers.get(tags.JPEG_TABLES, ()))
    colours = "CMYK" if directory.number(tags.SAMPLES, 1) == INKS else "GRAY"
    for start, count in directory.pieces:
        stream = data[start : start + count]
        if tables:
            stream = tables.removesuffix(b"\xff\xd9") + stream.removeprefix(b"\xff\xd8")
        simplejpeg.decode_jpeg(stream, colorspace=colours, strict=True)


def _jpeg_2000_samples(data: bytes, directory: TiffDirectory, *, name: str) -> NDArray[Any]:
    """Decode the only strip or tile: (H, W, samples)."""
    if len(directory.pieces) != 1:
        raise _not_decoded(directory, name)
    start, count = directory.pieces[0]
    stream = data[start : start + count]
    stream = stream[max(stream.find(JPEG_2000_START), 0) :]  # without the boxes of a JP2 file
    header = frame_header(stream)
    if (
        header is None
        or (header.width, header.height) != directory.size
        or END_OF_CODESTREAM not in stream[-8:]
    ):
        raise ValueError("the codestream has no header, another size, or no end")
    samples: NDArray[Any] = np.asarray(decode_jpeg_2000(stream))
    if np.ptp(samples) == 0:
        raise ValueError("the frame is one grey value, which is how OpenJPEG shows a damaged stream")
    return samples.reshape(*directory.size[::-1], -1)


def _not_decoded(directory: TiffDirectory, name: str) -> UnsupportedCoding:
    return UnsupportedCoding(
        f"{name}: the TIFF holds {directory.coding}, which are not decoded here. Export the film as 8-bit or"
        " 16-bit grey, uncompressed or with LZW or Deflate."
    )
