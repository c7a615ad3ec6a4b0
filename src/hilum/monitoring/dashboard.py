"""The dashboard of Grafana: what wants attention, then each category of report Table 22 with its thresholds.

A panel for each alert shows what is held against the threshold and the threshold as a line. Everything comes
from the catalogue; Grafana is given the JSON and nothing is drawn by hand.
"""

import re
from collections.abc import Iterator
from typing import Any

from hilum.domain.notice import NOTICE
from hilum.monitoring.catalogue import CATALOGUE, AlertKind, Direction
from hilum.monitoring.prometheus_rules import is_of_signal
from hilum.monitoring.signal import Group

UID = "hilum"
DATASOURCE = {"type": "prometheus", "uid": "hilum-prometheus"}
_TITLES = {
    Group.DRIFT: "Drift of films and calls",
    Group.PERFORMANCE: "Performance",
    Group.CALIBRATION: "Calibration",
    Group.OPERATION: "Operation",
}
_WIDTH, _PER_ROW, _HEIGHT = 24, 3, 7
_COMPARED = re.compile(r"^(?P<measured>.*) [<>] [^<>]+$", re.DOTALL)


def make_dashboard() -> dict[str, Any]:
    """Return the dashboard as a value, schema 39 (Grafana 11 and later)."""
    panels = _place([*_overview(), *(panel for group in Group for panel in _group(group)), *_traffic()])
    return {
        "uid": UID,
        "title": "hilum in use",
        "description": NOTICE,
        "tags": ["hilum"],
        "schemaVersion": 39,
        "timezone": "utc",
        "editable": False,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": panels,
    }


def measured(kind: AlertKind) -> str:
    """Return what an alert holds against its threshold, as PromQL: the value, where hilum judges it."""
    if is_of_signal(kind):
        return f'hilum_signal_value{{signal=~"{kind.signal}(:.*)?"}}'
    found = _COMPARED.match(kind.promql)
    assert found is not None, f"{kind.name}: {kind.promql} compares with nothing"
    return found["measured"]


def _overview() -> Iterator[dict[str, Any]]:
    yield _row("Now")
    yield {
        **_panel("Alerts that fire", "table", "Of Prometheus, escalations included; nothing is well."),
        "targets": [
            {
                **_target('ALERTS{alertstate="firing", alertname=~"Hilum.+"}', ""),
                "instant": True,
                "format": "table",
            }
        ],
        "transformations": [
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True, "Value": True, "__name__": True, "job": True},
                    "indexByName": {"severity": 0, "alertname": 1, "alert": 2, "signal": 3, "instance": 4},
                },
            }
        ],
        "gridPos": {"w": 12, "h": _HEIGHT},
    }
    yield {
        **_panel("Alerts that hilum keeps", "table", "Open in hilum, with their evidence on its page."),
        "targets": [{**_target("hilum_alerts_open > 0", ""), "instant": True, "format": "table"}],
        "transformations": [
            {
                "id": "organize",
                "options": {"excludeByName": {"Time": True, "__name__": True, "job": True, "instance": True}},
            }
        ],
        "gridPos": {"w": 6, "h": _HEIGHT},
    }
    yield _stat("Answers films", "min(hilum_ready)", good=1, bad=0, words={"1": "yes", "0": "no"})
    yield _stat(
        "Version in use", "max(hilum_model_fallback)", good=0, bad=1,
        words={"0": "the wanted one", "1": "FALLBACK to another"},
    )  # fmt: skip
    yield _stat("Shut", "max(hilum_lockdown)", good=0, bad=1, words={"0": "open", "1": "LOCKDOWN"})


def _group(group: Group) -> Iterator[dict[str, Any]]:
    yield _row(_TITLES[group])
    for kind in CATALOGUE:
        if kind.group is group:
            yield _held(kind)
            if is_of_signal(kind):
                yield _films(kind)


