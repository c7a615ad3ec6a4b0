"""The time of day, injectable: a clock is a function that returns an aware UTC datetime.

Durations are never taken from it; they are measured with `time.monotonic`.
"""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def now_utc() -> datetime:
    """Return the machine's time of day in UTC."""
    return datetime.now(UTC)


def format_utc(moment: datetime) -> str:
    """Write a moment as 27 characters, e.g. 2026-01-16T02:44:40.000000Z; texts sort as the moments do.

    Raises
    ------
    ValueError
        The moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone; give an aware datetime")
    return moment.astimezone(UTC).strftime(_FORMAT).rjust(27, "0")  # strftime does not pad years before 1000


def parse_utc(text: str) -> datetime:
    """Read what `format_utc` wrote."""
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
