"""Samples as promtool writes them, of values that an alert is to have for some minutes.

Knows nothing of alerts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Series = dict[str, str]
"""Selector to its samples, one a minute, as promtool writes them."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A value of an alert that lasts for so many minutes."""

    value: float
    minutes: int


def select(name: str, **labels: str) -> str:
    """Return the selector of a series with these labels."""
    return f"{name}{{{', '.join(f'{key}={value!r}' for key, value in labels.items())}}}".replace("'", '"')


def play_gauge(stretches: Sequence[Stretch], *, slope: float = 0.0, sign: float = 1.0) -> str:
    """Write stretches of a gauge; with a slope, which is per minute, one that rises besides."""
    parts, minute = [], 0
    for stretch in stretches:
        value = sign * stretch.value + slope * minute
        if stretch.value != stretch.value:  # NaN
            parts.append(" ".join(["NaN"] * stretch.minutes))
        elif stretch.minutes:
            parts.append(f"{value:.17g}+{slope:g}x{stretch.minutes - 1}")
        minute += stretch.minutes
    return " ".join(parts)


def _play_counter(rates: Sequence[Stretch]) -> str:
    """Write a counter whose stretches are increases a minute; the first sample is 0."""
    parts, total = ["0"], 0.0
    for stretch in rates:
        if stretch.minutes:
            parts.append(f"{total + stretch.value:.17g}+{stretch.value:.17g}x{stretch.minutes - 1}")
        total += stretch.value * stretch.minutes
    return " ".join(parts)


def play_rates(stretches: Sequence[Stretch], convert: Callable[[float], float]) -> str:
    """Write a counter of stretches of an alert's value; the first sample belongs to the first stretch."""
    first, *rest = stretches
    shorter = Stretch(first.value, first.minutes - 1)
    return _play_counter([Stretch(convert(one.value), one.minutes) for one in (shorter, *rest)])
