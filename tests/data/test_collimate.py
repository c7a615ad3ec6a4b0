"""Bands lie where they were asked for, and a film that is fitted between them is whole."""

import numpy as np
import pytest

from hilum.data.collimate import Collimation, collimate, draw_collimation


def ramp(height: int = 80, width: int = 120) -> np.ndarray:
    return np.add.outer(np.linspace(60, 120, height), np.linspace(20, 100, width)).astype(np.uint8)


def test_bands_lie_over_a_film_that_is_not_fitted():
    film = ramp()
    banded = collimate(film, Collimation(top=0.25, right=0.1, grey=7), fit=False)
    assert (banded[:20] == 7).all()
    assert (banded[:, 108:] == 7).all()
    np.testing.assert_array_equal(banded[20:, :108], film[20:, :108])


def test_a_fitted_film_is_shrunk_into_the_field():
    film = ramp()
    banded = collimate(film, Collimation(top=0.5, grey=255))
    assert (banded[:40] == 255).all()
    assert banded[40].astype(int) == pytest.approx(film[:2].mean(axis=0), abs=2)
    assert banded[-1].astype(int) == pytest.approx(film[-2:].mean(axis=0), abs=2)


def test_a_turned_field_leaves_wedges():
    banded = collimate(ramp(), Collimation(0.2, 0.2, 0.2, 0.2, tilt_degrees=5, grey=0), fit=False)
    top = [int(np.argmax(banded[:, column] > 0)) for column in (40, 80)]
    assert top[1] - top[0] == pytest.approx(40 * np.tan(np.radians(5)), abs=1)


def test_the_noise_of_the_border_has_the_deviation_asked_for():
    banded = collimate(ramp(), Collimation(top=0.5, grey=100, noise=2.0), seed=3)
    assert banded[:39].std() == pytest.approx(2.0, abs=0.15)
    np.testing.assert_array_equal(
        banded, collimate(ramp(), Collimation(top=0.5, grey=100, noise=2.0), seed=3)
    )


def test_drawn_bands_leave_half_of_each_side():
    random = np.random.default_rng(5)
    drawn = [draw_collimation(random) for _ in range(200)]
    assert all(bands.top + bands.bottom <= 0.5 + 1e-9 for bands in drawn)
    assert all(bands.left + bands.right <= 0.5 + 1e-9 for bands in drawn)
    assert all(max(bands.top, bands.bottom, bands.left, bands.right) >= 0.02 for bands in drawn)
    assert {bands.grey for bands in drawn} >= {0.0, 255.0}
    assert 60 <= sum(bands.tilt_degrees != 0 for bands in drawn) <= 140
