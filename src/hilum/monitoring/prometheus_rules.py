"""The alerts of the catalogue as rules of Prometheus, and the rules that pass on what nobody takes.

Report 9.4: an alert that the engineer on call has not taken within 15 minutes goes to the team lead; one of
security goes on to the CISO after an hour. Alertmanager knows no taking. An alert counts as taken when hilum
says so (`hilum_alert_acknowledged`, from the page), which these rules look at; a silence in Alertmanager on
the label `alert` mutes an alert together with its escalations, for all three carry it.

Knows nothing of who is told: see `hilum.monitoring.alertmanager`.
"""

from dataclasses import dataclass
from typing import Any

from hilum.domain.thresholds import ESCALATE_ENGINEER_S, ESCALATE_LEAD_S
from hilum.monitoring.catalogue import CATALOGUE, AlertKind, Direction, Severity
from hilum.monitoring.signal import Group

RUNBOOKS = "docs/runbooks"
ESCALATION_GROUP = "hilum-escalation"
_MINUTE_S, _HOUR_S = 60, 3_600
_MILLISECONDS = 1_000


@dataclass(frozen=True, slots=True)
class Escalation:
    """A step of report 9.4: after `hold_s` alerts of `severities` that nobody took go to `to`.

    `to` is the severity of the new alert, by which Alertmanager knows whom to tell.
    """

    name: str
    to: str
    severities: tuple[Severity, ...]
    hold_s: int
    summary: str

    @property
    def promql(self) -> str:
        """The expression that Prometheus evaluates; keeps the alert, its group and its instance."""
        severities = "|".join(self.severities)
        return (
            f'max by (alert, group, instance) (ALERTS{{alertstate="firing", severity=~"{severities}"}})'
            " unless on (alert) (hilum_alert_acknowledged == 1)"
        )


ESCALATIONS: tuple[Escalation, ...] = (
    Escalation(
        "HilumEscalatedToLead", "lead", (Severity.PAGE, Severity.SECURITY), ESCALATE_ENGINEER_S,
        "Nobody has taken {alert}: to the team lead",
    ),
    Escalation(
        "HilumEscalatedToCiso", "ciso", (Severity.SECURITY,), ESCALATE_LEAD_S,
        "Nobody has taken {alert}: to the CISO",
    ),
)  # fmt: skip
"""The steps after the engineer on call. Tickets wait for the team and go nowhere by themselves."""


def make_rules(*, faster: float = 1.0) -> dict[str, Any]:
    """Return the rule file as a value: a group of rules for each category of report Table 22.

    Parameters
    ----------
    faster
        What every hold time is divided by; 1 in use, more in a test that does not wait for hours.
    """
    groups = [
        {
            "name": group_name(group),
            "rules": [make_rule(kind, faster=faster) for kind in CATALOGUE if kind.group is group],
        }
        for group in Group
    ]
    escalations = [make_escalation(step, faster=faster) for step in ESCALATIONS]
    return {"groups": [*groups, {"name": ESCALATION_GROUP, "rules": escalations}]}


def make_rule(kind: AlertKind, *, faster: float = 1.0) -> dict[str, Any]:
    """Return the rule of one alert."""
    hold = {"for": format_duration(kind.hold_s / faster)} if kind.hold_s else {}
    return {
        "alert": kind.name,
        "expr": kind.promql,
        **hold,
        "labels": rule_labels(kind),
        "annotations": {
            "summary": kind.title + (": {{ $labels.signal }}" if is_of_signal(kind) else ""),
            "description": describe(kind, '{{ $value | printf "%.4g" }}'),
            "runbook": f"{RUNBOOKS}/{kind.runbook}",
        },
    }


def make_escalation(step: Escalation, *, faster: float = 1.0) -> dict[str, Any]:
    """Return the rule of one step."""
    return {
        "alert": step.name,
        "expr": step.promql,
        "for": format_duration(step.hold_s / faster),
        "labels": {"severity": step.to},
        "annotations": {
            "summary": step.summary.format(alert="{{ $labels.alert }}"),
            "description": f"It has fired for {format_duration(step.hold_s)} and is not acknowledged.",
            "runbook": f"{RUNBOOKS}/{{{{ $labels.alert }}}}.md",
        },
    }


def group_name(group: Group) -> str:
    """Return what a category is called among the groups of rules."""
    return f"hilum-{group}"


def rule_labels(kind: AlertKind) -> dict[str, str]:
    """Return the labels that a rule adds."""
    return {"alert": kind.name, "severity": str(kind.severity), "group": str(kind.group)}


def describe(kind: AlertKind, value: str) -> str:
    """Say what a value of an alert is held against, in one line."""
    side = "above" if kind.direction is Direction.ABOVE else "below"
    end = " (the end of its interval nearer to the threshold)" if is_of_signal(kind) else ""
    return f"{value}{end}, {side} {kind.threshold:g} ({kind.unit}). {kind.source}."


def is_of_signal(kind: AlertKind) -> bool:
    """Tell whether hilum's own judgement of a signal raises an alert, rather than what the service counts."""
    return kind.signal is not None and not kind.expression


def format_duration(seconds: float) -> str:
    """Return a duration as Prometheus reads it."""
    for unit, length in (("h", _HOUR_S), ("m", _MINUTE_S), ("s", 1)):
        if seconds >= length and seconds % length == 0:
            return f"{int(seconds) // length}{unit}"
    return f"{max(round(seconds * _MILLISECONDS), 1)}ms"
