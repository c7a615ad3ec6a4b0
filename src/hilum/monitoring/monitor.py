"""One look at a model in use: count what is new, judge every signal, keep day and week, open and end alerts.

It ends with the triggers of retraining, which may ask for a decision (`hilum.monitoring.retraining`).

The same function serves the running service, `hilum monitor` and the drills; the time of day comes from the
journal's clock, so a year can be looked at in a minute. Several workers may look: what is counted is counted
once, and an alert is opened once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import (
    ACCURACY_WINDOW_DAYS,
    CALIBRATION_WINDOW_DAYS,
    DRIFT_WINDOW_DAYS,
    EMBEDDING_WINDOW_FILMS,
)
from hilum.evaluation.embedding_space import unpack_coordinates
from hilum.evaluation.inputs import IntArray
from hilum.evaluation.reference_profile import ReferenceProfile
from hilum.journal.clock import format_utc
from hilum.journal.journal import Journal
from hilum.journal.record import read_facts
from hilum.journal.tables import JournalRow, SignalDayRow
from hilum.monitoring.alerts import Alert, Alerts
from hilum.monitoring.calibration import calibration_signals
from hilum.monitoring.conclusions import conclude
from hilum.monitoring.decision import Decision
from hilum.monitoring.drift import (
    class_shift,
    embedding_drift,
    input_drift,
    refusals,
    repeats,
    resolution,
)
from hilum.monitoring.labelled import LabelledFilms, read_labelled
from hilum.monitoring.operational import latency, server_errors, volume
from hilum.monitoring.performance import (
    accuracy_drop,
    class_errors,
    critical_misses,
    mean_confidence,
)
from hilum.monitoring.reliability import keep_weekly
from hilum.monitoring.retraining import Retraining
from hilum.monitoring.rollup import ANSWERS, ANY_MODEL, catch_up, read_counts
from hilum.monitoring.signal import Assessment, Signal
from hilum.monitoring.windows import DailyCounts

_HISTORY_DAYS = 40
_OK = 200


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: the assessment, the alerts that it opened and ended, the decision that waits."""

    assessment: Assessment
    opened: tuple[Alert, ...]
    ended: tuple[Alert, ...]
    retraining: Decision | None = None


