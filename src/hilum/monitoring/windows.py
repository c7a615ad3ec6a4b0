"""The newest whole days that hold enough films: what a signal is measured on.

A busy hospital is judged by a day, a small one by weeks, and one with too few films not at all.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from hilum.domain.thresholds import DRIFT_WINDOW_DAYS
from hilum.evaluation.histogram import grid_edges
from hilum.evaluation.inputs import IntArray
from hilum.monitoring.rollup import Counts

_DAY = 10


@dataclass(frozen=True, slots=True)
class Window:
    """Counts of the days `since` to `until`, by name."""

    since: str
    until: str
    counts: Mapping[str, IntArray]

    def films(self, name: str) -> int:
        """Return how many films the counts of a name hold."""
        found = self.counts.get(name)
        return 0 if found is None else int(found.sum())

    def histogram(self, name: str) -> IntArray:
        """Return the counts of a grid, zeros when there are none."""
        found = self.counts.get(name)
        return np.zeros(len(grid_edges(name.partition(":")[0])) - 1, np.int64) if found is None else found


@dataclass(frozen=True, slots=True)
class DailyCounts:
    """Counts by day and name, of the model in question and of no model; hours apart."""

    today: str
    days: Mapping[str, Mapping[str, IntArray]]
    hours: Mapping[str, Mapping[str, IntArray]] = field(default_factory=dict)

    @classmethod
    def from_counts(cls, counts: Counts, now: datetime) -> "DailyCounts":
        """Add up the models' counts by period."""
        periods: dict[str, dict[str, Any]] = defaultdict(dict)
        for (period, _, name), found in counts.items():
            known = periods[period].get(name)
            periods[period][name] = found if known is None else known + found
        days = {period: names for period, names in periods.items() if len(period) == _DAY}
        hours = {period: names for period, names in periods.items() if len(period) > _DAY}
        return cls(f"{now:%Y-%m-%d}", days, hours)

    def last_days(self, days: int) -> Window:
        """Return the window of today and the days before it, `days` in all."""
        first = f"{_parse(self.today) - timedelta(days=days - 1):%Y-%m-%d}"
        inside = sorted(day for day in self.days if first <= day <= self.today)
        return Window(first, self.today, _add_up(self.days[day] for day in inside))

    def holding(self, names: Iterable[str], films: int, *, most_days: int = DRIFT_WINDOW_DAYS) -> Window:
        """Return the shortest window up to today whose counts of `names` hold `films`, or the longest."""
        wanted = tuple(names)
        held = 0
        for days in range(1, most_days + 1):
            day = f"{_parse(self.today) - timedelta(days=days - 1):%Y-%m-%d}"
            found = self.days.get(day, {})
            held += sum(int(found[name].sum()) for name in wanted if name in found)
            if held >= films:
                return self.last_days(days)
        return self.last_days(most_days)


def _parse(day: str) -> datetime:
    return datetime.strptime(day, "%Y-%m-%d")


def _add_up(periods: Iterable[Mapping[str, IntArray]]) -> dict[str, IntArray]:
    total: dict[str, IntArray] = {}
    for names in periods:
        for name, found in names.items():
            total[name] = found if name not in total else np.asarray(total[name] + found, np.int64)
    return total
