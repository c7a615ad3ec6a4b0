"""Each signal over the days, as they were kept: what the page and the report draw."""

from dataclasses import dataclass

from sqlalchemy import select

from hilum.journal.storage import Storage
from hilum.journal.tables import SignalDayRow


@dataclass(frozen=True, slots=True)
class Point:
    """A signal at the end of one day; `value` None when it was not judged."""

    day: str
    value: float | None
    low: float | None
    high: float | None
    threshold: float
    state: str
    films: int


def read_curves(storage: Storage, model_version: str, *, since: str) -> dict[str, list[Point]]:
    """Return the days of each signal of a model from a day (YYYY-MM-DD) on, the oldest first.

    Raises
    ------
    JournalUnavailable
        The database does not answer.
    """
    query = (
        select(*SignalDayRow.__table__.columns)
        .where(SignalDayRow.model_version == model_version, SignalDayRow.day >= since)
        .order_by(SignalDayRow.day)
    )
    curves: dict[str, list[Point]] = {}
    with storage.read() as connection:
        for row in connection.execute(query):
            point = Point(row.day, row.value, row.low, row.high, row.threshold, row.state, row.films)
            curves.setdefault(row.signal, []).append(point)
    return curves
