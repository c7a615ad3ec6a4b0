"""The monitoring report: what the signals say now, the alerts, and every signal over the days, on one page.

For whoever does not run the service's page: one self-contained HTML file and the same as JSON. Holds nothing
of a film or a person but request ids.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hilum.domain.notice import NOTICE
from hilum.evaluation.reference_profile import ReferenceProfile
from hilum.files import to_json, write_atomic
from hilum.journal.clock import format_utc
from hilum.monitoring.alerts import Alert
from hilum.monitoring.catalogue import BY_SIGNAL
from hilum.monitoring.curves import Point, read_curves
from hilum.monitoring.monitor import Monitor
from hilum.monitoring.reliability import WeeklyDiagram, read_weekly
from hilum.monitoring.signal import Assessment, Group, Signal, State

PAGE_FILE, RECORD_FILE = "monitoring.html", "monitoring.json"
_WIDTH, _HEIGHT = 640.0, 120.0
_LEAST_P = 1e-12
_WEEK_DAYS = 7
_ROOM = 1.15  # of the highest value, above it
_STATES = {
    State.OVER: "over",
    State.UNSURE: "above, but chance explains it",
    State.OK: "within",
    State.NOT_ENOUGH: "not enough yet",
    State.NOT_JUDGED: "not judged",
}
_GROUPS = {
    Group.DRIFT: "Drift: are the films, and what the network makes of them, as they were?",
    Group.PERFORMANCE: "Performance: are answers still right?",
    Group.CALIBRATION: "Calibration: do probabilities mean what they say?",
    Group.OPERATION: "Operation: does the service do its work?",
}


@dataclass(frozen=True, slots=True)
class MonitoringReport:
    """Everything on the page."""

    assessment: Assessment
    alerts: Sequence[Alert]
    curves: Mapping[str, Sequence[Point]]
    weeks: Sequence[WeeklyDiagram]


def make_report(
    monitor: Monitor, model_version: str, reference: ReferenceProfile | None, *, days: int
) -> MonitoringReport:
    """Look once more, and gather what was kept of the last `days`.

    Raises
    ------
    JournalUnavailable
        The database does not answer.
    """
    look = monitor.look(model_version, reference)
    since = f"{look.assessment.at - timedelta(days=days - 1):%Y-%m-%d}"
    curves = read_curves(monitor.journal.storage, model_version, since=since)
    weeks = read_weekly(monitor.journal.storage, model_version, weeks=math.ceil(days / _WEEK_DAYS))
    return MonitoringReport(look.assessment, monitor.alerts.find(), curves, weeks)


def to_record(report: MonitoringReport) -> dict[str, Any]:
    """Return the report as JSON values."""
    assessment = report.assessment
    return {
        "at": format_utc(assessment.at),
        "model_version": assessment.model_version,
        "reference": assessment.reference,
        "conclusions": list(assessment.conclusions),
        "signals": [signal_record(signal) for signal in assessment.signals],
        "alerts": [_alert_record(alert) for alert in report.alerts],
        "curves": {name: [asdict(point) for point in points] for name, points in report.curves.items()},
        "reliability_weeks": [
            {**asdict(week), "sentences": list(week.sentences), "bins": list(week.bins)}
            for week in report.weeks
        ],
    }


def signal_record(signal: Signal) -> dict[str, Any]:
    """Return a signal as JSON values."""
    return {**asdict(signal), "group": str(signal.group), "state": str(signal.state)}


def _alert_record(alert: Alert) -> dict[str, Any]:
    moments = {
        name: None if (moment := getattr(alert, name)) is None else format_utc(moment)
        for name in ("opened_at", "closed_at", "acknowledged_at")
    }
    return {
        "id": alert.id,
        "name": alert.name,
        "signal": alert.signal,
        "severity": alert.severity,
        **moments,
        "evidence": dict(alert.evidence),
    }


def write_report(report: MonitoringReport, folder: Path) -> Path:
    """Write the page and the JSON, each whole or not at all; return the page."""
    record = to_json(to_record(report), indent=1) + "\n"
    for name, text in ((RECORD_FILE, record), (PAGE_FILE, render_page(report))):
        write_atomic(folder / name, text)
    return folder / PAGE_FILE


def render_page(report: MonitoringReport) -> str:
    """Return the page as one HTML text without outside references."""
    environment = Environment(
        loader=PackageLoader("hilum.monitoring", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    assessment = report.assessment
    groups = [
        {
            "title": title,
            "signals": [
                {"signal": signal, "state": _STATES[signal.state], "title": _title(signal),
                 "curve": draw_curve(report.curves.get(signal.name, ()), is_p=is_chance(signal))}
                for signal in assessment.signals if signal.group is group
            ],
        }
        for group, title in _GROUPS.items()
    ]  # fmt: skip
    return environment.get_template("report.html.j2").render(
        notice=NOTICE,
        assessment=assessment,
        at=f"{assessment.at:%Y-%m-%d %H:%M} UTC",
        open_alerts=[alert for alert in report.alerts if alert.is_open],
        ended_alerts=[alert for alert in report.alerts if not alert.is_open],
        groups=groups,
        diagram=_diagram(assessment),
        weeks=report.weeks,
        width=_WIDTH,
        height=_HEIGHT,
    )


def _title(signal: Signal) -> str:
    return BY_SIGNAL[signal.kind].title if signal.kind in BY_SIGNAL else signal.name


def _diagram(assessment: Assessment) -> list[dict[str, Any]]:
    ece = assessment.find("ece")
    return [one for one in ece.detail.get("bins", []) if one["films"]] if ece is not None else []


def is_chance(signal: Signal) -> bool:
    """Return whether a signal is the chance that nothing moved, which is drawn on a logarithmic axis."""
    return signal.kind in {"embedding", "volume"}


def draw_curve(points: Sequence[Point], *, is_p: bool = False) -> dict[str, Any] | None:
    """Return the curve of a signal as SVG coordinates; None when no day was judged.

    A day without a value breaks the line: nothing is drawn where nothing is known. A chance is drawn by its
    logarithm, upside down, so that the curve of every signal that must not rise crosses its line upwards.
    """
    values = [point.value for point in points if point.value is not None]
    if not values:
        return None
    threshold = points[-1].threshold

    def scale(value: float) -> float:
        return -math.log10(max(value, _LEAST_P)) if is_p else value

    top = max(*map(scale, values), scale(threshold), 1e-12) * _ROOM
    step = _WIDTH / max(len(points) - 1, 1)

    def y(value: float) -> float:
        return round(_HEIGHT - _HEIGHT * min(max(scale(value), 0.0) / top, 1.0), 1)

    lines: list[list[str]] = [[]]
    for place, point in enumerate(points):
        if point.value is None:
            lines.append([])
        else:
            lines[-1].append(f"{place * step:.1f},{y(point.value)}")
    return {
        "lines": [" ".join(line) for line in lines if len(line) > 1],
        "dots": [line[0].split(",") for line in lines if len(line) == 1],
        "threshold": y(threshold),
        "first": points[0].day,
        "last": points[-1].day,
        "newest": values[-1],
        "highest": max(values),
        "lowest": min(values),
    }
