import cv2
import numpy as np
import pytest

from hilum.imaging.film_statistics import STATISTICS, describe_film


def test_the_statistics_of_a_film_worked_by_hand():
    film = np.zeros((100, 100), np.uint8)
    film[:, 50:] = 200
    found = describe_film(film, width=300, height=200)
    assert tuple(found) == STATISTICS
    assert found["mean_grey"] == 100
    assert found["deviation_grey"] == 100
    assert found["contrast_grey"] == 200
    assert found["aspect"] == 1.5
    assert found["short_side_px"] == 200


def test_contrast_is_between_the_second_and_the_ninety_eighth_percentile():
    film = np.random.default_rng(0).normal(120, 30, (224, 224)).clip(0, 255).astype(np.uint8)
    low, high = np.percentile(film, (2, 98))
    assert describe_film(film, width=9, height=9)["contrast_grey"] == pytest.approx(high - low, abs=1)


def test_a_blur_takes_sharpness_and_little_else():
    film = cv2.resize(
        np.random.default_rng(1).integers(0, 255, (56, 56), np.uint8),
        (224, 224),
        interpolation=cv2.INTER_LINEAR,
    )
    blurred = np.asarray(cv2.GaussianBlur(film, (0, 0), 1.5), np.uint8)
    sharp, soft = (describe_film(one, width=9, height=9) for one in (film, blurred))
    assert soft["sharpness"] < sharp["sharpness"] / 2
    assert soft["mean_grey"] == pytest.approx(sharp["mean_grey"], abs=1)


def test_a_blank_film_has_no_sharpness_and_no_contrast():
    found = describe_film(np.full((224, 224), 90, np.uint8), width=9, height=9)
    assert (found["sharpness"], found["contrast_grey"], found["deviation_grey"]) == (0.0, 0.0, 0.0)
