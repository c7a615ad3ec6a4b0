"""Signals, alerts and reports as the stub tells them: made up by rule, each state and severity at least once.

The fifty days end on UNTIL. From DRIFTED on the films are brighter; the accuracy falls and the errors of one
class rise; on two days nobody looked, and labels came from the fifteenth day on.
"""

import math
from datetime import date, timedelta
from typing import Any

from tests.e2e.stub_answers import CLASSES, MODEL

UNTIL = date(2026, 11, 24)
DAYS = 50
DRIFTED, SILENT = 38, (20, 21)
LABELS_FROM = 15
EDGES = [108.0, 116.0, 120.0, 124.0, 128.0, 132.0, 136.0, 140.0, 148.0]
BEFORE = [0.07, 0.12, 0.08, 0.09, 0.12, 0.12, 0.11, 0.08, 0.12, 0.09]
NOW = [0.04, 0.09, 0.07, 0.05, 0.07, 0.08, 0.09, 0.09, 0.12, 0.30]
DRIFT_ALERT, ACCURACY_ALERT, ENDED_ALERT = (f"00000000-0000-4000-8000-00000000000{n}" for n in "abc")
BINS = [
    (0.4, 0.5, 9, 0.46, 0.33), (0.5, 0.6, 14, 0.55, 0.5), (0.6, 0.7, 21, 0.65, 0.62),
    (0.7, 0.8, 30, 0.75, 0.63), (0.8, 0.9, 44, 0.86, 0.75), (0.9, 1.0, 92, 0.96, 0.87),
]  # fmt: skip
MARKUP = "<b>brighter</b>"


def _day(number: int) -> str:
    return f"{UNTIL - timedelta(days=DAYS - 1 - number):%Y-%m-%d}"


def _signal(name: str, group: str, value: float | None, threshold: float, **more: Any) -> dict[str, Any]:
    state = "over" if value is not None and value > threshold else "ok"
    sentence = f"{name}: what the service says of it, in words."
    return {
        "name": name, "kind": name.partition(":")[0], "group": group, "value": value, "low": None,
        "high": None, "threshold": threshold, "is_floor": False, "state": state, "films": 240, "needed": 235,
        "since": _day(46), "until": _day(49), "sentence": sentence, "detail": {}, **more,
    }  # fmt: skip


BRIGHTER = (
    "the mean grey level of films: PSI 0.36 against 0.2 (median 135, reference 129; by chance up to 0.20),"
    " 240 films since 2026-11-21."
)
WORSE = (
    "accuracy on labelled films: 80.5% (72.1% to 86.8%) of 210, at release 93.2%; a drop of 5% points is the"
    " most. 31 of the labels are reports of errors."
)
PSI_DETAIL = {
    "kl": 0.2, "chance": 0.197, "median": 134.9, "reference_median": 128.6, "shares": NOW,
    "reference_shares": BEFORE, "edges": EDGES,
}  # fmt: skip
ACCURACY_DETAIL = {
    "accuracy": 0.805, "reference_accuracy": 0.932, "expected_for_these_classes": 0.929, "reports": 31,
    "ambiguous": 2,
}  # fmt: skip
DIAGRAM = {
    "bins": [
        {"low": low, "high": high, "films": films, "mean_probability": mean, "observed_rate": rate}
        for low, high, films, mean, rate in BINS
    ]
}


