"""PNG, JPEG, TIFF, BMP and WebP to upright 8-bit grey.

Sizes were checked before (`intake`), so no decoder here sees a bomb. Pillow decodes; grey and colour JPEGs go
through libjpeg-turbo in strict mode, because Pillow accepts a JPEG that was cut short and closed with an
end marker, and paints the missing part grey. No setting of Pillow is changed.
"""

import io
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from hilum.domain.errors import (
    DamagedImage,
    HostileFile,
    ImageTooLarge,
    SeveralFrames,
    UnreadableImage,
    UnsupportedCoding,
)
from hilum.imaging.damage import DECODER_ERRORS, damaged_message, too_large_message
from hilum.imaging.deep_samples import COLOURS, deep_grey, png_samples
from hilum.imaging.headers import FrameHeader, frame_header
from hilum.imaging.jpeg_lossless import SOF3
from hilum.imaging.jpeg_stream import (
    BITS_OF_BYTE,
    PROGRESSIVE_MARKERS,
    is_sent_in_full,
    undecoded_coding,
    without_extraneous_bytes,
)
from hilum.imaging.lossless_jpeg_file import is_grey, lossless_samples
from hilum.imaging.picture_modes import (
    DEEP_MODES,
    PHOTOMETRIC_OF_MODE,
    SIDEWAYS,
    check_mode,
    exif_orientation,
    grey_of,
    upright,
)
from hilum.imaging.png_chunks import whole_chunks
from hilum.imaging.quiet import decoder_warnings_ignored
from hilum.imaging.radiograph import ImageFacts, Radiograph
from hilum.imaging.tiff_picture import read_tiff
from hilum.imaging.windowing import fit_to_bytes

SCALED_DECODE_HEADROOM: Final = 2
"""A reduced DCT decode keeps sides of at least this many times what the caller shrinks to: on 1,024 px chest
films and a side of 224 that halves the mean difference from a full decode (0.75 to 0.37 grey levels)."""
DCT_DIVISORS: Final = (8, 4, 2)
"""Reduced scales worth taking. libjpeg-turbo has vector code for these; 7/8 to 5/8 are slower than a full
decode (measured 1.98 to 1.39 against 1.16 ms for 1,024 px), because most of the time is Huffman decoding."""
_PNG_BITS_AT: Final = 24  # in IHDR: PNG specification 11.2.1
_TEXT_TOO_LARGE: Final = ("Decompressed data too large", "Too much memory used for text chunks")
"""What Pillow says of a text or profile inside a PNG that inflates to more than it agrees to hold."""
_UNSUPPORTED: Final = "Unsupported"
"""How Pillow begins to say that a whole file is of a variant that it does not know."""


def read_raster(data: bytes, file_format: str, *, name: str, min_side_px: int | None = None) -> Radiograph:
    """Decode a picture whose size the caller has already found acceptable.

    Transparent parts are composited on black, colour becomes ITU-R 601 luma, deeper grey goes through
    `hilum.imaging.windowing.fit_to_bytes`, and the EXIF orientation is applied.

    Parameters
    ----------
    data
        The whole file.
    file_format
        "PNG", "JPEG", "TIFF", "BMP" or "WEBP", from the magic bytes.
    name
        For messages.
    min_side_px
        The caller shrinks to this side at once: a JPEG may then be decoded at a reduced DCT scale whose
        sides are not below twice that.

    Raises
    ------
    DamagedImage, SeveralFrames, UnsupportedCoding
        If the file is damaged or incomplete, holds several frames, or is coded in a way we do not decode.
    HostileFile, ImageTooLarge
        If it inflates to more than a picture of its size, or its decoder runs out of memory.
    """
    with decoder_warnings_ignored():
        try:
            if file_format == "TIFF":
                return read_tiff(data, name=name)
            if file_format == "JPEG":
                return _read_jpeg(data, min_side_px or 0, name=name)
            return _read_picture(data, file_format, name=name)
        except (MemoryError, Image.DecompressionBombError) as error:
            raise ImageTooLarge(too_large_message(name, file_format)) from error
        except DECODER_ERRORS as error:
            raise _refusal(error, file_format, name=name) from error


def _refusal(error: Exception, file_format: str, *, name: str) -> UnreadableImage:
    """Say why a decoder gave up."""
    message = str(error)
    if message.startswith(_TEXT_TOO_LARGE):
        return HostileFile(
            f"{name}: a text or profile inside the {file_format} inflates to far more than a film needs."
            " Treat the file as hostile and ask the sender."
        )
    if isinstance(error, OSError) and message.startswith(_UNSUPPORTED):
        return UnsupportedCoding(
            f"{name}: the {file_format} is of a variant that is not decoded here. Export the film as 8-bit"
            " or 16-bit grey."
        )
    return DamagedImage(damaged_message(name, file_format))


