"""Maps of cut films end up where the network looked."""

import numpy as np
import pytest

from hilum.config.schema import Preprocessing
from hilum.data.phantom.film import draw_film
from hilum.imaging.placement import place_maps, seen_box
from hilum.imaging.remedies import lung_box


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    return draw_film(2, side_px=160).pixels


def test_maps_of_whole_films_stay_as_they_are(film):
    cams = np.ones((1, 3, 5, 5), np.float32)
    assert place_maps(cams, film[None], Preprocessing()) is cams


def test_a_border_that_was_cut_holds_nothing_and_the_rest_everything(film):
    cams = np.zeros((1, 1, 5, 5), np.float32)
    cams[0, 0, 0, 0] = 4.0  # the first fifth of what lies inside the border: 16 to 41 px of 160
    placed = place_maps(cams, film[None], Preprocessing(border_crop=0.1))[0, 0]
    assert placed.shape == (10, 10)
    assert placed[1, 1] == pytest.approx(4.0)  # px 16 to 32
    assert placed[0].sum() == placed[:, 0].sum() == 0.0
    assert placed[1, 2] == pytest.approx(4.0 * 10 / 16)  # px 32 to 48, of which 10 belong to the cell
    assert placed.sum() == pytest.approx(4.0 * (26 / 16) ** 2)


def test_maps_of_the_lungs_lie_in_the_box_of_the_lungs(film):
    top, left, bottom, right = lung_box(film)
    placed = place_maps(np.ones((1, 3, 5, 5), np.float32), film[None], Preprocessing(lung_crop=True))
    assert placed.shape == (1, 3, 10, 10)
    assert placed.sum() * 16 * 16 == pytest.approx(3 * (bottom - top) * (right - left), rel=1e-5)
    rows, columns = np.nonzero(placed[0, 0])
    assert (rows.min(), rows.max()) == (top // 16, (bottom - 1) // 16)
    assert (columns.min(), columns.max()) == (left // 16, (right - 1) // 16)


def test_the_border_is_cut_off_what_the_lungs_leave(film):
    top, left, bottom, right = lung_box(film)
    both = seen_box(film, Preprocessing(lung_crop=True, inpaint_markers=False, border_crop=0.1))
    assert both[0] == top + round(0.1 * (bottom - top))
    assert both[3] == right - round(0.1 * (right - left))


def test_a_film_without_lungs_is_seen_whole():
    grey = np.full((160, 160), 90, np.uint8)
    settings = Preprocessing(lung_crop=True, inpaint_markers=True)
    assert seen_box(grey, settings) == (0, 0, 160, 160)
