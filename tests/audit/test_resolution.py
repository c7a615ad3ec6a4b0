import cv2
import numpy as np
import pytest

from hilum.audit.resolution import effective_resolutions
from tests.audit.make_rows import noise_films


def enlarged(side_from, side=128):
    small = noise_films(1, side=side_from)[0]
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)


def test_an_enlarged_film_is_found_out():
    found = effective_resolutions(np.stack([enlarged(32), enlarged(64), enlarged(128)]))
    assert 24 <= found[0] <= 48
    assert 48 <= found[1] <= 88
    assert found[2] > 110


def test_a_wave_has_the_resolution_of_its_period():
    column = np.arange(128)
    wave = 120 + 80 * np.sin(2 * np.pi * 20 * column / 128)  # 20 cycles need 40 pixels
    film = np.tile(wave, (128, 1)).astype(np.uint8)
    assert effective_resolutions(film[None])[0] == pytest.approx(40, abs=4)


def test_brightness_and_contrast_do_not_matter():
    film = noise_films(1, side=64)[0] // 2
    darker = (film // 2 + 10).astype(np.uint8)
    one, other = effective_resolutions(np.stack([film, darker]))
    assert one == pytest.approx(other, abs=2)


def test_a_flat_film_has_none():
    assert effective_resolutions(np.full((1, 64, 64), 90, np.uint8))[0] == 0
