import numpy as np
import pytest

from hilum.domain.findings import Finding
from hilum.domain.thresholds import POINTING_TOLERANCE_PX
from hilum.explain.zones import (
    ZoneShares,
    agrees_with_table_26,
    attention_by_zone,
    chance_of_hit,
    expected_zones,
    is_hit,
)
from hilum.imaging.lungs import LungFields


def two_lungs(height: int = 90, width: int = 80) -> LungFields:
    """Right lung in columns 10-29, left in 50-69, rows 0 to 90: thirds of 30 rows."""
    right = np.zeros((height, width), dtype=bool)
    left = right.copy()
    right[:, 10:30] = True
    left[:, 50:70] = True
    return LungFields(right | left, right, left, is_believed=True, reason=None)


def shares(**values: float) -> ZoneShares:
    base = dict.fromkeys(("upper", "middle", "lower", "right", "left"), 0.0)
    return ZoneShares(
        **{**base, **values}, inside_lungs=1.0, outside_lungs=0.0, lungs_believed=True, reason=None
    )


def test_shares_of_a_map_worked_by_hand():
    cam = np.zeros((90, 80), dtype=np.float32)
    cam[5, 15] = 1.0  # upper, right
    cam[40, 60] = 2.0  # middle, left
    cam[80, 60] = 5.0  # lower, left
    cam[45, 40] = 2.0  # between the lungs
    found = attention_by_zone(cam, two_lungs())
    assert found.upper == pytest.approx(1 / 8)
    assert found.middle == pytest.approx(2 / 8)
    assert found.lower == pytest.approx(5 / 8)
    assert found.right == pytest.approx(1 / 8)
    assert found.left == pytest.approx(7 / 8)
    assert found.inside_lungs == pytest.approx(0.8)
    assert found.outside_lungs == pytest.approx(0.2)
    assert found.reason is None
    assert found.lungs_believed


def test_an_even_map_has_equal_thirds_and_sides():
    found = attention_by_zone(np.ones((90, 80), dtype=np.float32), two_lungs())
    assert [found.upper, found.middle, found.lower] == pytest.approx([1 / 3] * 3)
    assert [found.right, found.left] == pytest.approx([0.5, 0.5])
    assert found.inside_lungs == pytest.approx(0.5)


def test_a_coarse_map_is_spread_over_the_cells_it_covers():
    cam = np.array(
        [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]], dtype=np.float32
    )  # one cell: rows 0-29, columns 0-39
    found = attention_by_zone(cam, two_lungs())
    assert found.upper == pytest.approx(1.0)
    assert found.right == pytest.approx(1.0)
    assert found.inside_lungs == pytest.approx(0.5)  # the lung covers 20 of the cell's 40 columns


def test_a_zero_map_is_undefined_and_says_so():
    found = attention_by_zone(np.zeros((7, 7), dtype=np.float32), two_lungs())
    assert (found.upper, found.middle, found.lower, found.right, found.left) == (None,) * 5
    assert (found.inside_lungs, found.outside_lungs) == (None, None)
    assert found.reason == "the map is zero everywhere"


def test_attention_beside_the_lungs_leaves_zones_undefined_but_counts_outside():
    cam = np.zeros((90, 80), dtype=np.float32)
    cam[:, 40] = 1.0
    found = attention_by_zone(cam, two_lungs())
    assert found.upper is None
    assert found.inside_lungs == 0.0
    assert found.outside_lungs == 1.0
    assert found.reason == "no attention lies inside the lungs"


def test_empty_lungs_are_undefined():
    empty = np.zeros((9, 8), dtype=bool)
    found = attention_by_zone(np.ones((3, 3), np.float32), LungFields(empty, empty, empty, False, "none"))
    assert found.upper is None
    assert not found.lungs_believed


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_a_map_before_the_relu_is_refused(value):
    with pytest.raises(ValueError, match="finite and non-negative"):
        attention_by_zone(np.full((2, 2), value, dtype=np.float32), two_lungs())


