"""Progress of long work on stderr, with rate and time left: a bar on a terminal, lines elsewhere."""

import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

from tqdm import tqdm

LINE_EVERY_S: Final = 30.0
"""Seconds between two lines where no terminal shows a bar, and before the first: short work says nothing."""


def progress_bar(
    what: str, *, total: int | None = None, unit: str = "film", shown: bool = True
) -> "tqdm[Any]":
    """Return a bar to be used as a context manager; `update(count)` moves it.

    Parameters
    ----------
    what
        What is being done, such as "measuring".
    total
        Of how many; None where that is not known, `bar.total` may be set later.
    shown
        False for all but one process of a distributed run.
    """
    if sys.stderr.isatty():
        return tqdm(desc=what, total=total, unit=unit, leave=False, disable=not shown)
    return tqdm(
        desc=what, total=total, unit=unit, leave=False, disable=not shown, file=_Lines(sys.stderr),
        delay=LINE_EVERY_S, mininterval=LINE_EVERY_S, maxinterval=LINE_EVERY_S, ncols=0,
    )  # fmt: skip


def to_total(bar: "tqdm[Any]") -> Callable[[int, int], None]:
    """Return what moves a bar when told how many are done, and of how many."""

    def advance(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return advance


class _Lines:
    """Writes each state of a bar as a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        line = text.strip("\r\n ")
        return self._stream.write(f"{line}\n") if line else 0

    def flush(self) -> None:
        self._stream.flush()
