"""What Pillow has decoded, in whichever of its modes, to upright 8-bit grey."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from hilum.domain.errors import UnsupportedCoding
from hilum.imaging.damage import DECODER_ERRORS
from hilum.imaging.windowing import WHITE

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
SIDEWAYS: Final = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height


def check_mode(image: Image.Image, file_format: str, *, name: str) -> None:
    """Refuse a colour model that is not converted here.

    Raises
    ------
    UnsupportedCoding
    """
    if image.mode not in PHOTOMETRIC_OF_MODE:
        raise UnsupportedCoding(
            f"{name}: the {file_format} pixels are in colour mode {image.mode}; allowed are grey, RGB, CMYK"
            " and palette images. Export it as 8-bit or 16-bit grey."
        )


def grey_of(image: Image.Image) -> NDArray[np.uint8]:
    """Convert any 8-bit or 1-bit Pillow image to uint8 (H, W): colour as luma, transparent parts on black."""
    if image.has_transparency_data or image.mode == "RGBa":
        opaque = image.convert("RGBA")
        black = Image.new("RGBA", opaque.size, (0, 0, 0, WHITE))
        image = Image.alpha_composite(black, opaque)
    elif image.mode in {"P", "PA", "CMYK", "YCbCr"}:
        image = image.convert("RGB")
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def exif_orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 (upright) to 8; what viewers ignore (missing, damaged) counts as 1."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except DECODER_ERRORS:
        return 1
    return valid_orientation(value)


def valid_orientation(value: Any) -> int:
    """Return an orientation, or 1 for what is none."""
    return value if isinstance(value, int) and value in range(1, 9) else 1


def upright(grey: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an orientation (TIFF 6.0 tag 274): 5 to 8 begin with a transposition. C-contiguous."""
    if orientation in SIDEWAYS:
        grey = grey.T
    if orientation in {2, 3, 6, 7}:
        grey = grey[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        grey = grey[::-1]
    return np.ascontiguousarray(grey)
