import cv2
import numpy as np
import pytest

from hilum.data.phantom.film import draw_film
from hilum.imaging import lungs
from hilum.imaging.lungs import ZoneRows, estimate_lungs, zone_rows


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture(scope="module")
def films():
    return [draw_film(index, seed=5) for index in range(24)]


def test_phantom_lungs_are_found(films):
    scores = []
    for film in films:
        found = estimate_lungs(film.pixels)
        assert found.is_believed
        assert found.reason is None
        scores.append(dice(found.mask, film.lung_right | film.lung_left))
        assert dice(found.right, film.lung_right) > 0.8  # right is right: on the image left
        assert dice(found.left, film.lung_left) > 0.8
    assert np.mean(scores) > 0.92
    assert min(scores) > 0.85


def test_most_of_a_lesion_stays_inside_the_lungs(films):
    kept = [
        (film.lesion & estimate_lungs(film.pixels).mask).sum() / film.lesion.sum()
        for film in films
        if film.lesion.any()
    ]
    assert np.mean(kept) > 0.9


def test_masks_have_the_film_size_and_the_sides_do_not_overlap(films):
    wide = cv2.resize(films[0].pixels, (500, 300))
    found = estimate_lungs(wide)
    assert found.mask.shape == (300, 500)
    assert found.mask.dtype == np.bool_
    assert not (found.right & found.left).any()
    assert ((found.right | found.left) == found.mask).all()


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((200, 200), np.uint8),
        np.full((150, 220), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (256, 256)).astype(np.uint8),
        np.tile(np.linspace(0, 255, 240).astype(np.uint8), (240, 1)),
    ],
    ids=["black", "white", "noise", "ramp"],
)
def test_what_is_no_chest_gets_the_fixed_region_and_a_reason(pixels):
    found = estimate_lungs(pixels)
    assert not found.is_believed
    assert found.reason
    assert 0.1 < found.mask.mean() < 0.65
    assert found.right.any()
    assert found.left.any()


def test_an_inverted_film_is_not_believed(films):
    found = estimate_lungs(255 - films[0].pixels)
    assert not found.is_believed


def square(*, rows: int = 40, columns: int = 40) -> np.ndarray:
    mask = np.zeros((100, 100), dtype=bool)
    mask[:rows, :columns] = True
    return mask


@pytest.mark.parametrize(
    ("right", "left", "contrast", "overlap", "reason"),
    [
        (square(), square(), 0.64, 0.9, "not darker"),
        (square(), square(), 0.65, 0.54, "shape of lungs"),
        (square(rows=9), square(rows=9), 1.0, 0.9, "would fill 0.04"),
        (square(rows=100, columns=70), square(), 1.0, 0.9, "would fill 0.70"),
        (square(), square(columns=15), 1.0, 0.9, "2.7 times"),
        (square(), square(rows=0), 1.0, 0.9, "times the other"),
        (square(), square(columns=16), 0.65, 0.55, None),
    ],
)
def test_doubts(right, left, contrast, overlap, reason):
    found = lungs._doubt(right, left, contrast=contrast, overlap=overlap)
    assert found is None if reason is None else reason in (found or "")


def test_air_is_what_hangs_together_with_the_top_or_the_sides():
    for seed in range(20):
        noise = np.random.default_rng(seed).random((40, 40)).astype(np.float32)
        dark = (cv2.GaussianBlur(noise, (0, 0), 1.5) < 0.5).astype(np.uint8)
        _, labels = cv2.connectedComponents(dark)
        at_edge = set(labels[0]) | set(labels[:, 0]) | set(labels[:, -1])
        expected = np.isin(labels, sorted(at_edge - {0}))
        np.testing.assert_array_equal(lungs._reached_from_edge(dark), expected)


def test_of_several_parts_the_largest_is_the_lung():
    mask = np.zeros((20, 20), np.uint8)
    mask[1:4, 1:4] = mask[8:14, 8:14] = mask[16:19, 2:5] = 1
    kept = lungs._largest(mask)
    assert kept[8:14, 8:14].all()
    assert kept.sum() == 36


def test_a_lung_of_no_pixels_stays_empty():
    assert not lungs._largest(np.zeros((5, 5), np.uint8)).any()


def test_zone_rows_are_thirds_of_the_bounding_height():
    mask = np.zeros((100, 10), dtype=bool)
    mask[10:70, 4] = True
    rows = zone_rows(mask)
    assert rows == ZoneRows(top=10, upper_end=30, middle_end=50, bottom=70)
    assert rows.slices() == {"upper": slice(10, 30), "middle": slice(30, 50), "lower": slice(50, 70)}


def test_an_empty_mask_has_no_zones():
    assert zone_rows(np.zeros((4, 4), dtype=bool)) is None
