import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hilum.domain.thresholds import DRIFT_PSI, ESCALATE_ENGINEER_S, ESCALATE_LEAD_S
from hilum.monitoring.catalogue import CATALOGUE, AlertKind, find_alert
from hilum.monitoring.prometheus_rules import (
    ESCALATION_GROUP,
    ESCALATIONS,
    format_duration,
    make_escalation,
    make_rule,
    make_rules,
)
from hilum.monitoring.rule_cases import all_cases, make_cases
from hilum.monitoring.rule_tests import escalation_tests, make_rule_tests, to_file
from tests.harness.promtool import check_rules, judge_tests, write_yaml

COMPARISON = re.compile(r"^(?P<left>.*) (?P<sign>[<>]) (?P<number>[^<>]+)$")
INEXACT = {"HilumFailedLogins"}  # 10 a minute is no number of hits a second: cannot be played exactly


def rules_of(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in made["groups"] for rule in group["rules"]}


def test_every_alert_of_the_catalogue_is_a_rule_in_the_group_of_its_category():
    for group in make_rules()["groups"][:-1]:
        kinds = [kind for kind in CATALOGUE if f"hilum-{kind.group}" == group["name"]]
        assert [rule["alert"] for rule in group["rules"]] == [kind.name for kind in kinds]
    assert set(rules_of(make_rules())) == {kind.name for kind in CATALOGUE} | {
        step.name for step in ESCALATIONS
    }


def test_a_rule_has_the_threshold_and_says_what_it_is_held_against():
    rule = make_rule(find_alert("HilumInputDrift"))
    assert rule["expr"] == f'hilum_signal_bound{{signal=~"psi(:.*)?"}} > {DRIFT_PSI}'
    assert rule["for"] == "5m"
    assert rule["labels"] == {"alert": "HilumInputDrift", "severity": "ticket", "group": "drift"}
    assert rule["annotations"]["description"].endswith("above 0.2 (PSI). report Table 22: PSI > 0.2.")
    assert rule["annotations"]["runbook"] == "docs/runbooks/HilumInputDrift.md"


def test_an_alert_that_may_not_wait_has_no_hold():
    assert "for" not in make_rule(find_alert("HilumLockdown"))


def test_the_holds_are_divided_for_a_test_that_cannot_wait():
    usual, fast = rules_of(make_rules()), rules_of(make_rules(faster=60))
    assert (usual["HilumDown"]["for"], fast["HilumDown"]["for"]) == ("1m", "1s")
    assert (usual["HilumReviewWaiting"]["for"], fast["HilumReviewWaiting"]["for"]) == ("24h", "24m")
    assert fast["HilumEscalatedToLead"]["for"] == "15s"
    assert {name: rule["expr"] for name, rule in usual.items()} == {
        name: rule["expr"] for name, rule in fast.items()
    }


@pytest.mark.parametrize(
    ("seconds", "written"), [(300, "5m"), (86_400, "24h"), (90, "90s"), (0.25, "250ms"), (1e-6, "1ms")]
)
def test_durations_are_written_as_prometheus_reads_them(seconds: float, written: str):
    assert format_duration(seconds) == written


def test_the_path_of_the_report_takes_15_minutes_and_an_hour():
    steps = {rule["alert"]: rule for rule in make_rules()["groups"][-1]["rules"]}
    assert steps["HilumEscalatedToLead"]["for"] == "15m" == format_duration(ESCALATE_ENGINEER_S)
    assert steps["HilumEscalatedToCiso"]["for"] == "1h" == format_duration(ESCALATE_LEAD_S)
    assert 'severity=~"security"' in steps["HilumEscalatedToCiso"]["expr"]


def test_every_alert_has_cases_of_every_sort_and_there_are_90_of_them():
    cases = all_cases()
    for kind in CATALOGUE:
        names = [case.name for case in cases[kind.name]]
        assert len(set(names)) == len(names)
        assert {"well", "no data", "recovered"} <= set(names)
        assert any(name.startswith("over") for name in names)
        is_switch = kind.threshold == 0 or kind.unit in {"up", "ready"}
        assert is_switch or "at the threshold" in names, kind.name
        assert (kind.expression != "") or {"not judged", "signals of other names"} <= set(names)
    assert sum(Counter(case.alert for several in cases.values() for case in several).values()) >= 90


def test_promtool_takes_the_rules_and_every_test_of_them_passes(tmp_path: Path):
    check_rules(write_yaml(tmp_path / "alerts.yml", make_rules()))
    paths = [
        write_yaml(tmp_path / f"tests_{step}.yml", make_rule_tests("alerts.yml", step_min=step))
        for step in (1, 60)
    ]
    outcomes = judge_tests(*paths)
    assert not any(outcomes.values()), outcomes


@dataclass(frozen=True)
class Mutant:
    """A rule that is wrong on purpose, or one that is left as it is to see that its tests are green."""

    alert: str
    change: str
    rule: dict[str, Any]


