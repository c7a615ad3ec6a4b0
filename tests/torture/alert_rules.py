"""Group T: the rules that raise alerts are those of the report, and no change of one passes their tests."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hilum.monitoring import prometheus_rules
from hilum.monitoring.catalogue import CATALOGUE, AlertKind
from hilum.monitoring.rule_cases import all_cases, make_cases
from hilum.monitoring.rule_tests import to_file
from tests.harness.promtool import judge_tests, write_yaml
from tests.monitoring.test_prometheus_rules import mutants_of

from .trial import Finding, trial

MIN_CASES, MIN_RULES = 90, 18
UNTOUCHED, FLIPPED = "untouched", "HilumInputDrift"
_COMPARISON = re.compile(r" (?P<sign>[<>]) (?P<number>[0-9.e+-]+)$")

REPORT: dict[str, tuple[str, str, float | None]] = {
    "Table 22, PSI > 0.2": ("HilumInputDrift", ">", 0.2),
    "Table 22, resolution > 20 % out of range": ("HilumResolutionOutOfRange", ">", 0.2),
    "Table 22, class shift > 15 %": ("HilumClassShift", ">", 0.15),
    "Table 22, accuracy drop > 5 %": ("HilumAccuracyDrop", ">", 0.05),
    "Table 22, mean confidence < 0.6": ("HilumLowConfidence", "<", 0.6),
    "Table 22, any class > 40 % errors": ("HilumClassErrors", ">", 0.4),
    "Table 22, ECE > 0.1": ("HilumMiscalibrated", ">", 0.1),
    "Table 22, slope off by > 0.15": ("HilumReliabilitySlope", ">", 0.15),
    "Table 22, p95 > 500 ms": ("HilumSlow", ">", 0.5),
    "Table 22, volume": ("HilumUnusualVolume", "<", None),
    "Table 22, 5xx > 1 %": ("HilumServerErrors", ">", 0.01),
    "8.4, retraining": ("HilumRetrainingDue", ">", 0.0),
    "9.4, model failure": ("HilumModelFallback", ">", 0.0),
    "9.4, data breach": ("HilumLockdown", ">", 0.0),
    "9.4, misdiagnosis": ("HilumReviewWaiting", ">", 0.0),
    "9.4, latency > 500 ms": ("HilumSlow", ">", 0.5),
    "9.4, team lead after 15 minutes": ("HilumEscalatedToLead", "15m", None),
    "9.4, CISO after an hour": ("HilumEscalatedToCiso", "1h", None),
}
"""Each row of the report to the alert, and the sign and number (None: the report gives none), or the wait."""


@trial(
    "T1",
    "every alert's rule changed in up to seven ways (threshold, comparator, hold, severity), each under"
    " promtool's"
    " cases; all rules held against the rows of report Table 22 and section 9.4",
    target=f"at least {MIN_CASES} cases and {MIN_RULES} rules, all green; 100 % of the changed rules"
    " red; every row"
    " has its rule, with the report's number",
    sabotage="the comparator of one rule is flipped",
)
def mutate_rules(folder: Path, broken: bool) -> Finding:
    """Let promtool judge the rules and every mutant of them; read the rows off the rules."""
    if broken:
        make = prometheus_rules.make_rule
        prometheus_rules.make_rule = lambda kind, **options: _flipped(make(kind, **options))  # type: ignore[assignment]
    rules = {
        rule["alert"]: rule for group in prometheus_rules.make_rules()["groups"] for rule in group["rules"]
    }
    kinds = [kind for kind in CATALOGUE if kind.name == FLIPPED] if broken else CATALOGUE
    without = [row for row, wanted in REPORT.items() if not _is_there(rules, *wanted)]
    cases = sum(len(several) for several in all_cases().values())
    red, green_mutants, red_rules = Counter[str](), [], []
    written: dict[str, tuple[str, str]] = {}
    for name, change, path in _write_mutants(folder, rules, kinds):
        written[str(path)] = (name, change)
    outcomes = judge_tests(*map(Path, written))
    for path, (name, change) in written.items():
        if change == UNTOUCHED:
            red_rules += [name] if outcomes[path] else []
        elif outcomes[path]:
            red[change] += 1
        else:
            green_mutants.append(f"{name}: {change}")
    mutants = red.total() + len(green_mutants)
    wrong = "; ".join([f"first: {one}" for one in (green_mutants + red_rules + without)[:1]])
    return Finding(
        mutants,
        not (green_mutants or red_rules or without) and cases >= MIN_CASES and len(rules) >= MIN_RULES,
        f"{red.total()} of {mutants} changed rules red, {len(red_rules)} of {len(kinds)} rules red as"
        " they are, over"
        f" {cases} cases; {len(REPORT) - len(without)} of {len(REPORT)} rows of the report have their rule"
        f"{'; ' + wrong if wrong else ''}",
    )


def _flipped(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the rule, or for one alert what it must not be."""
    if rule["alert"] != FLIPPED:
        return rule
    return {**rule, "expr": rule["expr"].replace(" > ", " < ")}


def _write_mutants(
    folder: Path, rules: dict[str, dict[str, Any]], kinds: Iterable[AlertKind]
) -> Iterator[tuple[str, str, Path]]:
    """Write each rule as it is deployed, and each mutant of it, with the cases of its alert."""
    for kind in kinds:
        changed = [(mutant.change, mutant.rule) for mutant in mutants_of(kind) if mutant.change != UNTOUCHED]
        for place, (change, rule) in enumerate([(UNTOUCHED, rules[kind.name]), *changed]):
            file = f"{kind.name}_{place}"
            write_yaml(folder / f"{file}.yml", {"groups": [{"name": "one", "rules": [rule]}]})
            tests = write_yaml(folder / f"{file}_test.yml", to_file(f"{file}.yml", make_cases(kind)))
            yield kind.name, change, tests


def _is_there(rules: dict[str, dict[str, Any]], alert: str, sign: str, number: float | None) -> bool:
    if alert not in rules:
        return False
    if sign not in "<>":
        return bool(rules[alert].get("for") == sign)
    found = _COMPARISON.search(rules[alert]["expr"])
    return (
        found is not None and found["sign"] == sign and (number is None or float(found["number"]) == number)
    )
