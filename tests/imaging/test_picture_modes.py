import numpy as np
import pytest
from PIL import Image

from hilum.domain.errors import UnsupportedCoding
from hilum.imaging.picture_modes import (
    RASTER_FORMATS,
    check_mode,
    exif_orientation,
    grey_of,
    upright,
    valid_orientation,
)

from .make_films import film

GREY = film()


def test_no_other_decoder_of_pillow_sees_a_file() -> None:
    assert RASTER_FORMATS == ("PNG", "JPEG", "TIFF", "BMP", "WEBP")


def test_a_colour_mode_that_is_not_converted_is_refused() -> None:
    check_mode(Image.new("RGB", (9, 9)), "TIFF", name="film")
    with pytest.raises(
        UnsupportedCoding, match="film: the TIFF pixels are in colour mode LAB; allowed are grey"
    ):
        check_mode(Image.new("LAB", (9, 9)), "TIFF", name="film")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "YCbCr"])
def test_grey_stays_grey_in_every_mode(mode: str) -> None:
    assert np.abs(grey_of(Image.fromarray(GREY).convert(mode)).astype(int) - GREY).max() <= 1


@pytest.mark.parametrize(("value", "orientation"), [(0, 1), (1, 1), (8, 8), (9, 1), ("6", 1), (None, 1)])
def test_what_is_no_orientation_counts_as_upright(value: object, orientation: int) -> None:
    assert valid_orientation(value) == orientation


def test_without_exif_a_picture_is_upright() -> None:
    assert exif_orientation(Image.fromarray(GREY)) == 1


def test_orientations_put_the_first_corner_where_they_say() -> None:
    """Where row 0, column 0 of the stored picture goes: TIFF 6.0, Orientation."""
    corners = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    stored = np.zeros((3, 5), np.uint8)
    stored[0, 0] = 9
    for orientation, place in corners.items():
        turned = upright(stored, orientation)
        assert turned.shape == ((5, 3) if orientation >= 5 else (3, 5))
        assert turned[place] == 9
        assert turned.flags.c_contiguous
