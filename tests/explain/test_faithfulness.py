"""Deletion and insertion on planted truth: the right map passes, a wrong one fails."""

import numpy as np
import pytest

from hilum.data.phantom.film import draw_film
from hilum.explain.faithfulness import (
    DeletionCurves,
    area,
    blur_out,
    deletion_curves,
    log_odds,
    mean_interval,
)
from tests.explain.planted import SIDE_PX, planted_films, planted_logits, right_maps, wrong_maps

EACH = 6


def curves_of(maps) -> DeletionCurves:
    films = planted_films(EACH)
    classes = np.tile([0, 1, 2], EACH)
    cams = maps(films)[np.arange(len(films)), classes]
    return deletion_curves(films, cams, classes, planted_logits, seed=1)


def test_the_map_of_the_place_looked_at_passes():
    curves = curves_of(right_maps)
    assert mean_interval(curves.deletion_gain()).low > 0.5
    assert mean_interval(curves.insertion_gain()).low > 0.5
    assert (area(curves.reversed_heat) > area(curves.by_heat)).all()


def test_a_map_of_another_place_fails():
    curves = curves_of(wrong_maps)
    assert mean_interval(curves.deletion_gain()).low < 0
    assert mean_interval(curves.insertion_gain()).low < 0
    assert mean_interval(curves.deletion_gain() + curves.insertion_gain()).mean < 0


def test_the_reversed_order_is_worse_than_chance_for_the_right_map():
    curves = curves_of(right_maps)
    assert area(curves.reversed_heat).mean() > area(curves.by_chance).mean() > area(curves.by_heat).mean()


def test_lesion_masks_of_phantoms_pass_and_their_mirror_images_do_not():
    right, mirrored = [], []
    for index in range(2, 36, 3):  # tuberculosis
        film = draw_film(index, side_px=SIDE_PX)
        lesion = film.lesion
        if not lesion.any():
            continue

        def logits_of(films: np.ndarray, lesion=lesion, pixels=film.pixels) -> np.ndarray:
            # anything that changes inside the lesion, and nothing else, lowers the score
            level = -np.abs(films[:, lesion].astype(float) - pixels[lesion]).mean(axis=1)
            return np.stack([np.zeros_like(level), np.zeros_like(level), level], axis=1)

        cells = lesion.reshape(8, 16, 8, 16).mean(axis=(1, 3)).astype(np.float32)
        for cam, gains in ((cells, right), (cells[:, ::-1], mirrored)):
            curve = deletion_curves(film.pixels[None], cam[None], np.array([2]), logits_of, seed=index)
            gains.append(area(curve.reversed_heat)[0] - area(curve.by_heat)[0])
    assert len(right) >= 8
    assert mean_interval(np.array(right)).low > 0
    assert np.mean(right) > np.mean(mirrored)


def test_curves_start_at_the_film_and_end_at_its_blur():
    films = planted_films(1)
    curves = deletion_curves(films, right_maps(films)[:, 2], np.full(3, 2), planted_logits, steps=4)
    assert curves.by_heat.shape == (3, 5)
    blurred = np.stack([blur_out(film) for film in films])
    for curve in curves.named().values():
        assert np.allclose(curve[:, 0], log_odds(planted_logits(films), 2))
        assert np.allclose(curve[:, -1], log_odds(planted_logits(blurred), 2))


def test_each_portion_takes_its_share_of_the_cells():
    film = np.zeros((1, 64, 64), np.uint8)
    film[0, ::2] = 255
    seen = []

    def logits_of(films: np.ndarray) -> np.ndarray:
        seen.append(films)
        return np.zeros((len(films), 3), np.float32)

    cam = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    deletion_curves(film, cam, np.array([0]), logits_of, steps=4)
    versions = seen[0]
    assert len(versions) == 3 * 3 + 2
    changes = np.abs(versions.astype(int) - film[0]) > 60  # (V, 64, 64); the soft edges of a place are less
    touched = changes.reshape(-1, 4, 16, 4, 16)[:, :, 7:9, :, 7:9].any(axis=(2, 4))
    assert touched[0].sum() == 0
    assert np.array_equal(touched[1], cam[0] >= 12)  # the hottest quarter goes first
    assert np.array_equal(touched[4], cam[0] < 4)  # and last in the reversed order
    assert [int(cells.sum()) for cells in touched[1:4]] == [4, 8, 12]


def test_log_odds_are_those_of_the_softmax():
    logits = np.array([[1.0, 2.0, -0.5], [0.0, 0.0, 0.0]], np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert log_odds(logits, 1) == pytest.approx(np.log(p[:, 1] / (1 - p[:, 1])))


def test_area_is_that_of_trapezia():
    assert area(np.array([[0.0, 1.0, 0.0], [2.0, 2.0, 2.0]])) == pytest.approx([0.5, 2.0])


def test_an_interval_holds_the_mean_and_one_value_has_none():
    found = mean_interval(np.arange(20.0))
    assert found.low < found.mean == 9.5 < found.high
    assert found.films == 20
    assert mean_interval(np.array([3.0])).low is None
    assert mean_interval(np.full(5, 2.0)).high is None
