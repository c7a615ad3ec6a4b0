"""Days of signals, labels and looks for the tests of decisions about retraining."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert

from hilum.journal.clock import format_utc
from hilum.journal.journal import Journal
from hilum.journal.tables import FeedbackRow, SignalDayRow
from hilum.monitoring.signal import Assessment, Group, Signal, State

MODEL = "net_v1.0.0_20260101"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def keep_days(
    journal: Journal, days: Iterable[int], *, signal: str = "psi:mean_grey", state: State = State.OVER,
    model: str = MODEL,
) -> None:  # fmt: skip
    """Write a signal's state for days counted from NOON, as a look does."""
    rows = [
        {"day": f"{NOON + timedelta(days=day):%Y-%m-%d}", "model_version": model, "signal": signal,
         "value": 0.5 + day / 100, "low": None, "high": None, "threshold": 0.2, "state": str(state),
         "films": 60}
        for day in days
    ]  # fmt: skip
    with journal.storage.write() as connection:
        for row in rows:
            connection.execute(
                delete(SignalDayRow).where(SignalDayRow.day == row["day"], SignalDayRow.signal == signal)
            )
        connection.execute(insert(SignalDayRow), rows)


def add_labels(journal: Journal, count: int, *, at: datetime, first: int = 0, times: int = 1) -> None:
    """Label answers; each `times` times."""
    rows = [
        {"id": f"{number}-{again}-{at:%y%d%H%M%S}", "created_at": format_utc(at), "request_id": f"r-{number}",
         "kind": "confirmed", "label": "Normal", "user_id": None, "once": f"{number}-{again}-{at}"}
        for number in range(first, first + count)
        for again in range(times)
    ]  # fmt: skip
    with journal.storage.write() as connection:
        connection.execute(insert(FeedbackRow), rows)


def make_signal(
    name: str, state: State = State.OVER, *, since: datetime, group: Group = Group.PERFORMANCE
) -> Signal:
    return Signal(
        name, group, 0.12, 0.07, 0.17, 0.05, state, 200, 30, f"{since:%Y-%m-%d}", f"{since:%Y-%m-%d}",
        f"{name} is told in words.", {"request_ids": ["r-1"]},
    )  # fmt: skip


def make_look(day: int = 0, *signals: Signal, model: str = MODEL) -> Assessment:
    at = NOON + timedelta(days=day)
    return Assessment(at, model, "440 validation films", signals, ("It was concluded.",))