def signals() -> list[dict[str, Any]]:
    drift, performance, calibration, operation = "drift", "performance", "calibration", "operation"
    quiet = {"films": 60, "needed": 50, "since": _day(49)}
    weekly = {"films": 210, "needed": 30, "since": _day(43)}
    return [
        _signal("psi:mean_grey", drift, 0.36, 0.2, sentence=BRIGHTER, detail=PSI_DETAIL),
        _signal("psi:contrast_grey", drift, 0.07, 0.2),
        _signal("psi:short_side_px", drift, 0.05, 0.2),
        _signal("embedding", drift, 0.41, 0.001, is_floor=True, state="ok", films=200, needed=200),
        _signal("resolution", drift, 0.033, 0.2, low=0.004, high=0.251, **quiet),
        _signal("calls:Normal", drift, 0.008, 0.15),
        _signal("refused", drift, 0.0, 0.1, low=0.0, high=0.09, **quiet),
        _signal("repeated", drift, None, 0.2, state="not-enough", films=44, needed=50),
        _signal(
            "confidence", performance, 0.947, 0.6, low=0.931, high=0.962, is_floor=True, state="ok", **quiet,
        ),
        _signal(
            "accuracy", performance, 0.127, 0.05, low=0.064, high=0.211, sentence=WORSE,
            detail=ACCURACY_DETAIL, **weekly,
        ),
        _signal(
            "errors:Tuberculosis", performance, 0.45, 0.4, low=0.24, high=0.68, **{**weekly, "films": 40},
            state="unsure",
        ),
        _signal("critical:Tuberculosis", performance, 3.0, 4.0, films=40, needed=0, since=_day(43)),
        _signal("ece", calibration, 0.083, 0.1, low=0.041, high=0.129, films=210, needed=100, detail=DIAGRAM),
        _signal("slope", calibration, None, 0.15, state="not-judged", films=0, needed=0, since="", until=""),
        _signal("latency", operation, 182.0, 500.0, films=118, needed=50, since=_day(48)),
        _signal("server-errors", operation, 0.0021, 0.01, low=0.0, high=0.008, films=1410, needed=50),
        _signal("volume", operation, 0.32, 0.0001, is_floor=True, state="ok", films=59, needed=0),
    ]  # fmt: skip


def _value(signal: dict[str, Any], number: int) -> float | None:
    """What a signal was on a day: it waves, and those that are over now rose from DRIFTED on."""
    now = signal["value"]
    is_labelled = signal["group"] == "calibration" or signal["name"].startswith(("accuracy", "errors"))
    if now is None or number < (LABELS_FROM if is_labelled else 3):
        return None
    wave = 0.5 + 0.5 * math.sin(0.9 * number + len(signal["name"]))
    if signal["state"] in {"over", "unsure"}:
        quiet = 0.25 * signal["threshold"] * (1 + wave)
        share = min(1.0, max(0.0, (number - DRIFTED) / 8))
        return quiet + (now - quiet) * share
    if number == DAYS - 1:
        return float(now)
    return (
        float(now * (0.85 + 0.3 * wave))
        if not signal["is_floor"]
        else float(min(1.0, now * (0.95 + 0.06 * wave)))
    )


def curves(days: int) -> dict[str, Any]:
    return {
        "model_version": MODEL,
        "since": f"{UNTIL - timedelta(days=days - 1):%Y-%m-%d}",
        "until": _day(49),
        "curves": {signal["name"]: _points(signal) for signal in signals()},
    }


def reliability() -> dict[str, Any]:
    """Two weeks: one with a diagram, and one before it with too few labelled films."""
    week = {"since": _day(20), "until": _day(47), "made_at": "2026-11-23T00:00:31.000000Z", "needed": 100}
    few = "calibration on labelled films: not enough yet, 41 of 100 films."
    error = "expected calibration error: 0.091 (0.050 to 0.134) of 210 labelled films, at most 0.1."
    return {
        "model_version": MODEL,
        "weeks": [
            {**week, **DIAGRAM, "films": 210, "ece": 0.0912, "slope": 1.04, "sentences": [error]},
            {**week, "since": _day(13), "until": _day(40), "films": 41, "ece": None, "slope": None,
             "sentences": [few], "bins": []},
        ],
    }  # fmt: skip


def _points(signal: dict[str, Any]) -> list[dict[str, Any]]:
    points = []
    for number in range(DAYS):
        if number in SILENT:
            continue
        value = _value(signal, number)
        ends = {}
        if value is not None and signal["low"] is not None:
            ends = {end: max(0.0, value + signal[end] - signal["value"]) for end in ("low", "high")}
        nearest = value if not ends else ends["low"]
        is_over = value is not None and not signal["is_floor"] and nearest > signal["threshold"]
        state = "not-enough" if value is None else "over" if is_over else "ok"
        points.append(
            {
                "day": _day(number), "value": value, "low": None, "high": None, "state": state,
                "threshold": signal["threshold"], "films": 3 * number if value is None else signal["films"],
                **ends,
            }
        )  # fmt: skip
    return points


