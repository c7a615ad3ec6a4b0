"""A simulated hospital: how many films come on a day, which, and what its readers label.

Weekends and holidays are quiet, and days differ beyond what chance explains. Films of each class and source
are dealt from a pack of their own, so that one does not come again soon after itself: a hospital's films are
all different, and copies in one window would look like a drift. A pack that is asked for more films than it
holds does repeat them.
"""

from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import (
    DRILL_FILMS_PER_DAY,
    DRILL_HOLIDAYS,
    DRILL_LABELLED_SHARE,
    DRILL_VOLUME_DISPERSION,
    DRILL_WEEKEND_SHARE,
)
from hilum.monitoring.drill_films import DrillFilm

_SATURDAY = 5
Weight = Callable[[DrillFilm], float]
"""By how much more often a film comes than it does in the pool."""


class Hospital:
    """Deals films day by day.

    Parameters
    ----------
    films
        The pool, in its usual mix.
    seed
        Same seed, same days.
    per_day
        Films of a working day.
    labelled_share
        Share of answers that a reader labels.
    """

    def __init__(
        self,
        films: Sequence[DrillFilm],
        *,
        seed: int,
        per_day: float = DRILL_FILMS_PER_DAY,
        labelled_share: float = DRILL_LABELLED_SHARE,
    ) -> None:
        self.films, self._per_day, self._labelled = tuple(films), per_day, labelled_share
        self.random = np.random.default_rng(seed)
        groups: dict[tuple[str, str], list[int]] = {}
        for place, film in enumerate(films):
            groups.setdefault((film.label, film.source), []).append(place)
        self._packs = [_Pack(np.array(places, np.int64), self.random) for places in groups.values()]

    def count_films(self, day: date) -> int:
        """Return how many films come on a day."""
        is_quiet = day.weekday() >= _SATURDAY or (day.month, day.day) in DRILL_HOLIDAYS
        expected = self._per_day * (DRILL_WEEKEND_SHARE if is_quiet else 1.0)
        shape = DRILL_VOLUME_DISPERSION
        return int(self.random.poisson(expected * self.random.gamma(shape, 1 / shape)))

    def deal(self, count: int, weight: Weight | None = None) -> list[int]:
        """Return the places in the pool of `count` films."""
        shares = np.array(
            [len(pack) * (weight(self.films[pack.first]) if weight else 1.0) for pack in self._packs],
            np.float64,
        )
        which = self.random.choice(len(self._packs), size=count, p=shares / shares.sum())
        return [self._packs[one].deal() for one in which]

    def labelled(self, count: int) -> list[int]:
        """Return the places of a day's films that a reader labels."""
        return np.flatnonzero(self.random.random(count) < self._labelled).tolist()


class _Pack:
    """Films of one class and source; those dealt last come in the later half of the next round."""

    def __init__(self, places: NDArray[np.int64], random: np.random.Generator) -> None:
        self.first = int(places[0])
        self._random = random
        self._order = random.permutation(places)
        self._next = 0

    def __len__(self) -> int:
        return len(self._order)

    def deal(self) -> int:
        if self._next == len(self._order):
            early, late = np.array_split(self._order, 2)
            self._order = np.concatenate([self._random.permutation(early), self._random.permutation(late)])
            self._next = 0
        self._next += 1
        return int(self._order[self._next - 1])
