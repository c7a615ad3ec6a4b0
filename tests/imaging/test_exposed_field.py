"""The exposed field is found whatever borders it, the film is kept, and maps go back to their place."""

import cv2
import numpy as np
import pytest

from hilum.data.collimate import Collimation, collimate, draw_collimation
from hilum.data.phantom.film import draw_film
from hilum.imaging.exposed_field import ExposedField, find_field


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    whole = draw_film(4, seed=2, side_px=320).pixels
    return find_field(whole).cut(whole)


def pixel_mask(field: ExposedField, shape: tuple[int, int]) -> np.ndarray:
    return field.place(np.ones((64, 64), np.float32), *shape) > 0.5


def drawn_mask(bands: Collimation, shape: tuple[int, int]) -> np.ndarray:
    white = collimate(np.full(shape, 255, np.uint8), Collimation(*bands_of(bands)), fit=False)
    return white > 127


def bands_of(bands: Collimation) -> tuple[float, ...]:
    return bands.top, bands.bottom, bands.left, bands.right, bands.tilt_degrees


def test_a_film_without_a_border_is_whole(film):
    assert find_field(film).is_whole
    assert find_field(film).cut(film) is film


@pytest.mark.parametrize("grey", [0, 90, 255])
@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_a_band_at_one_side_is_cut_to_the_line(film, side, grey):
    share = 0.3
    banded = collimate(film, Collimation(**{side: share}, grey=grey))
    field = find_field(banded)
    cut = {
        "top": field.y - field.height / 2,
        "bottom": 1 - field.y - field.height / 2,
        "left": field.x - field.width / 2,
        "right": 1 - field.x - field.width / 2,
    }
    assert cut.pop(side) == pytest.approx(share, abs=0.012)
    assert max(map(abs, cut.values())) <= 0.012
    assert field.tilt_degrees == 0


def test_the_field_of_many_drawn_borders_keeps_the_film_and_little_else(film):
    random = np.random.default_rng(7)
    kept, left = [], []
    for seed in range(60):
        bands = draw_collimation(random)
        banded = collimate(film, bands, seed=seed)
        seen, true = pixel_mask(find_field(banded), banded.shape), drawn_mask(bands, banded.shape)
        kept.append((seen & true).sum() / true.sum())
        left.append((seen & ~true).sum() / seen.sum())
    assert min(kept) > 0.90
    assert np.mean(kept) > 0.985
    assert np.median(left) < 0.03
    assert max(left) < 0.15


def test_a_turned_field_is_cut_along_its_edges(film):
    banded = collimate(film, Collimation(0.15, 0.2, 0.1, 0.12, tilt_degrees=-4, noise=1))
    field = find_field(banded)
    assert field.tilt_degrees == pytest.approx(-4, abs=0.5)
    resized = cv2.resize(field.cut(banded), film.shape[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.corrcoef(resized.ravel(), film.ravel())[0, 1] > 0.97


def test_one_turned_edge_loses_half_of_its_wedge(film):
    banded = collimate(film, Collimation(bottom=0.3, tilt_degrees=5), fit=False)
    field = find_field(banded)
    assert field.tilt_degrees == 0
    assert field.y + field.height / 2 == pytest.approx(0.7, abs=0.02)


def test_letters_and_a_frame_in_the_border_do_not_end_it(film):
    banded = collimate(film, Collimation(top=0.1, left=0.3))
    height = banded.shape[0]
    cv2.putText(banded, "R  12:04", (8, height // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 2)
    framed = cv2.copyMakeBorder(banded, 6, 6, 6, 6, cv2.BORDER_CONSTANT, value=255)
    field = find_field(framed)
    assert (field.x - field.width / 2) * framed.shape[1] == pytest.approx(6 + 0.3 * film.shape[1], abs=3)


def test_a_border_inside_a_border_is_cut_with_it(film):
    inner = collimate(film, Collimation(0.1, 0.1, 0.1, 0.1, grey=0))
    field = find_field(collimate(inner, Collimation(0.1, 0.1, 0.1, 0.1, grey=255)))
    assert field.width == pytest.approx(0.8 * 0.8, abs=0.02)
    assert field.height == pytest.approx(0.8 * 0.8, abs=0.02)


@pytest.mark.parametrize("level", [0, 128])
def test_a_picture_that_is_even_everywhere_is_left_whole(level):
    assert find_field(np.full((120, 90), level, np.uint8)).is_whole
    speck = np.full((200, 200), level, np.uint8)
    speck[90:110, 90:110] = np.arange(20)[:, None] * 12
    assert find_field(speck).is_whole


def test_a_film_below_the_working_size_is_searched_as_it_is(film):
    small = cv2.resize(film, (60, 60), interpolation=cv2.INTER_AREA)
    field = find_field(collimate(small, Collimation(left=0.25)))
    assert field.x - field.width / 2 == pytest.approx(0.25, abs=0.02)


def test_cutting_and_placing_are_inverse():
    for field in (ExposedField(0.4, 0.6, 0.5, 0.4), ExposedField(0.5, 0.45, 0.6, 0.5, 6.0)):
        picture = np.zeros((100, 160), np.uint8)
        picture[52:56, 70:74] = 250
        part = field.cut(picture)
        placed = field.place(part.astype(np.float32), 100, 160)
        rows, columns = np.mgrid[0:100, 0:160]
        centre = [(placed * axis).sum() / placed.sum() for axis in (rows, columns)]
        assert centre == pytest.approx([53.5, 71.5], abs=0.6)


def test_coarse_maps_keep_their_heat_and_its_place():
    field = ExposedField(0.75, 0.5, 0.5, 1.0)
    heat = np.zeros((4, 4), np.float32)
    heat[2, 0] = 8.0
    placed = field.place_coarsely(heat)
    assert placed.shape == (8, 8)
    assert placed[:, :4].sum() == pytest.approx(0, abs=1.5)
    assert np.unravel_index(placed.argmax(), placed.shape)[1] == 4
    assert ExposedField().place_coarsely(heat) is heat
    np.testing.assert_allclose(ExposedField().place(heat, 4, 4), heat)
