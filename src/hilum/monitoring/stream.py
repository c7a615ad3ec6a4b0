"""A stream of films through a journal, on a clock moved by hand: what drills and simulations are made of.

The films are answers of a real engine, kept; each day some of them are drawn and written into a journal as
the service writes them, labels included, so what is drilled is the monitoring that runs in service and not a
model of it.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from hilum.domain.findings import CLASS_NAMES
from hilum.journal.feedback import FeedbackStore
from hilum.journal.journal import Journal
from hilum.journal.record import Event
from hilum.journal.writer import append_events

_OK, _UNPROCESSABLE = 200, 422
_ENDPOINT = "/predict"
_READER = "drill-reader"


class SteppedClock:
    """A clock that stands until it is moved; call it for the time of day."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def __call__(self) -> datetime:
        """Return the time of day."""
        return self.now

    def move_to(self, moment: datetime) -> None:
        """Set the time of day."""
        self.now = moment


@dataclass(frozen=True, slots=True)
class StreamFilm:
    """What a journal holds of one film: an answer, or the code with which it was refused.

    `label` is its true class; `facts` as `hilum.monitoring.film_facts` makes them. `status` is that of a
    refusal.
    """

    label: str
    refusal: str | None
    prediction: str | None = None
    confidence: float | None = None
    inference_time_ms: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    status: int = _UNPROCESSABLE


@dataclass(frozen=True, slots=True)
class Day:
    """What happens on one day: films in order, and which of them a reader labels, and as what.

    `labels` maps places in `films` to the class that the reader states.
    """

    films: Sequence[StreamFilm]
    labels: dict[int, str] = field(default_factory=dict)


class Stream:
    """Writes days into a journal.

    Parameters
    ----------
    journal
        Made with `clock`.
    clock
        Moved through each day.
    model_version
        Of the answers.
    seed
        Of the request ids, which are drawn and not random, so that a drill can be repeated.
    user_id
        Who asks; nobody by default.
    """

    def __init__(
        self,
        journal: Journal,
        clock: SteppedClock,
        *,
        model_version: str,
        seed: int,
        user_id: str | None = None,
    ) -> None:
        self._journal, self._clock, self._model, self._user = journal, clock, model_version, user_id
        self._feedback = FeedbackStore(journal.storage, clock=clock)
        self._random = np.random.default_rng(seed)

    def play(self, day: Day, *, midnight: datetime) -> None:
        """Write a day: films evenly from 8 to 18 o'clock, labels at the end of it."""
        opening = midnight + timedelta(hours=8)
        step = timedelta(hours=10) / max(len(day.films), 1)
        moments = iter([opening + step * place for place in range(len(day.films))])
        ids = [self._draw_id() for _ in day.films]
        events = [self._to_event(film, name) for film, name in zip(day.films, ids, strict=True)]
        if events:
            with self._journal.storage.write() as connection:
                append_events(
                    connection, events, chain_key=self._journal.chain_key, clock=lambda: next(moments)
                )
        self._clock.move_to(midnight + timedelta(hours=18))
        for place, label in day.labels.items():
            film = day.films[place]
            if film.refusal is None:
                kind = "confirmed" if label == film.prediction else "misdiagnosis"
                self._feedback.add(ids[place], kind, label, _READER)  # type: ignore[arg-type]
        self._clock.move_to(midnight + timedelta(hours=20))

    def _draw_id(self) -> str:
        return str(uuid.UUID(bytes=self._random.bytes(16), version=4))

    def _to_event(self, film: StreamFilm, request_id: str) -> Event:
        if film.refusal is not None:
            return Event("predict", request_id, _ENDPOINT, self._user, None, film.status, code=film.refusal)
        assert film.prediction in CLASS_NAMES
        return Event(
            "predict", request_id, _ENDPOINT, self._user, None, _OK, prediction=film.prediction,
            confidence=film.confidence, inference_time_ms=film.inference_time_ms,
            model_version=self._model, facts=film.facts,
        )  # fmt: skip
