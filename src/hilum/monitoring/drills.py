"""One drill: usual days, then a fault, and what the monitoring says of it, day by day, with nothing left out.

The stream goes through a real journal and the same look as in service, once a day in the evening; a service
looks once a minute, so that it would hear of a fault some hours earlier. Detected is a fault when an alert
opens after it began that its table names for it; an alert before it began is a false alarm.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from hilum.domain.thresholds import DRILL_FILMS_PER_DAY, DRILL_STORM_SHARE, DRILL_WARM_UP_DAYS
from hilum.journal.journal import Journal
from hilum.monitoring.alerts import Alert
from hilum.monitoring.drill_films import FilmPool
from hilum.monitoring.faults import Fault
from hilum.monitoring.hospital import Hospital
from hilum.monitoring.monitor import Look, Monitor
from hilum.monitoring.recent_films import RecentFilms
from hilum.monitoring.stream import Day, SteppedClock, Stream, StreamFilm

_CHAIN_KEY = b"a drill's journal guards no person"
_FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
_DAYS_OF_YEAR = 365
_SAME_FILM = 0  # the place in the pool of the film that a storm repeats
_NO_FAULT = Fault("none", ())


@dataclass(frozen=True, slots=True)
class Opened:
    """An alert that opened: days and films since the fault (or the stream) began, the day's own included."""

    name: str
    signal: str
    day: int
    films: int
    sentence: str


@dataclass(frozen=True, slots=True)
class DrillOutcome:
    """What a drill showed.

    Parameters
    ----------
    false_alarms
        Alerts that opened before the fault.
    opened
        Alerts after it began, in order.
    conclusions
        Sentences of conclusion, each once, in order.
    films, refused
        Films since it began, and those that were refused.
    """

    false_alarms: tuple[Opened, ...]
    opened: tuple[Opened, ...]
    conclusions: tuple[str, ...]
    films: int
    refused: int


class Drill:
    """A hospital, its journal and its monitoring, on a clock moved by hand.

    Parameters
    ----------
    pool
        Its films.
    folder
        For the journal's database.
    seed
        Same seed, same days.
    per_day
        Films of a working day.
    url
        The journal's database; a SQLite file in `folder` by default.
    """

    def __init__(
        self, pool: FilmPool, folder: Path, *, seed: int, per_day: float, url: str | None = None
    ) -> None:
        self._pool = pool
        self._hospital = Hospital(pool.films, seed=seed, per_day=per_day, labelled_share=pool.labelled_share)
        self._random = np.random.default_rng([seed, 1])
        # any day of the week and season may be the first
        self._midnight = _FIRST_DAY + timedelta(days=int(self._random.integers(_DAYS_OF_YEAR)))
        self._clock = SteppedClock(self._midnight)
        self.journal = Journal.open(
            url or f"sqlite:///{folder / 'drill.sqlite'}", chain_key=_CHAIN_KEY, clock=self._clock,
            checkpoints=folder / "drill.checkpoints",
        )  # fmt: skip
        self._stream = Stream(self.journal, self._clock, model_version=pool.model_version, seed=seed)
        self.monitor = Monitor(self.journal)
        self._recent = RecentFilms()

    @property
    def now(self) -> datetime:
        """The time of day."""
        return self._clock.now

    def live(self, fault: Fault | None = None, fault_day: int = 0) -> tuple[Look, list[StreamFilm]]:
        """Play a day and look at its end; return the look and the day's films."""
        films = self.play(fault, fault_day)
        return self.monitor.look(self._pool.model_version, self._pool.reference), films

    def play(self, fault: Fault | None = None, fault_day: int = 0) -> list[StreamFilm]:
        """Play a day; return its films."""
        fault = fault or _NO_FAULT
        count = self._hospital.count_films(self._midnight.date())
        if fault.volume is not None:
            count = fault.volume(count, fault_day)
        places = np.array(self._hospital.deal(count, fault.weight), np.int64)
        is_same = (self._random.random(count) < DRILL_STORM_SHARE) & fault.is_storm
        places[is_same] = _SAME_FILM
        films = self._pool.answers(places.tolist(), fault.change(fault_day) if fault.change else None)
        if fault.answer is not None:
            films = [fault.answer(film, fault_day, self._random) for film in films]
        films = [
            _repeat(film) if is_copy and self._recent.note("same") else film
            for film, is_copy in zip(films, is_same, strict=True)
        ]
        labels = {place: films[place].label for place in self._hospital.labelled(count)}
        if fault.relabel is not None:
            labels = {place: fault.relabel(label, self._random) for place, label in labels.items()}
        self._stream.play(Day(films, labels), midnight=self._midnight)
        self._midnight += timedelta(days=1)
        return films


def _repeat(film: StreamFilm) -> StreamFilm:
    return replace(film, facts={**film.facts, "repeated": True}) if film.refusal is None else film


def run_drill(
    pool: FilmPool,
    fault: Fault | None,
    *,
    seed: int,
    days: int,
    per_day: float = DRILL_FILMS_PER_DAY,
    warm_up_days: int = DRILL_WARM_UP_DAYS,
    progress: Callable[[], object] = lambda: None,
) -> DrillOutcome:
    """Play usual days, then days of a fault; without a fault the stream begins at once and nothing is usual.

    Parameters
    ----------
    days
        Days of the fault.
    warm_up_days
        Usual days before it.
    progress
        Called after each day.
    """
    early: list[Opened] = []
    opened: list[Opened] = []
    conclusions: dict[str, None] = {}
    films_so_far = refused = 0
    with tempfile.TemporaryDirectory(prefix="hilum-drill-") as folder:
        drill = Drill(pool, Path(folder), seed=seed, per_day=per_day)
        try:
            for day in range(warm_up_days):
                look, films = drill.live()
                early += [_note(alert, day + 1, len(films)) for alert in look.opened]
                progress()
            for day in range(days):
                look, films = drill.live(fault, day)
                films_so_far += len(films)
                refused += sum(film.refusal is not None for film in films)
                opened += [_note(alert, day + 1, films_so_far) for alert in look.opened]
                conclusions.update(dict.fromkeys(look.assessment.conclusions))
                progress()
        finally:
            drill.journal.close()
    return DrillOutcome(tuple(early), tuple(opened), tuple(conclusions), films_so_far, refused)


def _note(alert: Alert, day: int, films: int) -> Opened:
    return Opened(alert.name, alert.signal, day, films, str(alert.evidence["sentence"]))
