import numpy as np
import pandas as pd
import pytest

from hilum.audit import probe_features
from tests.audit.make_rows import make_rows, noise_films


def changed(function, where, *arguments):
    """Whether features change with the films' pixels there."""
    films = noise_films(2, side=144)
    other = films.copy()
    other[0][where] = 255
    return not np.array_equal(function(films, *arguments), function(other, *arguments))


CENTRE, BORDER, CORNER = np.s_[40:100, 40:100], np.s_[0:10, 60:80], np.s_[130:144, 0:10]


@pytest.mark.parametrize(
    ("function", "columns", "seen"),
    [
        (probe_features.border, 512, (False, True, True)),
        (probe_features.corners, 100, (False, False, True)),
        (probe_features.thumbnails, 64, (True, True, True)),
        (probe_features.histogram, 16, (True, True, True)),
        (probe_features.whole_film, 1536, (True, True, True)),
    ],
)
def test_each_look_sees_what_it_says(function, columns, seen):
    assert function(noise_films(3, side=144)).shape == (3, columns)
    assert tuple(changed(function, where) for where in (CENTRE, BORDER, CORNER)) == seen


def test_blacked_lungs_are_not_seen():
    boxes = np.asarray([[40, 40, 100, 100]] * 2)
    assert not changed(probe_features.without_lungs, CENTRE, boxes)
    assert changed(probe_features.without_lungs, BORDER, boxes)


def test_blacking_out_leaves_the_films_alone():
    films = noise_films(1)
    before = films.copy()
    probe_features.without_lungs(films, np.asarray([[10, 10, 50, 50]]))
    assert np.array_equal(films, before)


def test_a_film_without_lungs_gets_the_fixed_box():
    lungs = probe_features.lung_boxes(np.full((1, 100, 100), 90, np.uint8))
    assert lungs.boxes.tolist() == [[10, 10, 85, 90]]
    assert not lungs.believed[0]


def test_the_histogram_counts_grey_bands():
    film = np.zeros((1, 10, 10), np.uint8)
    film[0, :3] = 255
    film[0, 3] = 16
    found = probe_features.histogram(film)[0]
    assert found[[0, 1, 15]].tolist() == [0.6, 0.1, 0.3]


def test_a_cell_of_the_map_sees_its_place_only():
    films = noise_films(2, side=128)
    other = films.copy()
    other[0, 16:32, 0:16] = 255
    differs = (probe_features.patches(films) != probe_features.patches(other)).any(axis=(0, 3))
    assert np.argwhere(differs).tolist() == [[1, 0]]


def test_file_facts_fill_what_is_unknown():
    rows = make_rows(["Normal"] * 3)
    rows["width"] = pd.array([100, None, 400], "Int64")
    rows["format"] = pd.array(["PNG", "JPEG", None], "string")
    facts = probe_features.file_facts(rows)
    assert np.isfinite(facts).all()
    assert facts[1, 0] == pytest.approx(np.log(200))  # the middle of the known, as logarithms
    assert facts[:, 4:].tolist() == [[0, 1], [1, 0], [0, 0]]


def test_bytes_per_pixel():
    rows = make_rows(["Normal"] * 2)
    found = probe_features.bytes_per_pixel(rows, np.asarray([96.0 * 96 * 2, np.nan]))
    assert found.ravel() == pytest.approx(np.log([2.0, 2.0]))
