"""Whether the service does its work: latency, failed answers, and how many films come.

The volume of a day is held against the same days of the week before it: a count is unusual when a negative
binomial with their mean, and with the spread of all days of the week, gives one as far out at less than
VOLUME_ALPHA.
"""

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, ndtri, stdtrit

from hilum.domain.thresholds import (
    MAX_LATENCY_P95_MS,
    MAX_SERVER_ERROR_RATE,
    MIN_SHARE_FILMS,
    VOLUME_ALPHA,
    VOLUME_HISTORY_DAYS,
    VOLUME_LEAST_DAYS,
)
from hilum.evaluation.histogram import quantile_of
from hilum.evaluation.inputs import IntArray
from hilum.monitoring.drift import binomial_interval
from hilum.monitoring.rollup import TRAFFIC
from hilum.monitoring.signal import Group, Signal, judge_above, judge_below, too_few
from hilum.monitoring.windows import DailyCounts

_TAIL = 0.95
_WEEK = 7


def latency(daily: DailyCounts) -> Signal:
    """Return the 95th percentile of the time for one film, of today and yesterday."""
    counts, films = _sum_hours(daily, "latency_ms", days=2)
    since = _day(daily, 1)
    if films < MIN_SHARE_FILMS:
        return too_few(
            "latency", Group.OPERATION, MAX_LATENCY_P95_MS, films=films, needed=MIN_SHARE_FILMS, since=since,
            until=daily.today, what="time for one film",
        )  # fmt: skip
    value = quantile_of("latency_ms", counts, _TAIL)
    assert value is not None
    return Signal(
        "latency", Group.OPERATION, value, None, None, MAX_LATENCY_P95_MS,
        judge_above(value, None, MAX_LATENCY_P95_MS), films, MIN_SHARE_FILMS, since, daily.today,
        f"time for one film: 95th percentile {value:.0f} ms of {films} films, at most"
        f" {MAX_LATENCY_P95_MS:.0f}.",
    )  # fmt: skip


def server_errors(daily: DailyCounts) -> Signal:
    """Return the share of recorded requests that were answered 5xx, shed load apart."""
    counts, _ = _sum_hours(daily, "traffic", days=2)
    since = _day(daily, 1)
    requests, errors = (
        (int(counts[TRAFFIC.index("requests")]), int(counts[TRAFFIC.index("server_errors")]))
        if len(counts)
        else (0, 0)
    )
    if requests < MIN_SHARE_FILMS:
        return too_few(
            "server-errors", Group.OPERATION, MAX_SERVER_ERROR_RATE, films=requests, needed=MIN_SHARE_FILMS,
            since=since, until=daily.today, what="failed answers",
        )  # fmt: skip
    low, high = binomial_interval(errors, requests)
    value = errors / requests
    return Signal(
        "server-errors", Group.OPERATION, value, low, high, MAX_SERVER_ERROR_RATE,
        judge_above(value, low, MAX_SERVER_ERROR_RATE), requests, MIN_SHARE_FILMS, since, daily.today,
        f"failed answers: {value:.2%} of {requests} requests, at most {MAX_SERVER_ERROR_RATE:.0%}.",
    )  # fmt: skip


def volume(daily: DailyCounts) -> Signal:
    """Return how likely yesterday's number of films is, given the days before; a SMALL p is unusual.

    Today is looked at as well, for too many films alone: it is not over.
    """
    history = [_films_of(daily, _day(daily, back)) for back in range(2, VOLUME_HISTORY_DAYS + 2)]
    first = next((place for place in reversed(range(len(history))) if history[place]), -1)
    history = history[: first + 1]  # the service did not run before its first film
    if len(history) < VOLUME_LEAST_DAYS:
        return too_few(
            "volume", Group.OPERATION, VOLUME_ALPHA, films=len(history), needed=VOLUME_LEAST_DAYS,
            since=_day(daily, len(history) + 1), until=daily.today, what="volume (in days)",
        )  # fmt: skip
    usual = [np.array(history[place::_WEEK], np.float64) for place in range(_WEEK)]  # by day of the week
    spread = _overdispersion(usual)
    candidates = []
    for back, is_over in ((1, True), (0, False)):
        alike = usual[(back - 2) % _WEEK]
        count, mean = _films_of(daily, _day(daily, back)), float(alike.mean())
        candidates.append((_tail(count, mean, spread, len(alike), both=is_over), count, mean, back))
    p, count, mean, back = min(candidates)
    day = _day(daily, back)
    return Signal(
        "volume", Group.OPERATION, p, None, None, VOLUME_ALPHA, judge_below(p, None, VOLUME_ALPHA),
        count, 0, day, day,
        f"films on {day}: {count}, on such days usually about {mean:.0f} (p {p:.2g}).",
        {"films": count, "usual": mean}, is_floor=True,
    )  # fmt: skip


def _overdispersion(usual: list[NDArray[np.float64]]) -> float:
    """Return by how much days of the week vary more than Poisson counts, at least 1; all days pooled.

    The spread is itself known from few days: it is widened as Student's quantile is against the normal one,
    without which a level of 1 in 10,000 would be one of 1 in 1,000.
    """
    squared = sum(float(((days - days.mean()) ** 2).sum()) / max(float(days.mean()), 0.5) for days in usual)
    freedom = max(sum(len(days) - 1 for days in usual), 1)
    widening = float(stdtrit(freedom, VOLUME_ALPHA / 2) / ndtri(VOLUME_ALPHA / 2)) ** 2
    return max(1.0, squared / freedom) * widening


def _tail(count: int, mean: float, spread: float, days: int, *, both: bool) -> float:
    """Return the chance of a count as far out: negative binomial, wider for a mean of so few days."""
    mean = max(mean, 0.5)
    variance = max(spread * mean * (1 + 1 / days), mean * 1.001)
    size = mean * mean / (variance - mean)
    chance = size / (size + mean)
    above = float(betainc(count, size, 1 - chance)) if count else 1.0
    below = float(betainc(size, count + 1, chance))
    return min(1.0, 2 * min(above, below)) if both else above


def _films_of(daily: DailyCounts, day: str) -> int:
    return sum(
        int(found["traffic"][TRAFFIC.index("films")])
        for hour, found in daily.hours.items()
        if hour.startswith(day) and "traffic" in found
    )


def _sum_hours(daily: DailyCounts, name: str, *, days: int) -> tuple[IntArray, int]:
    first = _day(daily, days - 1)
    found = [
        names[name]
        for hour, names in daily.hours.items()
        if first <= hour[: len(first)] <= daily.today and name in names
    ]
    if not found:
        return np.empty(0, np.int64), 0
    total = np.sum(found, axis=0)
    return total, int(total.sum())


def _day(daily: DailyCounts, back: int) -> str:
    return f"{datetime.strptime(daily.today, '%Y-%m-%d') - timedelta(days=back):%Y-%m-%d}"
