"""The weekly reliability diagram of report 8.3: made at the first look of each week, and kept for good.

A week ends on Monday at 00:00 UTC. Its diagram rests on the labels of the CALIBRATION_WINDOW_DAYS days before
that, so it is the same at whatever time, and by whichever worker, it is made. A week in which the service did
not run has none. A week with too few labelled films is kept with the number found and the number needed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, exists, insert, select

from hilum.domain.thresholds import CALIBRATION_WINDOW_DAYS
from hilum.files import to_json
from hilum.journal.clock import format_utc
from hilum.journal.journal import Journal
from hilum.journal.storage import Storage
from hilum.journal.tables import ReliabilityWeekRow
from hilum.monitoring.calibration import calibration_signals
from hilum.monitoring.labelled import read_labelled


@dataclass(frozen=True, slots=True)
class WeeklyDiagram:
    """Stated probability against the share that was right, on the labelled films of some weeks.

    Parameters
    ----------
    since, until
        First and last day (YYYY-MM-DD) of the labels; `until` is a Sunday.
    made_at
        A text of `hilum.journal.clock`.
    films, needed
        Labelled films found, and those without which nothing is stated.
    ece, slope
        None when they are not stated; `sentences` say why, and give the intervals.
    bins
        Of the diagram: low, high, films, mean_probability, observed_rate. Empty when nothing is stated.
    """

    since: str
    until: str
    made_at: str
    films: int
    needed: int
    ece: float | None
    slope: float | None
    sentences: tuple[str, ...]
    bins: tuple[Mapping[str, Any], ...]


def keep_weekly(journal: Journal, model_version: str) -> WeeklyDiagram | None:
    """Make and keep the diagram of the week that ended last; None when it is kept already.

    Raises
    ------
    JournalUnavailable
        The database does not answer.
    """
    now = journal.clock()
    end = _last_monday(now)
    since, until = (f"{end - timedelta(days=days):%Y-%m-%d}" for days in (CALIBRATION_WINDOW_DAYS, 1))
    with journal.storage.read() as connection:
        if _is_kept(connection, until, model_version):
            return None
        labelled = read_labelled(
            connection,
            since=format_utc(end - timedelta(days=CALIBRATION_WINDOW_DAYS)),
            until=format_utc(end),
            model_version=model_version,
        )
    ece, slope = calibration_signals(labelled, since=since, until=until)
    diagram = WeeklyDiagram(
        since=since,
        until=until,
        made_at=format_utc(now),
        films=len(labelled),
        needed=ece.needed,
        ece=ece.value,
        slope=slope.detail.get("slope"),
        sentences=tuple(dict.fromkeys((ece.sentence, slope.sentence))),  # one, when both lack films
        bins=tuple(ece.detail.get("bins", ())),
    )
    row = {"until": until, "model_version": model_version, "record": to_json(asdict(diagram))}
    with journal.storage.write() as connection:
        if _is_kept(connection, until, model_version):  # another worker was faster
            return None
        connection.execute(insert(ReliabilityWeekRow), row)
    return diagram


def read_weekly(storage: Storage, model_version: str, *, weeks: int) -> list[WeeklyDiagram]:
    """Return the newest diagrams of a model, the newest first.

    Raises
    ------
    JournalUnavailable
        The database does not answer.
    """
    query = (
        select(ReliabilityWeekRow.record)
        .where(ReliabilityWeekRow.model_version == model_version)
        .order_by(ReliabilityWeekRow.until.desc())
        .limit(weeks)
    )
    with storage.read() as connection:
        records = [json.loads(record) for record in connection.execute(query).scalars()]
    return [
        WeeklyDiagram(**{**record, "sentences": tuple(record["sentences"]), "bins": tuple(record["bins"])})
        for record in records
    ]


def _last_monday(now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=now.weekday())


def _is_kept(connection: Connection, until: str, model_version: str) -> bool:
    same = (ReliabilityWeekRow.until == until) & (ReliabilityWeekRow.model_version == model_version)
    return bool(connection.execute(select(exists().where(same))).scalar_one())
