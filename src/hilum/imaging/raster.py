"""PNG, JPEG, TIFF, BMP and WebP to upright 8-bit grey.

Sizes were checked before (`intake`), so no decoder here sees a bomb. Pillow decodes; grey and colour JPEGs go
through libjpeg-turbo in strict mode, because Pillow accepts a JPEG that was cut short and closed with an
end marker, and paints the missing part grey. No setting of Pillow is changed.
"""

import io
from typing import Any, Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image

from hilum.domain.errors import DamagedImage, SeveralFrames, UnsupportedCoding
from hilum.imaging.damage import DECODER_ERRORS, damaged_message
from hilum.imaging.headers import header_size
from hilum.imaging.quiet import decoder_warnings_ignored
from hilum.imaging.radiograph import ImageFacts, Radiograph
from hilum.imaging.windowing import WHITE, fit_to_bytes

RASTER_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
"""The only decoders of Pillow that may see a file, by its names: it has forty, and each has had its holes."""
PHOTOMETRIC_OF_MODE: Final = {
    "1": "MONOCHROME2",
    "L": "MONOCHROME2",
    "I": "MONOCHROME2",
    "F": "MONOCHROME2",
    "I;16": "MONOCHROME2",
    "I;16B": "MONOCHROME2",
    "I;16L": "MONOCHROME2",
    "I;16N": "MONOCHROME2",
    "LA": "GREY_ALPHA",
    "La": "GREY_ALPHA",
    "P": "PALETTE",
    "PA": "PALETTE",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "CMYK": "CMYK",
    "YCbCr": "YCBCR",
}
DEEP_MODES: Final = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
WHITE_IS_ZERO: Final = 0  # TIFF 6.0, PhotometricInterpretation
SCALED_DECODE_HEADROOM: Final = 2
"""A reduced DCT decode keeps sides of at least this many times what the caller shrinks to: on 1,024 px chest
films and a side of 224 that halves the mean difference from a full decode (0.75 to 0.37 grey levels)."""
DCT_DIVISORS: Final = (8, 4, 2)
"""Reduced scales worth taking. libjpeg-turbo has vector code for these; 7/8 to 5/8 are slower than a full
decode (measured 1.98 to 1.39 against 1.16 ms for 1,024 px), because most of the time is Huffman decoding."""
SIDEWAYS: Final = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height


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
    """
    with decoder_warnings_ignored():
        try:
            if not _is_complete(data, file_format):
                raise DamagedImage(damaged_message(name, file_format))
            with Image.open(io.BytesIO(data), formats=(file_format,)) as image:
                _check_kind(image, file_format, name=name)
                return _decode(image, data, file_format, min_side_px or 0)
        except DECODER_ERRORS as error:
            raise DamagedImage(damaged_message(name, file_format)) from error


def _check_kind(image: Image.Image, file_format: str, *, name: str) -> None:
    # The JPEG of a phone may carry a preview behind the picture; the picture comes first.
    if getattr(image, "is_animated", False) and file_format != "JPEG":
        raise SeveralFrames(
            f"{name}: the {file_format} file holds more than one frame; exactly 1 is allowed."
            " Export the film alone."
        )
    if image.mode not in PHOTOMETRIC_OF_MODE:
        raise UnsupportedCoding(
            f"{name}: the {file_format} pixels are in colour mode {image.mode}; allowed are grey, RGB, CMYK"
            " and palette images. Export it as 8-bit or 16-bit grey."
        )


def _decode(image: Image.Image, data: bytes, file_format: str, min_side_px: int) -> Radiograph:
    size, mode, photometric = image.size, image.mode, PHOTOMETRIC_OF_MODE[image.mode]
    bits, inverted = _sample_facts(image, data, file_format)
    orientation = _orientation(image, file_format)
    if file_format == "JPEG":
        grey = _decode_jpeg(image, data, min_side_px)
    elif mode in DEEP_MODES:
        grey = _deep_grey(np.asarray(image), inverted=inverted)
    else:
        grey = _grey(image)
    width, height = image.size if file_format == "TIFF" else size  # Pillow turns a TIFF while loading
    if orientation in SIDEWAYS:
        width, height = height, width
    facts = ImageFacts(
        format=file_format,
        width=width,
        height=height,
        bits=bits,
        photometric="MONOCHROME1" if inverted else photometric,
        file_bytes=len(data),
    )
    return Radiograph(pixels=np.ascontiguousarray(_upright(grey, orientation)), facts=facts)


def _decode_jpeg(image: Image.Image, data: bytes, min_side_px: int) -> NDArray[np.uint8]:
    """Decode a JPEG to grey, refusing (ValueError) what libjpeg-turbo calls damaged in any way."""
    if image.mode == "CMYK":
        simplejpeg.decode_jpeg(data, colorspace="CMYK", strict=True)  # only as the check for completeness
        return _grey(image)
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


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    """Convert any 8-bit or 1-bit Pillow image to uint8 (H, W)."""
    if image.has_transparency_data or image.mode == "RGBa":
        opaque = image.convert("RGBA")
        black = Image.new("RGBA", opaque.size, (0, 0, 0, WHITE))
        image = Image.alpha_composite(black, opaque)
    elif image.mode in {"P", "PA", "CMYK", "YCbCr"}:
        image = image.convert("RGB")
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _deep_grey(values: NDArray[Any], *, inverted: bool) -> NDArray[np.uint8]:
    if not np.isfinite(values).all():
        raise ValueError("pixel values are not all finite numbers")
    grey = fit_to_bytes(values)
    return WHITE - grey if inverted else grey


def _sample_facts(image: Image.Image, data: bytes, file_format: str) -> tuple[int, bool]:
    """Return bits per sample and whether zero is white in the decoded array.

    Pillow turns 8-bit white-is-zero TIFFs over, but leaves deeper ones as they are.
    """
    if file_format == "PNG":
        return data[24], False  # IHDR: PNG specification 11.2.1
    if file_format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        bits = int(tags.get(ExifTags.Base.BitsPerSample, (1,))[0])
        deep_white_is_zero = tags.get(ExifTags.Base.PhotometricInterpretation) == WHITE_IS_ZERO
        return bits, deep_white_is_zero and image.mode in DEEP_MODES
    return (1 if image.mode == "1" else 8), False


def _orientation(image: Image.Image, file_format: str) -> int:
    """Read the EXIF orientation, 1 (upright) to 8; what viewers ignore (missing, damaged) counts as 1."""
    if file_format == "TIFF":
        return 1  # Pillow applies it while loading
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and value in range(1, 9) else 1


def _upright(grey: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (TIFF 6.0 tag 274): 5 to 8 begin with a transposition."""
    if orientation in SIDEWAYS:
        grey = grey.T
    if orientation in {2, 3, 6, 7}:
        grey = grey[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        grey = grey[::-1]
    return grey


def _is_complete(data: bytes, file_format: str) -> bool:
    """Tell whether the container is as long as it says; the decoders check the compressed data themselves."""
    if file_format == "PNG":
        return _png_reaches_end(data)
    if file_format == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 <= len(data)  # RIFF: size of what follows the size
    if file_format == "BMP":
        return int.from_bytes(data[2:6], "little") <= len(data)
    if file_format == "TIFF":
        return _tiff_data_inside(data)
    return header_size(data, file_format) is not None


def _png_reaches_end(data: bytes) -> bool:
    position = 8
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        position += 12 + length
        if kind == b"IEND":
            return position <= len(data)
    return False


def _tiff_data_inside(data: bytes) -> bool:
    """Tell whether every strip or tile of the first directory lies inside the file."""
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        tags = image.tag_v2  # type: ignore[attr-defined]
        for offsets, counts in ((273, 279), (324, 325)):
            pairs = zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)
            if any(start + count > len(data) for start, count in pairs):
                return False
    return True