def _read_picture(data: bytes, file_format: str, *, name: str) -> Radiograph:
    """Read a PNG, BMP or WebP."""
    picture = whole_chunks(data) if file_format == "PNG" else data
    if picture is None or not _is_complete(picture, file_format):
        raise DamagedImage(damaged_message(name, file_format))
    with Image.open(io.BytesIO(picture), formats=(file_format,)) as image:
        if getattr(image, "is_animated", False):
            raise SeveralFrames(
                f"{name}: the {file_format} file holds more than one frame; exactly 1 is allowed."
                " Export the film alone."
            )
        check_mode(image, file_format, name=name)
        bits = picture[_PNG_BITS_AT] if file_format == "PNG" else 1 if image.mode == "1" else BITS_OF_BYTE
        if image.mode in DEEP_MODES:
            grey = fit_to_bytes(np.asarray(image))
        elif bits > BITS_OF_BYTE:
            key = image.info.get("transparency")
            has_alpha = image.mode == "RGBA"
            samples = png_samples(picture)
            is_colour = samples.shape[2] >= COLOURS
            grey = deep_grey(samples, is_colour=is_colour, has_alpha=has_alpha, key=key, name=name)
        else:
            grey = grey_of(image)
        model = PHOTOMETRIC_OF_MODE[image.mode]
        return _radiograph(grey, image, exif_orientation(image), (file_format, bits, model, len(data)))


def _radiograph(
    grey: NDArray[np.uint8], image: Image.Image, orientation: int, facts: tuple[str, int, str, int]
) -> Radiograph:
    file_format, bits, model, file_bytes = facts
    width, height = image.size[::-1] if orientation in SIDEWAYS else image.size
    return Radiograph(
        pixels=upright(grey, orientation),
        facts=ImageFacts(file_format, width, height, bits, model, file_bytes),
    )


def _read_jpeg(data: bytes, min_side_px: int, *, name: str) -> Radiograph:
    header = frame_header(data)
    is_progressive = header is not None and header.marker in PROGRESSIVE_MARKERS
    if is_progressive and not is_sent_in_full(data):
        raise DamagedImage(damaged_message(name, "JPEG"))
    if header is not None and header.marker == SOF3 and is_grey(data):
        return _read_lossless_jpeg(data, header)
    coding = None if header is None else undecoded_coding(header)
    if coding is not None:
        raise UnsupportedCoding(
            f"{name}: this is {coding}; of JPEG files, 8-bit baseline and progressive pictures and lossless"
            " grey ones are decoded. Export the film as PNG, TIFF or DICOM."
        )
    try:
        return _decode_jpeg(data, min_side_px, name=name)
    except DECODER_ERRORS:
        cleaned = without_extraneous_bytes(data)
        if cleaned == data:
            raise
    return _decode_jpeg(cleaned, min_side_px, name=name, file_bytes=len(data))


def _read_lossless_jpeg(data: bytes, header: FrameHeader) -> Radiograph:
    samples = lossless_samples(data, header)
    grey = fit_to_bytes(samples) if header.bits > BITS_OF_BYTE else samples.astype(np.uint8)
    facts = ImageFacts("JPEG", header.width, header.height, header.bits, "MONOCHROME2", len(data))
    return Radiograph(pixels=np.ascontiguousarray(grey), facts=facts)


def _decode_jpeg(data: bytes, min_side_px: int, *, name: str, file_bytes: int | None = None) -> Radiograph:
    """Decode a JPEG, refusing (ValueError) what libjpeg-turbo calls damaged in any way.

    The JPEG of a phone may carry a preview behind the picture; the picture comes first.
    """
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        check_mode(image, "JPEG", name=name)
        grey = _jpeg_grey(image, data, min_side_px)
        facts = ("JPEG", BITS_OF_BYTE, PHOTOMETRIC_OF_MODE[image.mode], file_bytes or len(data))
        return _radiograph(grey, image, exif_orientation(image), facts)


def _jpeg_grey(image: Image.Image, data: bytes, min_side_px: int) -> NDArray[np.uint8]:
    if image.mode == "CMYK":
        simplejpeg.decode_jpeg(data, colorspace="CMYK", strict=True)  # only as the check for completeness
        return grey_of(image)
    divisor = _dct_divisor(min(image.size), min_side_px)
    width, height = (-(-side // divisor) if divisor > 1 else 0 for side in image.size)  # 0: full size
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data, colorspace="GRAY", strict=True, min_height=height, min_width=width
    )[:, :, 0]
    return pixels


def _dct_divisor(short_side_px: int, min_side_px: int) -> int:
    """Choose the strongest reduction that leaves the headroom, 1 for none."""
    smallest = SCALED_DECODE_HEADROOM * min_side_px
    fitting = (divisor for divisor in DCT_DIVISORS if smallest and short_side_px >= divisor * smallest)
    return next(fitting, 1)


def _is_complete(data: bytes, file_format: str) -> bool:
    """Tell whether the container is as long as it says; the decoders check the compressed data themselves."""
    if file_format == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 <= len(data)  # RIFF: size of what follows the size
    if file_format == "BMP":
        return int.from_bytes(data[2:6], "little") <= len(data)
    return True  # a PNG was found to reach its end
