"""The record of a model's maps: right maps pass, wrong ones and ones without the weights fail."""

import json

import numpy as np
import pytest

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.explain.explanation_tests import check_explanations
from hilum.explain.map_verdict import judge_map
from hilum.explain.randomization import CASCADE, UNLEARNED_SEEDS
from tests.explain.planted import (
    edge_maps,
    forgetful,
    network_with,
    planted_films,
    right_maps,
    unmoved,
    wrong_maps,
)

EACH = 12


@pytest.fixture(scope="module")
def films() -> np.ndarray:
    return planted_films(EACH)


@pytest.fixture(scope="module")
def passed(films) -> dict:
    return check_explanations(films, network_with(right_maps), forgetful, steps=5)


def test_right_maps_that_forget_pass_for_every_finding(passed):
    assert passed["passes"] is True
    assert passed["randomization"]["passes"] is True
    for name in CLASS_NAMES:
        assert passed["findings"][name]["passes"] is True
        assert passed["findings"][name]["films"] == passed["findings"][name]["tested"] == EACH
        assert passed["findings"][name]["deletion_gain"]["low"] > 0
        assert passed["findings"][name]["reason"] is None
        assert passed["findings"][name]["min_peak"] == pytest.approx(0.25)


def test_the_record_is_plain_json(passed):
    assert json.loads(json.dumps(passed)) == json.loads(json.dumps(passed, default=str))


def test_shown_and_withheld_maps_are_counted(passed):
    for name in CLASS_NAMES:
        row = passed["shown"][name]
        assert row["films"] == EACH
        assert row["shown"] >= EACH - 2  # a phantom's lungs may be drawn a cell off
    assert passed["shown"]["Tuberculosis"]["agree_with_table_26"] >= EACH - 2
    assert passed["shown"]["Normal"]["agree_with_table_26"] == 0  # Table 26 claims no zone for it


def test_wrong_maps_fail_and_every_map_is_withheld(films):
    record = check_explanations(films, network_with(wrong_maps), forgetful, steps=5)
    assert record["passes"] is False
    assert record["randomization"]["passes"] is True
    assert record["shown"]["Tuberculosis"]["shown"] == 0
    assert record["shown"]["Tuberculosis"]["withheld_for"]["not-faithful"] == EACH
    assert "deletion -" in record["findings"]["Tuberculosis"]["reason"]


def test_an_edge_detector_fails_the_randomisation_test(films):
    record = check_explanations(films, network_with(edge_maps), unmoved(edge_maps), steps=5)
    assert record["randomization"]["passes"] is False
    assert record["passes"] is False
    verdict = judge_map(record, edge_maps(films)[2, 2], films[2], Finding.TUBERCULOSIS)
    assert verdict.reasons[0].code == "not-learned"
    assert "rank correlation of 1.00" in (verdict.reason or "")


def test_a_finding_with_few_films_is_not_tested_and_says_so(films):
    few = np.concatenate([films[0::3], films[1::3], films[2::3][:3]])
    record = check_explanations(few, network_with(right_maps), forgetful, steps=5)
    entry = record["findings"]["Tuberculosis"]
    assert entry["passes"] is None
    assert entry["min_peak"] is None
    verdict = judge_map(record, right_maps(films[2:3])[0, 2], films[2], Finding.TUBERCULOSIS)
    assert "3 films are too few" in verdict.notes[0]
    assert record["passes"] is True  # of what could be tested


def test_a_network_without_any_heat_fails_and_is_not_drawn_from(films):
    blank = network_with(lambda batch: np.zeros((len(batch), 3, 8, 8), np.float32))
    record = check_explanations(films, blank, forgetful, steps=5)
    assert record["passes"] is False
    assert record["randomization"]["passes"] is False
    assert record["shown"]["Normal"]["withheld_for"]["empty-map"] == EACH


@pytest.mark.parametrize("each", [EACH, 2])
def test_progress_ends_at_the_films_that_networks_score(each: int):
    said: list[tuple[int, int]] = []
    some = planted_films(each)
    check_explanations(
        some, network_with(right_maps), forgetful, steps=5, progress=lambda *state: said.append(state)
    )
    stages = 3 * each * (len(CASCADE) + len(UNLEARNED_SEEDS)) if each == EACH else 0
    deleted = 3 * each * (3 * (5 - 1) + 2) if each == EACH else 0
    assert [done for done, _ in said] == sorted({done for done, _ in said})
    assert said[-1:] == ([(stages + deleted, stages + deleted)] if each == EACH else [])