class Monitor:
    """Watches the answers of a journal.

    Parameters
    ----------
    journal
        The journal; its clock is the time of day.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.alerts = Alerts(journal)
        self.retraining = Retraining(journal)

    def look(self, model_version: str, reference: ReferenceProfile | None) -> Look:
        """Count, judge, keep (once a week the reliability diagram too) and alert.

        Parameters
        ----------
        model_version
            Name of the version whose answers are judged.
        reference
            What they are held against; None when there is nothing, and drift is then not judged.

        Raises
        ------
        JournalUnavailable
            The database does not answer.
        """
        catch_up(self.journal.storage)
        assessment = self.assess(model_version, reference)
        with self.journal.storage.write() as connection:
            _keep_day(connection, assessment)
        keep_weekly(self.journal, model_version)
        opened, ended = self.alerts.update(assessment)
        decision = self.retraining.update(assessment)
        return Look(assessment, tuple(opened), tuple(ended), decision)

    def assess(self, model_version: str, reference: ReferenceProfile | None) -> Assessment:
        """Judge every signal on what was counted; changes nothing."""
        now = self.journal.clock()
        since = f"{now - timedelta(days=_HISTORY_DAYS):%Y-%m-%d}"
        until = f"{now:%Y-%m-%d}"
        with self.journal.storage.read(is_long=True) as connection:
            counts = read_counts(connection, since=since, until=until, models=(model_version, ANY_MODEL))
            weekly = _labelled(connection, now, ACCURACY_WINDOW_DAYS, model_version)
            monthly = _labelled(connection, now, CALIBRATION_WINDOW_DAYS, model_version)
            newest = _newest_films(connection, model_version, now, reference)
        daily = DailyCounts.from_counts(counts, now)
        signals = (
            *_judge_films(daily, reference, newest),
            *_judge_answers(daily, reference, weekly, monthly),
            latency(daily),
            server_errors(daily),
            volume(daily),
        )
        conclusions = tuple(conclude(signals, daily, reference))
        made_of = reference.made_of if reference else None
        return Assessment(now, model_version, made_of, signals, conclusions)


def _judge_films(
    daily: DailyCounts,
    reference: ReferenceProfile | None,
    newest: "_NewestFilms",
) -> Iterator[Signal]:
    if reference is not None:
        yield from input_drift(daily, reference)
        yield embedding_drift(
            newest.coordinates, newest.calls, reference, since=newest.since, until=daily.today
        )
        yield resolution(daily, reference)
        yield from class_shift(daily, reference)
    yield refusals(daily)
    yield repeats(daily)


def _judge_answers(
    daily: DailyCounts,
    reference: ReferenceProfile | None,
    weekly: LabelledFilms,
    monthly: LabelledFilms,
) -> Iterator[Signal]:
    week, month = (_back(daily, days - 1) for days in (ACCURACY_WINDOW_DAYS, CALIBRATION_WINDOW_DAYS))
    yield mean_confidence(daily)
    if reference is not None:
        yield accuracy_drop(weekly, reference, since=week, until=daily.today)
    yield from class_errors(weekly, since=week, until=daily.today)
    yield from critical_misses(weekly, since=week, until=daily.today)
    yield from calibration_signals(monthly, since=month, until=daily.today)


def _labelled(connection: Connection, now: datetime, days: int, model_version: str) -> LabelledFilms:
    return read_labelled(
        connection, since=format_utc(now - timedelta(days=days)), until=format_utc(now),
        model_version=model_version,
    )  # fmt: skip


class _NewestFilms(NamedTuple):
    """Coordinates (N, D) and called classes (N,) of films, and the day of the oldest of them."""

    coordinates: NDArray[np.float32]
    calls: IntArray
    since: str


def _newest_films(
    connection: Connection, model_version: str, now: datetime, reference: ReferenceProfile | None
) -> _NewestFilms:
    space = reference.space if reference else None
    oldest = f"{now - timedelta(days=DRIFT_WINDOW_DAYS):%Y-%m-%d}"
    query = (
        select(JournalRow.timestamp, JournalRow.prediction, JournalRow.facts)
        .where(
            JournalRow.kind.in_(ANSWERS),
            JournalRow.timestamp >= oldest,
            JournalRow.timestamp <= format_utc(now),
            JournalRow.status == _OK,
            JournalRow.model_version == model_version,
        )
        .order_by(JournalRow.seq.desc())
        .limit(EMBEDDING_WINDOW_FILMS)
    )
    found = []
    for row in connection.execute(query):
        coordinates = unpack_coordinates(str(read_facts(row.facts).get("embedding", "")))
        is_known = space is not None and coordinates is not None and len(coordinates) == len(space.scale)
        if coordinates is not None and is_known and row.prediction in CLASS_NAMES:
            found.append((row.timestamp[:10], CLASS_NAMES.index(row.prediction), coordinates))
    return _NewestFilms(
        np.stack([one for _, _, one in found]) if found else np.empty((0, 0), np.float32),
        np.array([call for _, call, _ in found], np.int64),
        found[-1][0] if found else f"{now:%Y-%m-%d}",
    )


def _keep_day(connection: Connection, assessment: Assessment) -> None:
    day = f"{assessment.at:%Y-%m-%d}"
    connection.execute(
        delete(SignalDayRow).where(
            SignalDayRow.day == day, SignalDayRow.model_version == assessment.model_version
        )
    )
    rows = [
        {
            "day": day, "model_version": assessment.model_version, "signal": signal.name,
            "value": signal.value, "low": signal.low, "high": signal.high, "threshold": signal.threshold,
            "state": str(signal.state), "films": signal.films,
        }
        for signal in assessment.signals
    ]  # fmt: skip
    connection.execute(insert(SignalDayRow), rows)


def _back(daily: DailyCounts, days: int) -> str:
    return f"{datetime.strptime(daily.today, '%Y-%m-%d') - timedelta(days=days):%Y-%m-%d}"
