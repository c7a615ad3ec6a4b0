import numpy as np
import pytest

from hilum.imaging.windowing import fit_to_bytes, quantile_of, robust_window, to_bytes

from .make_films import film


def test_a_full_range_16_bit_picture_equals_its_8_bit_twin() -> None:
    np.testing.assert_array_equal(fit_to_bytes(film().astype(np.uint16) * 257), film())


def test_12_bit_values_in_16_bits_use_the_whole_scale_and_clip_only_the_tails() -> None:
    grey = fit_to_bytes(np.linspace(100, 4000, 10_000).reshape(100, 100).astype(np.uint16))
    assert (grey.min(), grey.max()) == (0, 255)
    assert (grey == 0).mean() < 0.01
    assert (grey == 255).mean() < 0.01
    assert grey[50, 0] == 128


def test_one_hot_pixel_does_not_turn_detector_values_black() -> None:
    values = np.linspace(100, 4000, 10_000).reshape(100, 100).astype(np.uint16)
    values[3, 3] = 65_535
    grey = fit_to_bytes(values)
    assert grey[50, 0] == 128
    assert grey[3, 3] == 255


@pytest.mark.parametrize("values", [np.array([[-40_000.0, 40_000.0]] * 50), np.array([[0.0, 70_000.0]] * 50)])
def test_values_outside_16_bits_are_windowed(values: np.ndarray) -> None:
    np.testing.assert_array_equal(fit_to_bytes(values)[0], [0, 255])


def test_padding_does_not_move_the_window() -> None:
    values = np.linspace(0, 1000, 400).reshape(20, 20)
    padded = values.copy()
    padded[:, :5] = -5000
    mask = padded == -5000
    np.testing.assert_array_equal(robust_window(padded, mask)[:, 5:], robust_window(values[:, 5:]))
    assert robust_window(padded, np.ones_like(mask))[0, 0] == 0


def test_a_nearly_empty_picture_uses_its_full_range_and_a_constant_one_is_black() -> None:
    values = np.full((100, 100), 10)
    assert not robust_window(values).any()
    values[0, 0] = 30
    assert robust_window(values)[0, 0] == 255


def test_to_bytes_rounds_and_clips() -> None:
    np.testing.assert_array_equal(to_bytes(np.array([-3.0, 0.4, 0.6, 254.6, 300.0])), [0, 0, 1, 255, 255])


@pytest.mark.parametrize("seed", range(20))
def test_a_quantile_of_counted_values_is_that_of_the_picture(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.sort(random.normal(0, 500, int(random.integers(1, 30))))
    counts = random.integers(0, 4, len(values))
    counts[random.integers(len(values))] += 1
    picture = np.repeat(values, counts)
    for share in (0.0, 0.005, 0.31, 0.5, 0.995, 1.0):
        assert quantile_of(values, counts, share) == np.quantile(picture, share)


@pytest.mark.parametrize("seed", range(8))
def test_a_window_over_counted_values_is_that_of_the_picture(seed: int) -> None:
    random = np.random.default_rng(seed)
    picture = np.round(random.normal(1000, 10.0**seed, (40, 40)))
    values, places, counts = np.unique(picture, return_inverse=True, return_counts=True)
    shuffled = random.permutation(len(values))
    ignored = values[shuffled] < np.quantile(picture, 0.2)
    whole = robust_window(picture, ignored[np.argsort(shuffled)][places].reshape(picture.shape))
    levels = np.empty(len(values), np.uint8)
    levels[shuffled] = robust_window(values[shuffled], ignored, counts=counts[shuffled])
    np.testing.assert_array_equal(levels[places].reshape(picture.shape), whole)