def alerts() -> list[dict[str, Any]]:
    rest = {"model_version": MODEL, "closed_at": None, "acknowledged_at": None, "acknowledged_by": None}
    return [
        {
            **rest, "id": ACCURACY_ALERT, "name": "HilumAccuracyDrop", "signal": "accuracy",
            "title": "Fewer labelled films are called right than at release", "severity": "page",
            "sentence": WORSE, "runbook": "HilumAccuracyDrop.md", "opened_at": "2026-11-19T17:20:04Z",
        },
        {
            **rest, "id": DRIFT_ALERT, "name": "HilumInputDrift", "signal": "psi:mean_grey",
            "title": "Films look other than those the model was released with", "severity": "ticket",
            "sentence": BRIGHTER, "runbook": "HilumInputDrift.md", "opened_at": "2026-11-18T09:41:00Z",
            "acknowledged_at": "2026-11-18T10:02:00Z", "acknowledged_by": "adm2",
        },
        {
            **rest, "id": ENDED_ALERT, "name": "HilumFilmsRefused", "signal": "refused",
            "title": "The input gate refuses many films", "severity": "page", "sentence": MARKUP,
            "runbook": "HilumFilmsRefused.md", "opened_at": "2026-10-20T08:00:00Z",
            "closed_at": "2026-10-22T08:00:00Z",
        },
    ]  # fmt: skip


def evidence(alert: dict[str, Any]) -> dict[str, Any]:
    signal = next(one for one in signals() if one["name"] == alert["signal"])
    films = [
        {
            "request_id": f"00000000-0000-4000-8000-0000000000{number:02x}",
            "timestamp": f"2026-11-24T17:{59 - number:02d}:00.000000Z", "prediction": CLASSES[number % 3],
            "code": None, "label": CLASSES[0] if number % 4 == 1 else None, "oddness": 1.2117,
        }
        for number in range(1, 11)
    ]  # fmt: skip
    kept = ("value", "threshold", "since", "until", "sentence", "detail")
    return {
        **{name: signal[name] for name in kept}, "signal": signal["name"], "films_in_window": signal["films"],
        "films": films, "conclusions": CONCLUSIONS, "last_over": "2026-11-24T17:59:00Z",
    }  # fmt: skip


CONCLUSIONS = [
    "The accuracy fell and the films changed: scanner, export or patients. Look at the films.",
]


def monitoring(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "at": "2026-11-24T17:59:00Z",
        "model_version": MODEL,
        "reference": f"440 validation films of {MODEL}",
        "signals": signals(),
        "conclusions": CONCLUSIONS,
        "alerts": [alert for alert in found if alert["closed_at"] is None],
    }


def cases() -> list[dict[str, Any]]:
    said = {
        "timestamp": "2026-11-24T09:12:44Z", "prediction": "Normal", "confidence": 0.9132, "referred": False,
        "model_version": MODEL,
    }  # fmt: skip
    ids = [f"00000000-0000-4000-8000-0000000001{number:02d}" for number in range(3)]
    return [
        {
            "feedback_id": ids[0], "request_id": ids[0][:-4] + "0201", "label": "Tuberculosis",
            "is_own": False, "reported_at": "2026-11-24T11:03:10Z", "answers": [said],
        },
        {
            "feedback_id": ids[1], "request_id": ids[1][:-4] + "0202", "label": "Normal", "is_own": True,
            "reported_at": "2026-11-24T12:30:00Z", "answers": [said, {**said, "prediction": "Pneumonia"}],
        },
        {
            "feedback_id": ids[2], "request_id": ids[2][:-4] + "0203", "label": "Pneumonia", "is_own": False,
            "reported_at": "2026-11-24T12:45:00Z", "answers": [],
        },
    ]  # fmt: skip
