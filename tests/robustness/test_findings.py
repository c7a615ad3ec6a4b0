from typing import Any

import pytest

from hilum.audit.record import Severity
from hilum.robustness.findings import NAMES, find_weaknesses

NOTHING = {"value": 0.0}


def fall(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def level(severity: int, **drops: dict[str, float]) -> dict[str, Any]:
    return {
        "severity": severity,
        "setting": f"quality {100 - severity}",
        "figures": {name: {"value": 0.9 - drops.get(name, NOTHING)["value"]} for name in NAMES},
        "drops": {name: drops.get(name, NOTHING) for name in NAMES},
        "flipped": {"value": 0.34},
        "probability_change": {"value": 0.1},
    }


def report(**parts: Any) -> dict[str, Any]:
    whole = {
        "clean": {name: {"value": 0.9} for name in NAMES},
        "corruptions": {},
        "attacks": None,
        "external": [],
        "groups": [],
        "unknown_columns": [],
    }
    return {**whole, **parts}


def corrupted(*levels: dict[str, Any]) -> dict[str, Any]:
    return report(corruptions={"jpeg": {"title": "JPEG", "levels": list(levels)}})


def test_a_mild_corruption_that_costs_much_blocks_and_says_its_size():
    (finding,) = find_weaknesses(corrupted(level(2, accuracy=fall(0.21, 0.17, 0.25))))
    assert (finding.severity, finding.code) == (Severity.BLOCKER, "corruption-jpeg")
    assert finding.sentence == (
        "JPEG, quality 98 (severity 2 of 5): accuracy falls by 0.21 (0.17 to 0.25), to 0.69;"
        " 34 % of answers change."
    )
    assert finding.figures["drop"] == 0.21


@pytest.mark.parametrize(
    ("severity", "low", "expected"),
    [
        (2, 0.101, Severity.BLOCKER),
        (2, 0.10, Severity.WARNING),  # the bound itself is allowed
        (3, 0.30, Severity.WARNING),  # too strong to block
        (3, 0.05, Severity.NOTE),
        (4, 0.30, Severity.NOTE),
    ],
)
def test_weight_depends_on_severity_and_on_the_near_end_of_the_interval(
    severity: int, low: float, expected: Severity
):
    (finding,) = find_weaknesses(corrupted(level(severity, accuracy=fall(0.4, low, 0.5))))
    assert finding.severity is expected


def test_a_fall_within_chance_is_no_finding():
    assert find_weaknesses(corrupted(level(1, accuracy=fall(0.05, -0.01, 0.11)))) == []


def test_the_heaviest_level_of_the_worst_weight_is_told():
    levels = [
        level(number, accuracy=fall(0.07 * number, 0.06 * number, 0.08 * number)) for number in range(1, 6)
    ]
    (finding,) = find_weaknesses(corrupted(*levels))
    assert (finding.severity, finding.figures["level"]) == (Severity.BLOCKER, 2)


def test_a_class_that_goes_missing_is_told_before_an_accuracy_that_hides_it():
    one = level(1, accuracy=fall(0.04, 0.02, 0.06), recall_Tuberculosis=fall(0.5, 0.35, 0.65))
    (finding,) = find_weaknesses(corrupted(one))
    assert finding.sentence.startswith(
        "JPEG, quality 99 (severity 1 of 5): sensitivity for Tuberculosis falls by 0.50"
        " (0.35 to 0.65), to 0.40; accuracy falls by 0.04"
    )


def attack(name: str, epsilon: float, drop: float) -> dict[str, Any]:
    made = level(1, accuracy=fall(drop, drop - 0.05, drop + 0.05))
    return {**made, "attack": name, "epsilon": epsilon}


def test_attacks_warn_at_the_largest_invisible_epsilon_and_never_block():
    levels = [attack("PGD", 0.5, 0.2), attack("PGD", 1.0, 0.6), attack("PGD", 4.0, 0.9)]
    (finding,) = find_weaknesses(report(attacks={"films": 96, "levels": levels}))
    assert finding.severity is Severity.WARNING
    assert finding.sentence.startswith(
        "PGD with at most 1 of 255 grey levels a pixel, on 96 films: accuracy falls"
    )
    assert finding.figures["epsilon"] == 1.0


def test_too_few_attacked_films_say_so():
    one = attack("FGSM", 1.0, 0.5)
    one["drops"]["accuracy"] = {"value": None, "reason": "6 films: no claim below 10"}
    (finding,) = find_weaknesses(report(attacks={"films": 6, "levels": [one]}))
    assert (finding.severity, finding.sentence) == (Severity.NOTE, "FGSM: 6 films: no claim below 10.")


def site(seen: int = 0, **drops: dict[str, float]) -> dict[str, Any]:
    return {**level(1, **drops), "name": "sakha", "films": 402, "seen": seen}


def test_a_collapse_at_another_site_comes_first():
    whole = corrupted(level(2, accuracy=fall(0.21, 0.17, 0.25)))
    whole["external"] = [site(recall_Tuberculosis=fall(0.9, 0.8, 1.0))]
    codes = [finding.code for finding in find_weaknesses(whole)]
    assert codes == ["external-drop", "corruption-jpeg"]


def test_a_class_that_goes_unrecognised_at_a_site_blocks_even_if_it_was_never_measured_here():
    there = site(accuracy=fall(0.02, 0.01, 0.03))
    there["figures"]["recall_Tuberculosis"] = fall(0.0, 0.0, 0.19)
    there["figures"]["recall_Pneumonia"] = fall(0.5, 0.4, 0.6)  # the bound itself is allowed
    first, second = find_weaknesses(report(external=[there]))
    assert (first.code, first.severity) == ("external-class-fails", Severity.BLOCKER)
    assert first.sentence == "At sakha: sensitivity for Tuberculosis is 0.00 (0.00 to 0.19)."
    assert second.severity is Severity.NOTE


def test_a_site_that_was_seen_is_no_site():
    found = find_weaknesses(report(external=[site(seen=3)]))
    assert [(finding.code, finding.severity) for finding in found] == [
        ("external-films-seen", Severity.BLOCKER),
        ("external-holds", Severity.NOTE),
    ]
    assert "3 of 402 films are also among the data" in found[0].sentence


def group(name: str, **area: Any) -> dict[str, Any]:
    return {"column": "sex", "value": name, "films": 60, "figures": {"sick_vs_normal": area}}


def test_a_weak_group_is_told_and_a_small_one_makes_no_claim():
    groups = [
        group("F", value=0.7, low=0.6, high=0.8),
        group("M", value=0.9, low=0.85, high=0.95),
        group("X", value=None, reason="7 films: no claim below 10"),
    ]
    weak, silent = find_weaknesses(report(groups=groups))
    assert weak.severity is Severity.WARNING
    assert weak.sentence == "sex F (60 films): sick/normal AUROC 0.70 (0.60 to 0.80), 0.90 over all films."
    assert silent.sentence == "No sick/normal claim for 1 group(s): sex X: 7 films: no claim below 10."


def test_what_the_table_does_not_tell_is_said():
    (finding,) = find_weaknesses(report(unknown_columns=["sex", "age"]))
    assert finding.code == "groups-not-told"
    assert "does not tell sex, age" in finding.sentence
