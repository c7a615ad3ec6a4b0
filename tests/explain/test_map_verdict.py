"""Each reason to withhold a map, alone, and the notes that go with a map that is shown."""

import numpy as np
import pytest

from hilum.data.phantom.film import draw_film
from hilum.domain.findings import Finding
from hilum.explain.map_verdict import judge_map
from hilum.imaging.lungs import estimate_lungs


def passed_record(**changes) -> dict:
    tested = {"passes": True, "reason": None, "min_peak": 0.1}
    return {
        "randomization": {"passes": True, "reason": None},
        "findings": {str(finding): dict(tested) for finding in Finding},
        "withhold_on_zones": False,
        **changes,
    }


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    return draw_film(2, side_px=160).pixels


def map_in(film: np.ndarray, zone: slice) -> np.ndarray:
    """Heat on the lungs in some tenths of the film's height."""
    cam = estimate_lungs(film).mask.astype(np.float32)
    cam[: zone.start * 16] = 0.0
    cam[zone.stop * 16 :] = 0.0
    return cam


UPPER, LOWER = slice(0, 4), slice(5, 10)


def test_a_map_in_the_upper_zones_is_shown_for_tuberculosis(film):
    verdict = judge_map(passed_record(), map_in(film, UPPER), film, Finding.TUBERCULOSIS)
    assert not verdict.withheld
    assert verdict.reason is None
    assert verdict.inside_lungs == pytest.approx(1.0)
    assert verdict.zones_agree is True
    assert verdict.notes == ()


def test_disagreement_with_table_26_is_a_note_unless_a_site_wants_it_otherwise(film):
    cam = map_in(film, LOWER)
    noted = judge_map(passed_record(), cam, film, Finding.TUBERCULOSIS)
    assert noted.zones_agree is False
    assert not noted.withheld
    assert noted.notes == ("the map does not look where Tuberculosis usually lies (upper zones)",)
    strict = judge_map(passed_record(withhold_on_zones=True), cam, film, Finding.TUBERCULOSIS)
    assert [reason.code for reason in strict.reasons] == ["unusual-zones"]
    pneumonia = judge_map(passed_record(), map_in(film, UPPER), film, Finding.PNEUMONIA)
    assert "middle and lower zones of both lungs" in pneumonia.notes[0]


def test_heat_outside_the_lungs_is_withheld_with_both_shares(film):
    cam = 1.0 - estimate_lungs(film).mask.astype(np.float32)
    verdict = judge_map(passed_record(), cam, film, Finding.PNEUMONIA)
    assert [reason.code for reason in verdict.reasons] == ["outside-lungs"]
    assert "0% of the heat lies inside the lungs" in (verdict.reason or "")


def test_an_even_map_is_on_the_limit_and_a_little_less_is_withheld(film):
    even = np.ones(film.shape, np.float32)
    assert judge_map(passed_record(), even, film, Finding.NORMAL).reasons == ()
    even[0, 0] += film.size / 100
    assert judge_map(passed_record(), even, film, Finding.NORMAL).withheld


def test_a_weak_map_is_withheld_by_the_floor_of_its_finding(film):
    cam = map_in(film, UPPER)
    assert not judge_map(passed_record(), 0.1 * cam, film, Finding.TUBERCULOSIS).withheld
    weak = judge_map(passed_record(), 0.09 * cam, film, Finding.TUBERCULOSIS)
    assert [reason.code for reason in weak.reasons] == ["weak-map"]
    assert weak.reason == "the evidence is weak: the map reaches 0.09, below 0.1"


def test_an_empty_map_is_withheld(film):
    verdict = judge_map(passed_record(), np.zeros((7, 7), np.float32), film, Finding.NORMAL)
    assert [reason.code for reason in verdict.reasons] == ["empty-map"]
    assert verdict.inside_lungs is None


def test_a_film_without_lungs_has_no_map_to_show():
    nothing = np.full((160, 160), 90, np.uint8)
    verdict = judge_map(passed_record(), np.ones((7, 7), np.float32), nothing, Finding.NORMAL)
    assert [reason.code for reason in verdict.reasons] == ["no-lungs"]


def test_a_model_or_finding_that_failed_withholds_every_map_with_its_reason(film):
    record = passed_record(randomization={"passes": False, "reason": "the maps stay"})
    record["findings"]["Pneumonia"] |= {"passes": False, "reason": "chance does as well"}
    cam = map_in(film, LOWER)
    assert judge_map(record, cam, film, Finding.NORMAL).reason == "the maps stay"
    assert judge_map(record, cam, film, Finding.PNEUMONIA).reason == "the maps stay; chance does as well"


def test_a_model_that_was_never_tested_shows_its_map_with_a_note(film):
    verdict = judge_map(None, map_in(film, UPPER), film, Finding.TUBERCULOSIS)
    assert not verdict.withheld
    assert verdict.notes == ("the maps of this model were never tested: fit its safeguards",)
