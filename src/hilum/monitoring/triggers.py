"""The four reasons of report 8.4 to train again, each with its evidence; pure reading, decides nothing.

    drift              a signal of the films is over on more than 7 days in a row
    accuracy-drop      the rolling accuracy on labelled films is beyond doubt more than 5 points lower
    new-labels         more than 1,000 answers were labelled since the model was released
    critical-failures  films of a disease were called Normal with confidence, a pattern of them

A day on which nobody looked ends a row of days: that it drifted is not known. After a decision only what came
after it is a reason for the next one, so that a decision is not asked for again on the same evidence.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, select

from hilum.domain.errors import CheckpointError
from hilum.domain.thresholds import DRIFT_WINDOW_DAYS, RETRAIN_DRIFT_DAYS, RETRAIN_NEW_LABELS
from hilum.journal.clock import format_utc
from hilum.journal.tables import FeedbackRow, SignalDayRow
from hilum.monitoring.signal import Assessment, Signal, State
from hilum.registry.versions import parse_name

DRIFT_KINDS = frozenset({"psi", "embedding", "resolution", "calls"})
"""Kinds of signals that say that films, or what is made of them, are others than at release."""


class Cause(StrEnum):
    """Why somebody should decide about training again."""

    DRIFT = "drift"
    DROP = "accuracy-drop"
    LABELS = "new-labels"
    CRITICAL = "critical-failures"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A cause, in words, with the numbers behind it; `at` is a text of `hilum.journal.clock`."""

    cause: Cause
    at: str
    sentence: str
    evidence: Mapping[str, Any]

    def to_record(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "cause": str(self.cause),
            "at": self.at,
            "sentence": self.sentence,
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True, slots=True)
class DealtWith:
    """What earlier decisions have dealt with, as texts of `hilum.journal.clock`; "" is nothing.

    Parameters
    ----------
    closed
        When the last decision ended.
    labels
        Until when labelled answers could be learned from by it.
    """

    closed: str = ""
    labels: str = ""


def find_triggers(connection: Connection, assessment: Assessment, dealt: DealtWith) -> Iterator[Trigger]:
    """Yield what asks for a decision now, at most one trigger of each cause."""
    at = format_utc(assessment.at)
    yield from _drift(connection, assessment, dealt, at)
    yield from _drop(assessment, dealt, at)
    yield from _labels(connection, assessment, dealt, at)
    yield from _critical(assessment, dealt, at)


def count_new_labels(connection: Connection, *, since: str) -> int:
    """Return how many answers got their first label after a moment."""
    first = func.min(FeedbackRow.created_at)
    answers = select(FeedbackRow.request_id).group_by(FeedbackRow.request_id).having(first > since).subquery()
    return int(connection.execute(select(func.count()).select_from(answers)).scalar_one())


def _drift(connection: Connection, assessment: Assessment, dealt: DealtWith, at: str) -> Iterator[Trigger]:
    over = _days_over(connection, assessment)
    day, days = assessment.at, []
    while f"{day:%Y-%m-%d}" in over and f"{day:%Y-%m-%d}" > dealt.closed[:10]:
        days.append(f"{day:%Y-%m-%d}")
        day -= timedelta(days=1)
    if len(days) <= RETRAIN_DRIFT_DAYS:
        return
    signals: dict[str, dict[str, Any]] = {}
    for one in days:  # the newest first: its value is the one that is told
        for row in over[one]:
            told = {"value": row["value"], "threshold": row["threshold"], "films": row["films"], "days": 0}
            signals.setdefault(row["signal"], told)["days"] += 1
    names = ", ".join(sorted(signals))
    yield Trigger(
        Cause.DRIFT, at,
        f"Films were other than at release on {len(days)} days in a row, {days[-1]} to {days[0]} (more than"
        f" {RETRAIN_DRIFT_DAYS} ask for a decision): {names}.",
        {"days": len(days), "since": days[-1], "until": days[0], "signals": signals},
    )  # fmt: skip


def _days_over(connection: Connection, assessment: Assessment) -> dict[str, list[dict[str, Any]]]:
    """Return the drift signals that were over, by day."""
    first = f"{assessment.at - timedelta(days=DRIFT_WINDOW_DAYS):%Y-%m-%d}"
    query = select(SignalDayRow.__table__).where(
        SignalDayRow.day >= first,
        SignalDayRow.model_version == assessment.model_version,
        SignalDayRow.state == str(State.OVER),
    )
    over: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(query.order_by(SignalDayRow.day, SignalDayRow.signal)).mappings():
        if row["signal"].partition(":")[0] in DRIFT_KINDS:
            over[row["day"]].append(dict(row))
    return over


def _drop(assessment: Assessment, dealt: DealtWith, at: str) -> Iterator[Trigger]:
    signal = assessment.find("accuracy")
    if signal is not None and signal.state is State.OVER and _is_new(signal, dealt):
        yield Trigger(Cause.DROP, at, _capitalise(signal.sentence), {"signals": {signal.name: _told(signal)}})


def _critical(assessment: Assessment, dealt: DealtWith, at: str) -> Iterator[Trigger]:
    found = [one for one in assessment.over if one.kind == "critical" and _is_new(one, dealt)]
    if found:
        sentence = " ".join(_capitalise(one.sentence) for one in found)
        yield Trigger(Cause.CRITICAL, at, sentence, {"signals": {one.name: _told(one) for one in found}})


def _labels(connection: Connection, assessment: Assessment, dealt: DealtWith, at: str) -> Iterator[Trigger]:
    since = max(_released(assessment.model_version), dealt.labels)
    count = count_new_labels(connection, since=since)
    if count > RETRAIN_NEW_LABELS:
        yield Trigger(
            Cause.LABELS, at,
            f"{count:,} answers were labelled since {since[:10] or 'the beginning'}; more than"
            f" {RETRAIN_NEW_LABELS:,} ask for a decision.",
            {"labels": count, "since": since, "threshold": RETRAIN_NEW_LABELS},
        )  # fmt: skip


def _is_new(signal: Signal, dealt: DealtWith) -> bool:
    """Say whether every film in a signal's window came after the last decision."""
    if not dealt.closed:
        return True
    # a window of whole days reaches into the day before its first one
    before = datetime.strptime(signal.since, "%Y-%m-%d") - timedelta(days=1)
    return f"{before:%Y-%m-%d}" > dealt.closed[:10]


def _told(signal: Signal) -> dict[str, Any]:
    return {
        "value": signal.value, "low": signal.low, "high": signal.high, "threshold": signal.threshold,
        "films": signal.films, "since": signal.since, "until": signal.until, "detail": dict(signal.detail),
    }  # fmt: skip


def _released(model_version: str) -> str:
    """Return the beginning of the day in a bundle's name; "" for a name that has none."""
    try:
        return f"{parse_name(model_version).released:%Y-%m-%d}"
    except CheckpointError:
        return ""


def _capitalise(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
