"""One thing that is watched: its value now, its threshold, and whether that is too much.

A signal never calls a number a drift that chance explains, nor keeps silent about how little it rests on: it
is over when the value and the nearer end of its interval pass the threshold, unsure when only the value
does, and not yet judged while there are fewer films than the threshold needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """What is to be thought of a signal."""

    OK = "ok"
    UNSURE = "unsure"
    OVER = "over"
    NOT_ENOUGH = "not-enough"
    NOT_JUDGED = "not-judged"


class Group(StrEnum):
    """The categories of report Table 22."""

    DRIFT = "drift"
    PERFORMANCE = "performance"
    CALIBRATION = "calibration"
    OPERATION = "operation"


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal at one moment.

    Parameters
    ----------
    name
        Stable code, e.g. `psi:mean_grey`; the part before the colon is its row in `catalogue`.
    group
        Category of report Table 22.
    value
        None when it is not stated: too few films, or nothing to compare with.
    low, high
        Interval of the value, None where there is none.
    threshold
        From which (or, for a signal that must not fall, below which) it is over.
    state
        See the module.
    films, needed
        Films that it rests on, and those that the threshold needs.
    since, until
        The first and last day (or hour) of its window, "" when there is none.
    sentence
        What it says, in words, with its figures.
    detail
        Numbers behind it, JSON values.
    is_floor
        Whether it is over below its threshold, and not above it.
    """

    name: str
    group: Group
    value: float | None
    low: float | None
    high: float | None
    threshold: float
    state: State
    films: int
    needed: int
    since: str
    until: str
    sentence: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    is_floor: bool = False

    @property
    def bound(self) -> float | None:
        """The end of the interval that must pass the threshold for the signal to be over; None if not judged.

        Whether that is the lower or the upper one follows from the side on which the threshold lies: of a
        signal that must not rise the lower end counts.
        """
        if self.value is None or self.state in {State.NOT_ENOUGH, State.NOT_JUDGED}:
            return None
        end = self.high if self.is_floor else self.low
        return self.value if end is None else end

    @property
    def kind(self) -> str:
        """The row of the catalogue that it belongs to."""
        return self.name.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Assessment:
    """Every signal at one moment, and what they say together.

    `conclusions` are sentences: prevalence told apart from loss of accuracy, what to do next.
    """

    at: datetime
    model_version: str
    reference: str | None
    signals: tuple[Signal, ...]
    conclusions: tuple[str, ...] = ()

    def find(self, name: str) -> Signal | None:
        """Return the signal of a name."""
        return next((signal for signal in self.signals if signal.name == name), None)

    @property
    def over(self) -> tuple[Signal, ...]:
        """The signals that are over."""
        return tuple(signal for signal in self.signals if signal.state is State.OVER)


def too_few(
    name: str, group: Group, threshold: float, *, films: int, needed: int, since: str, until: str, what: str
) -> Signal:
    """Return a signal that says "not enough yet" instead of a number."""
    sentence = f"{what}: not enough yet, {films} of {needed} films."
    return Signal(
        name, group, None, None, None, threshold, State.NOT_ENOUGH, films, needed, since, until, sentence
    )


def not_judged(name: str, group: Group, threshold: float, *, why: str) -> Signal:
    """Return a signal that has nothing to be compared with, and why."""
    return Signal(name, group, None, None, None, threshold, State.NOT_JUDGED, 0, 0, "", "", why)


def judge_above(value: float, low: float | None, threshold: float) -> State:
    """Return the state of a value that must not rise; `low` is the lower end of its interval."""
    if value <= threshold:
        return State.OK
    return State.OVER if low is None or low > threshold else State.UNSURE


def judge_below(value: float, high: float | None, threshold: float) -> State:
    """Return the state of a value that must not fall; `high` is the upper end of its interval."""
    if value >= threshold:
        return State.OK
    return State.OVER if high is None or high < threshold else State.UNSURE