def test_table_26_names_these_zones():
    pneumonia = expected_zones(Finding.PNEUMONIA)
    tuberculosis = expected_zones(Finding.TUBERCULOSIS)
    assert pneumonia is not None
    assert (pneumonia.zones, pneumonia.is_bilateral) == (("middle", "lower"), True)
    assert tuberculosis is not None
    assert (tuberculosis.zones, tuberculosis.is_bilateral) == (("upper",), False)
    assert expected_zones(Finding.NORMAL) is None


@pytest.mark.parametrize(
    ("finding", "values", "expected"),
    [
        (Finding.TUBERCULOSIS, {"upper": 0.5, "middle": 0.5, "right": 1.0}, True),
        (Finding.TUBERCULOSIS, {"upper": 0.49, "middle": 0.51, "right": 1.0}, False),
        (Finding.PNEUMONIA, {"upper": 0.4, "middle": 0.3, "lower": 0.3, "right": 0.8, "left": 0.2}, True),
        (Finding.PNEUMONIA, {"middle": 0.5, "lower": 0.5, "right": 0.9, "left": 0.1}, False),
        (Finding.PNEUMONIA, {"upper": 0.6, "lower": 0.4, "right": 0.5, "left": 0.5}, False),
        (Finding.NORMAL, {"upper": 1.0, "right": 1.0}, None),
    ],
)
def test_agreement_with_table_26(finding, values, expected):
    assert agrees_with_table_26(finding, shares(**values)) is expected


def test_an_even_map_agrees_with_nothing():
    even = attention_by_zone(np.ones((90, 80), dtype=np.float32), two_lungs())
    assert [even.upper_area, even.middle_area, even.lower_area] == pytest.approx([1 / 3] * 3)
    assert agrees_with_table_26(Finding.PNEUMONIA, even) is False
    assert agrees_with_table_26(Finding.TUBERCULOSIS, even) is False


def test_a_map_that_leans_to_the_lower_half_agrees_with_pneumonia():
    cam = np.ones((90, 80), dtype=np.float32)
    cam[45:] = 2.0
    assert agrees_with_table_26(Finding.PNEUMONIA, attention_by_zone(cam, two_lungs())) is True


def test_an_undefined_map_neither_agrees_nor_disagrees():
    nothing = attention_by_zone(np.zeros((3, 3), dtype=np.float32), two_lungs())
    assert agrees_with_table_26(Finding.TUBERCULOSIS, nothing) is None


def test_pointing_allows_15_px_at_224_and_no_more():
    cam = np.zeros((224, 224), dtype=np.float32)
    cam[100, 100] = 1.0
    lesion = np.zeros((224, 224), dtype=bool)
    lesion[100, 115] = True
    assert is_hit(cam, lesion)
    assert not is_hit(cam, np.roll(lesion, 1, axis=1))


def test_pointing_tolerance_grows_with_the_film():
    cam = np.zeros((448, 448), dtype=np.float32)
    cam[100, 100] = 1.0
    lesion = np.zeros((448, 448), dtype=bool)
    lesion[100, 130] = True
    assert is_hit(cam, lesion)
    assert not is_hit(cam, np.roll(lesion, 1, axis=1))


def test_a_coarse_map_points_at_the_middle_of_its_cell():
    cam = np.zeros((7, 7), dtype=np.float32)
    cam[1, 5] = 3.0
    lesion = np.zeros((224, 224), dtype=bool)
    lesion[48, 176] = True
    assert is_hit(cam, lesion)
    assert not is_hit(np.fliplr(cam).copy(), lesion)


def test_a_zero_map_and_a_film_without_lesion_are_no_hits():
    lesion = np.ones((20, 20), dtype=bool)
    assert not is_hit(np.zeros((4, 4), dtype=np.float32), lesion)
    assert not is_hit(np.ones((4, 4), dtype=np.float32), ~lesion)


def test_chance_of_a_hit_is_the_area_within_the_tolerance() -> None:
    lesion = np.zeros((224, 224), dtype=bool)
    assert chance_of_hit(lesion) == 0.0
    lesion[112, 112] = True
    assert chance_of_hit(lesion) == pytest.approx(np.pi * POINTING_TOLERANCE_PX**2 / 224**2, rel=0.02)
    assert chance_of_hit(np.ones((8, 8), dtype=bool)) == 1.0
