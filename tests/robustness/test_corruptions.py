import cv2
import numpy as np
import pytest

from hilum.data.phantom.film import draw_film
from hilum.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt_films

SIDE = 160


@pytest.fixture(scope="module")
def films() -> np.ndarray:
    drawn = [draw_film(index, seed=3).pixels for index in range(4)]
    return np.stack([cv2.resize(film, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for film in drawn])


def corrupt(film: np.ndarray, name: str, severity: int) -> np.ndarray:
    return corrupt_films(film[None], name, severity, seed=0)[0]


def distances(films: np.ndarray, name: str) -> np.ndarray:
    """Mean distance in grey levels from clean, (severity, film)."""
    clean = films.astype(float)
    return np.array(
        [
            np.abs(corrupt_films(films, name, severity, seed=1) - clean).mean(axis=(1, 2))
            for severity in SEVERITIES
        ]
    )


def test_there_are_twelve_with_five_severities():
    assert len(CORRUPTIONS) == 12
    assert all(len(corruption.strengths) == len(SEVERITIES) == 5 for corruption in CORRUPTIONS.values())
    assert CORRUPTIONS["jpeg"].setting(4) == "quality 15"


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severity_grows_on_every_film(films: np.ndarray, name: str):
    far = distances(films, name)
    assert (far[0] > 0).all()
    assert (np.diff(far, axis=0) > 0).all(), far
    assert (far[0] < 20).all(), far[0]  # mild: of 255 grey levels


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_shape_and_kind_are_kept_and_the_seed_decides(films: np.ndarray, name: str):
    before = films.copy()
    once, again = (corrupt_films(films, name, 3, seed=5) for _ in range(2))
    assert (once.shape, once.dtype) == (films.shape, np.uint8)
    assert np.array_equal(films, before)
    assert np.array_equal(once, again)


@pytest.mark.parametrize("name", ["noise", "gamma", "rotation", "crop", "occlusion", "grid_lines", "photo"])
def test_another_seed_is_another_draw(films: np.ndarray, name: str):
    assert not np.array_equal(corrupt_films(films, name, 4, seed=1), corrupt_films(films, name, 4, seed=2))


def test_noise_has_the_deviation_that_it_says():
    grey = np.full((200, 200), 128, np.uint8)
    assert corrupt(grey, "noise", 4).std() == pytest.approx(22.0, rel=0.02)


def test_contrast_pulls_grey_towards_the_mean():
    film = np.zeros((10, 10), np.uint8)
    film[:5] = 200
    assert np.unique(corrupt(film, "contrast", 3)).tolist() == [40, 160]  # 100 -+ 0.6 x 100


def test_gamma_darkens_some_films_and_brightens_others():
    grey = np.full((40, 8, 8), 128, np.uint8)
    values = corrupt_films(grey, "gamma", 4, seed=0)[:, 0, 0]
    assert set(values.tolist()) == {64, 181}  # 255 (128/255)^2 and its inverse
    assert 8 < (values == 64).sum() < 32


def test_rotation_turns_about_the_middle_and_fills_with_black():
    film = np.full((101, 101), 100, np.uint8)
    film[50, 50] = 255
    turned = corrupt(film, "rotation", 5)
    assert turned[50, 50] == 255
    assert turned[0, 0] == turned[100, 100] == 0
    assert turned[50, 10] == 100


def test_crop_enlarges_what_is_left():
    steps = np.tile(np.arange(100, dtype=np.uint8) * 2, (100, 1))
    cropped = corrupt(steps, "crop", 5).astype(float)
    assert np.ptp(cropped[50]) == pytest.approx(2 * 74, abs=2)  # 75 of 100 columns
    assert cropped.shape == (100, 100)


def test_occlusion_covers_the_area_that_it_says_and_the_milder_one():
    black = np.zeros((5, 200, 200), np.uint8)
    heavy, mild = (corrupt_films(black, "occlusion", severity, seed=0) > 0 for severity in (5, 2))
    assert heavy.mean(axis=(1, 2)) == pytest.approx(np.full(5, 0.1), rel=0.02)
    assert mild.mean(axis=(1, 2)) == pytest.approx(np.full(5, 0.015), rel=0.05)
    assert (heavy | ~mild).all()


def test_resolution_keeps_no_detail_finer_than_its_pixels():
    stripes = np.tile(np.array([0, 255], np.uint8), (100, 50))
    assert corrupt(stripes, "resolution", 5)[20:80, 20:80].std() < 20
    assert corrupt(np.full((100, 100), 77, np.uint8), "resolution", 5).std() == 0


def test_grid_lines_are_vertical_with_the_amplitude_that_they_say():
    grey = np.full((200, 200), 128, np.uint8)
    striped = corrupt(grey, "grid_lines", 4).astype(int)
    assert (striped == striped[0]).all()
    assert (striped.min(), striped.max()) == (113, 143)
    assert abs(np.fft.rfft(striped[0] - striped[0].mean()))[1:].argmax() + 1 in (33, 34)  # 1 / 0.03


def test_text_is_white_and_mild_text_stays_in_the_corners():
    grey = np.full((224, 224), 60, np.uint8)
    mild = corrupt(grey, "burned_text", 2) != 60
    assert corrupt(grey, "burned_text", 2).max() > 230
    assert not mild[40:200].any()
    assert (corrupt(grey, "burned_text", 5) != 60)[40:200].any()


def test_photo_dims_the_corners_and_adds_a_spot():
    grey = np.full((224, 224), 120, np.uint8)
    photo = corrupt(grey, "photo", 5).astype(int)
    assert photo.max() > 170
    assert photo[40, 40] < 120
