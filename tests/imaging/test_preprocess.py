import numpy as np
import pytest

from hilum.imaging.preprocess import prepare_film, resize_film
from hilum.imaging.radiograph import ImageFacts, Radiograph


def radiograph(pixels: np.ndarray) -> Radiograph:
    height, width = pixels.shape
    facts = ImageFacts("PNG", width=width, height=height, bits=8, photometric="MONOCHROME2", file_bytes=10)
    return Radiograph(pixels=pixels, facts=facts)


def test_shrinking_averages_areas() -> None:
    pixels = np.array([[0, 100, 10, 10], [200, 100, 10, 10], [5, 5, 0, 255], [5, 5, 255, 0]], np.uint8)
    np.testing.assert_array_equal(resize_film(pixels, 2), [[100, 10], [5, 128]])


def test_both_axes_come_to_the_same_side() -> None:
    pixels = np.repeat(np.arange(8, dtype=np.uint8)[:, None] * 30, 4, axis=1)  # (8, 4)
    np.testing.assert_array_equal(resize_film(pixels, 4)[:, 0], [15, 75, 135, 195])


def test_enlarging_interpolates_and_does_not_overshoot() -> None:
    pixels = np.array([[0, 255], [0, 255]], np.uint8)
    np.testing.assert_array_equal(resize_film(pixels, 4)[0], [0, 64, 191, 255])


def test_one_axis_may_shrink_while_the_other_grows() -> None:
    pixels = np.array([[0, 100, 200, 100], [50, 150, 0, 255], [0, 0, 0, 0]], np.uint8)  # (3, 4) to (3, 3)
    wide = np.repeat(np.array([[10, 30, 50, 70, 90, 110]], np.uint8), 2, axis=0)  # (2, 6) to (3, 3)
    np.testing.assert_array_equal(resize_film(wide, 3), [[20, 60, 100]] * 3)
    assert resize_film(pixels, 3).shape == (3, 3)


def test_same_size_is_a_copy_that_may_be_written() -> None:
    source = radiograph(np.full((4, 4), 7, np.uint8))
    resized = resize_film(source.pixels, 4)
    resized[0, 0] = 1
    assert source.pixels[0, 0] == 7
    assert resized.dtype == np.uint8
    assert resized.flags.c_contiguous


def test_refuses_a_side_of_zero() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        resize_film(np.zeros((4, 4), np.uint8), 0)


def test_the_network_sees_the_field_alone() -> None:
    texture = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)
    np.testing.assert_array_equal(prepare_film(texture, 32), resize_film(texture, 32))
    banded = np.vstack([np.zeros((64, 64), np.uint8), texture])
    np.testing.assert_array_equal(prepare_film(banded, 32), resize_film(texture, 32))
