import cv2
import numpy as np
import pytest

from hilum.monitoring.film_changes import INVERSION, OVEREXPOSURE, SCANNER, blur_to


@pytest.fixture
def film() -> np.ndarray:
    random = np.random.default_rng(1)
    return cv2.GaussianBlur(random.integers(0, 256, (200, 300), np.uint8), (0, 0), 2)


def test_inversion_exchanges_black_and_white(film: np.ndarray):
    assert (INVERSION.apply(film) == 255 - film).all()


def test_an_overexposed_film_is_white_where_it_was_bright(film: np.ndarray):
    changed = OVEREXPOSURE.apply(film)
    assert changed[film == 100].tolist() == [160] * int((film == 100).sum())
    assert (changed[film >= 160] == 255).all()


def test_another_scanner_has_fewer_pixels_less_contrast_and_the_same_film_each_time(film: np.ndarray):
    changed = SCANNER.apply(film)
    assert changed.shape == (160, 240)
    assert (SCANNER.apply(film) == changed).all()
    assert float(changed.mean()) < float(film.mean())  # gamma above 1 darkens


def test_each_severity_blurs_more(film: np.ndarray):
    edges = [
        float(np.abs(np.diff(blur_to(severity).apply(film).astype(float))).mean()) for severity in range(1, 6)
    ]
    assert edges == sorted(edges, reverse=True)
    assert len({blur_to(severity).name for severity in range(1, 6)}) == 5
