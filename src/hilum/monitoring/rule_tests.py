"""What promtool is asked about the rules: the cases as a file of its unit tests.

What an alert must say (labels and sentences, figures included) is worked out here from the catalogue and from
the value that a case plays; promtool compares it, letter by letter, with what Prometheus makes of the rules.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hilum.domain.thresholds import ESCALATE_ENGINEER_S, ESCALATE_LEAD_S
from hilum.monitoring.catalogue import AlertKind, find_alert
from hilum.monitoring.prometheus_rules import (
    ESCALATION_GROUP,
    ESCALATIONS,
    RUNBOOKS,
    describe,
    format_duration,
    group_name,
    rule_labels,
)
from hilum.monitoring.rule_cases import INSTANCE, Case, Firing, all_cases
from hilum.monitoring.signal import Group

_MINUTE_S = 60
_FOREVER_MIN = 75


def make_rule_tests(rule_file: str, *, step_min: int = 1) -> dict[str, Any]:
    """Return the tests of every alert whose cases go by steps of so many minutes, as a value.

    promtool evaluates all rules at one interval for a whole file, so what must last for hours has a file of
    its own. Those of one minute hold the escalations as well.

    Parameters
    ----------
    rule_file
        Name of the file of rules, from the folder of the tests.
    """
    cases = [case for several in all_cases().values() for case in several if case.step_min == step_min]
    return to_file(rule_file, cases, [] if step_min > 1 else escalation_tests())


def to_file(rule_file: str, cases: Sequence[Case], others: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return cases of one step, and other tests, as a file of promtool."""
    step = cases[0].step_min if cases else 1
    return {
        "rule_files": [rule_file],
        "evaluation_interval": f"{step}m",
        "group_eval_order": [*(group_name(group) for group in Group), ESCALATION_GROUP],  # else by chance
        "tests": [*(to_test(case) for case in cases), *others],
    }


def to_test(case: Case) -> dict[str, Any]:
    """Return one case as promtool has it."""
    kind = find_alert(case.alert)
    return _test(
        f"{case.alert}: {case.name}",
        case.series,
        [
            _asked(
                case.alert,
                firing.minute * case.step_min,
                [] if firing.value is None else [_alert(kind, firing)],
            )
            for firing in case.expected
        ],
        step_min=case.step_min,
    )


def escalation_tests() -> list[dict[str, Any]]:
    """Return the tests of the escalations: of a page, of security, of a ticket, and of what was taken."""
    lead, ciso = ESCALATE_ENGINEER_S // _MINUTE_S, ESCALATE_LEAD_S // _MINUTE_S
    page, security, ticket = "HilumModelFallback", "HilumLockdown", "HilumRetrainingDue"
    assert find_alert(page).hold_s == find_alert(security).hold_s == 0
    to_lead, to_ciso = (step.name for step in ESCALATIONS)
    taken = 5  # minutes until somebody takes it
    return [
        _escalated("a page nobody takes", {page: _on()}, [
            (to_lead, lead - 1, None), (to_lead, lead, page), (to_ciso, _FOREVER_MIN, None)]),
        _escalated("an incident of security that nobody takes", {security: _on()}, [
            (to_lead, lead - 1, None), (to_lead, lead, security),
            (to_ciso, ciso - 1, None), (to_ciso, ciso, security)]),
        _escalated("a ticket waits", {ticket: _on()}, [
            (to_lead, _FOREVER_MIN, None), (to_ciso, _FOREVER_MIN, None)]),
        _escalated("taken in time", {security: _on()}, [
            (to_lead, _FOREVER_MIN, None), (to_ciso, _FOREVER_MIN, None)], {security: f"0x{taken} 1x90"}),
        _escalated("taken late", {security: _on()}, [
            (to_lead, lead + 5, security), (to_lead, lead + 10, None), (to_ciso, _FOREVER_MIN, None)],
            {security: f"0x{lead + 5} 1x90"}),
        _escalated("another one was taken", {page: _on(), security: _on()}, [
            (to_lead, _FOREVER_MIN, page), (to_ciso, _FOREVER_MIN, None)], {security: "1x90", page: "0x90"}),
        _escalated("over again and again", {page: "1x9 0x5 1x9 0x5 1x9 0x60"}, [
            (to_lead, minute, None) for minute in (10, lead, 20, 30, 40)]),
        _escalated("nothing fires", {}, [(to_lead, _FOREVER_MIN, None), (to_ciso, _FOREVER_MIN, None)]),
    ]  # fmt: skip


_GAUGES = {
    "HilumModelFallback": "hilum_model_fallback",
    "HilumLockdown": "hilum_lockdown",
    "HilumRetrainingDue": "hilum_retraining_open",
}


def _on() -> str:
    return f"1x{_FOREVER_MIN}"


def _escalated(
    name: str,
    raised: Mapping[str, str],
    expected: Sequence[tuple[str, int, str | None]],
    acknowledged: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    place = ", ".join(f'{key}="{value}"' for key, value in INSTANCE.items())
    series = {f"{_GAUGES[alert]}{{{place}}}": values for alert, values in raised.items()}
    series |= {
        f'hilum_alert_acknowledged{{alert="{alert}", {place}}}': values
        for alert, values in (acknowledged or {}).items()
    }
    asked = [
        _asked(step, minute, [] if alert is None else [_escalation(step, alert)])
        for step, minute, alert in expected
    ]
    return _test(f"escalation: {name}", series or {"unrelated": "0x90"}, asked)


def _escalation(name: str, alert: str) -> dict[str, Any]:
    step = next(one for one in ESCALATIONS if one.name == name)
    kind = find_alert(alert)
    return {
        "exp_labels": {
            "alert": alert, "group": str(kind.group), "instance": INSTANCE["instance"], "severity": step.to,
        },
        "exp_annotations": {
            "summary": step.summary.format(alert=alert),
            "description": f"It has fired for {format_duration(step.hold_s)} and is not acknowledged.",
            "runbook": f"{RUNBOOKS}/{kind.runbook}",
        },
    }  # fmt: skip


def _alert(kind: AlertKind, firing: Firing) -> dict[str, Any]:
    signal = firing.labels.get("signal")
    return {
        "exp_labels": {**rule_labels(kind), **firing.labels},
        "exp_annotations": {
            "summary": kind.title + ("" if signal is None else f": {signal}"),
            "description": describe(kind, f"{firing.value:.4g}"),
            "runbook": f"{RUNBOOKS}/{kind.runbook}",
        },
    }


def _asked(alert: str, minute: int, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": alerts}


def _test(
    name: str, series: Mapping[str, str], asked: list[dict[str, Any]], *, step_min: int = 1
) -> dict[str, Any]:
    return {
        "name": name,
        "interval": f"{step_min}m",
        "input_series": [{"series": selector, "values": values} for selector, values in series.items()],
        "alert_rule_test": asked,
    }
