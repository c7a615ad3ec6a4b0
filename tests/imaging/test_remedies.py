import cv2
import numpy as np
import pytest

from hilum.config.schema import Preprocessing
from hilum.data.phantom.film import draw_film
from hilum.imaging.remedies import apply_remedies, crop_to_lungs, find_markers, inpaint_markers, lung_box


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    return cv2.resize(draw_film(3, seed=5).pixels, (224, 224), interpolation=cv2.INTER_AREA)


def with_letter(film: np.ndarray, at: tuple[int, int] = (12, 30)) -> np.ndarray:
    lettered = film.copy()
    cv2.putText(lettered, "R", at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1, cv2.LINE_AA)
    return lettered


def test_letter_near_the_edge_is_found_and_painted_over():
    plain = np.full((224, 224), 90, np.uint8)
    lettered = with_letter(plain)
    letter = lettered >= 180
    assert letter.sum() > 20
    assert find_markers(lettered)[letter].all()
    assert np.abs(inpaint_markers(lettered).astype(int) - plain).max() <= 12


def test_bright_spot_in_the_lungs_is_no_letter():
    plain = np.full((224, 224), 60, np.uint8)
    cv2.circle(plain, (112, 112), 4, 255, -1)
    assert not find_markers(plain).any()
    assert np.array_equal(inpaint_markers(plain), plain)


def test_what_is_larger_than_a_letter_stays():
    plain = np.full((224, 224), 60, np.uint8)
    cv2.rectangle(plain, (2, 2), (60, 60), 255, -1)
    assert not find_markers(plain).any()


def test_lung_box_holds_the_lungs_with_a_margin():
    drawn = draw_film(3, seed=5)
    lungs = drawn.lung_right | drawn.lung_left
    box = lung_box(drawn.pixels)
    assert box is not None
    top, left, bottom, right = box
    inside = np.zeros_like(lungs)
    inside[top:bottom, left:right] = True
    assert (lungs & inside).sum() / lungs.sum() > 0.99
    assert inside.mean() < 0.9


def test_film_without_believable_lungs_is_left_whole():
    noise = np.random.default_rng(0).integers(0, 256, (224, 224), dtype=np.uint8)
    assert lung_box(noise) is None
    assert np.array_equal(crop_to_lungs(noise), noise)


def test_crop_no_longer_sees_the_border(film: np.ndarray):
    assert not np.array_equal(crop_to_lungs(film), film)
    assert np.array_equal(crop_to_lungs(with_letter(film, at=(2, 14))), crop_to_lungs(film))


def test_remedies_that_are_off_cost_nothing(film: np.ndarray):
    films = film[None]
    assert apply_remedies(films, Preprocessing()) is films
    both = apply_remedies(films, Preprocessing(inpaint_markers=True, lung_crop=True))
    assert np.array_equal(both[0], crop_to_lungs(inpaint_markers(film)))