def with_number(rule: dict[str, Any], number: float) -> dict[str, Any]:
    found = COMPARISON.match(rule["expr"])
    assert found is not None
    return {**rule, "expr": f"{found['left']} {found['sign']} {number:g}"}


def with_sign(rule: dict[str, Any], sign: str) -> dict[str, Any]:
    found = COMPARISON.match(rule["expr"])
    assert found is not None
    return {**rule, "expr": f"{found['left']} {sign} {found['number']}"}


def mutants_of(kind: AlertKind) -> Iterator[Mutant]:
    rule = make_rule(kind)
    sign = ">" if f" > {kind.threshold:g}" in rule["expr"] else "<"
    wrong = (kind.threshold * 10, kind.threshold / 10) if kind.threshold else (1, -1)
    yield Mutant(kind.name, "untouched", rule)
    yield Mutant(kind.name, "threshold x 10, or 1 more than 0", with_number(rule, wrong[0]))
    yield Mutant(kind.name, "threshold / 10, or 1 less than 0", with_number(rule, wrong[1]))
    yield Mutant(kind.name, "comparator flipped", with_sign(rule, {">": "<", "<": ">"}[sign]))
    if kind.name not in INEXACT:
        yield Mutant(kind.name, "comparator takes the threshold in", with_sign(rule, f"{sign}="))
    if "for" in rule:
        without = {name: value for name, value in rule.items() if name != "for"}
        yield Mutant(kind.name, "hold removed", without)
        yield Mutant(kind.name, "hold doubled", {**rule, "for": format_duration(kind.hold_s * 2)})
    yield Mutant(kind.name, "another severity", {**rule, "labels": {**rule["labels"], "severity": "none"}})


def test_the_tests_turn_red_for_every_rule_that_is_changed(tmp_path: Path):
    written: dict[str, Mutant] = {}
    for kind in CATALOGUE:
        for place, mutant in enumerate(mutants_of(kind)):
            name = f"{kind.name}_{place}"
            write_yaml(tmp_path / f"{name}.yml", {"groups": [{"name": "one", "rules": [mutant.rule]}]})
            tests = write_yaml(tmp_path / f"{name}_test.yml", to_file(f"{name}.yml", make_cases(kind)))
            written[str(tests)] = mutant
    outcomes = judge_tests(*map(Path, written))
    green = {(mutant.alert, mutant.change) for path, mutant in written.items() if not outcomes[path]}
    assert green == {(kind.name, "untouched") for kind in CATALOGUE}
    assert len(written) >= 7 * len(CATALOGUE) - len(INEXACT) - 2 * sum(not kind.hold_s for kind in CATALOGUE)


def test_the_tests_turn_red_for_every_escalation_that_is_changed(tmp_path: Path):
    changes = {
        "untouched": lambda step: step,
        "hold removed": lambda step: {name: value for name, value in step.items() if name != "for"},
        "hold doubled": lambda step: {**step, "for": f"2{step['for']}"},
        "taken or not": lambda step: {**step, "expr": step["expr"].split(" unless ")[0]},
        "taken by anyone": lambda step: {**step, "expr": step["expr"].replace("on (alert)", "on (job)")},
        "of other alerts": lambda step: {**step, "expr": step["expr"].replace("severity=~", "severity!~")},
        "of all alerts": lambda step: {**step, "expr": step["expr"].replace("severity=~", "job!~")},
        "to nobody": lambda step: {**step, "labels": {"severity": "none"}},
    }  # fmt: skip
    written = {}
    for place, (change, apply) in enumerate(changes.items()):
        for number in range(len(ESCALATIONS)):
            raised = [
                make_rule(find_alert(alert))
                for alert in ("HilumModelFallback", "HilumLockdown", "HilumRetrainingDue")
            ]
            steps = [make_escalation(step) for step in ESCALATIONS]
            steps[number] = apply(steps[number])
            groups = {"raised": raised, ESCALATION_GROUP: steps}
            made = {"groups": [{"name": name, "rules": rules} for name, rules in groups.items()]}
            name = f"escalation_{place}_{number}"
            write_yaml(tmp_path / f"{name}.yml", made)
            path = write_yaml(tmp_path / f"{name}_test.yml", to_file(f"{name}.yml", [], escalation_tests()))
            written[str(path)] = (change, steps[number]["alert"])
    outcomes = judge_tests(*map(Path, written))
    green = {mutant for path, mutant in written.items() if not outcomes[path]}
    assert green == {("untouched", step.name) for step in ESCALATIONS}


def test_the_rules_of_the_deployment_load_every_file_that_is_made():
    from hilum.monitoring.deploy_files import RULES, TESTS

    deploy = Path(__file__).parents[2] / "deploy"
    settings = yaml.safe_load((deploy / "prometheus/prometheus.yml").read_text())
    assert settings["rule_files"] == [Path(RULES).name]
    assert all((deploy / path).exists() for path in TESTS)