def _held(kind: AlertKind) -> dict[str, Any]:
    """Return the panel of a value and its threshold, which is where the colours meet."""
    is_ceiling = kind.direction is Direction.ABOVE
    steps = [
        {"color": "green" if is_ceiling else "red", "value": None},
        {"color": "red" if is_ceiling else "green", "value": kind.threshold},
    ]
    side = "over above" if is_ceiling else "over below"
    panel = _panel(
        kind.title,
        "timeseries",
        f"{kind.name}, {kind.severity}: {side} {kind.threshold:g} ({kind.unit}). {kind.source}."
        f" docs/runbooks/{kind.runbook}",
    )
    return {
        **panel,
        "targets": [_target(measured(kind), "{{signal}}" if is_of_signal(kind) else kind.unit)],
        "fieldConfig": {
            "defaults": {
                "custom": {"thresholdsStyle": {"mode": "line+area"}, "spanNulls": False},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
    }


def _films(kind: AlertKind) -> dict[str, Any]:
    """Return the panel of how much a signal rests on, without which no value can be read."""
    panel = _panel(f"Films behind: {kind.title[0].lower()}{kind.title[1:]}", "timeseries", kind.name)
    films = f'hilum_signal_films{{signal=~"{kind.signal}(:.*)?"}}'
    return {**panel, "targets": [_target(films, "{{signal}}")]}


def _traffic() -> Iterator[dict[str, Any]]:
    yield _row("Traffic and latency")
    yield _series(
        "Requests a second by status", "sum by (status) (rate(hilum_requests_total[5m]))", "{{status}}"
    )
    yield _series("Films answered a minute, by call",
                  "sum by (finding) (rate(hilum_predictions_total[1h])) * 60", "{{finding}}")  # fmt: skip
    yield _series("Refusals a minute, by code", "sum by (code) (rate(hilum_refusals_total[1h])) * 60",
                  "{{code}}")  # fmt: skip
    panel = _panel("Time for one film", "timeseries", "Decoding, gate, network and map.")
    quantiles = (0.5, 0.95, 0.99)
    yield {
        **panel,
        "targets": [
            _target(
                f"histogram_quantile({share:g}, sum by (le) (rate(hilum_inference_seconds_bucket[10m])))",
                f"p{share * 100:g}",
                ref=chr(ord("A") + place),
            )
            for place, share in enumerate(quantiles)
        ],
        "fieldConfig": {"defaults": {"unit": "s"}, "overrides": []},
    }
    yield _series("Films in work", "sum(hilum_films_in_work)", "films")
    yield _series("Models that failed", "sum(increase(hilum_model_failures_total[1h]))", "an hour")
    yield _series(
        "Alerts that reached nobody",
        "sum by (integration) (increase(alertmanager_notifications_failed_total[1h]))",
        "{{integration}}, an hour",
    )


def _series(title: str, expression: str, legend: str) -> dict[str, Any]:
    return {**_panel(title, "timeseries", ""), "targets": [_target(expression, legend)]}


def _stat(title: str, expression: str, *, good: int, bad: int, words: dict[str, str]) -> dict[str, Any]:
    colours = sorted([(good, "green"), (bad, "red")])
    return {
        **_panel(title, "stat", ""),
        "targets": [{**_target(expression, title), "instant": True}],
        "gridPos": {"w": 2, "h": _HEIGHT},
        "fieldConfig": {
            "defaults": {
                "mappings": [
                    {"type": "value", "options": {key: {"text": text} for key, text in words.items()}}
                ],
                "thresholds": {
                    "mode": "absolute",
                    "steps": [
                        {"color": colours[0][1], "value": None},
                        {"color": colours[1][1], "value": colours[1][0]},
                    ],
                },
            },
            "overrides": [],
        },
    }


def _row(title: str) -> dict[str, Any]:
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


def _panel(title: str, kind: str, description: str) -> dict[str, Any]:
    return {"type": kind, "title": title, "description": description, "datasource": DATASOURCE}


def _target(expression: str, legend: str, *, ref: str = "A") -> dict[str, Any]:
    return {"refId": ref, "expr": expression, "legendFormat": legend, "datasource": DATASOURCE}


def _place(panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each panel a number and a place: from left to right, a row of its own for each heading."""
    x = y = 0
    placed = []
    for number, panel in enumerate(panels, start=1):
        is_row = panel["type"] == "row"
        size = panel.get("gridPos", {"w": _WIDTH // _PER_ROW, "h": _HEIGHT})
        width, height = (_WIDTH, 1) if is_row else (size["w"], size["h"])
        if x and (is_row or x + width > _WIDTH):
            x, y = 0, y + _HEIGHT
        placed.append({**panel, "id": number, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
        x, y = (0, y + 1) if is_row else (x + width, y)
    return placed
