"""What a trial is: something done to the product many times, a target, and the sabotage that must miss it.

A trial is a function of a folder of its own and of `broken`; with `broken` it sabotages the product first,
and must then fail: a trial that cannot fail proves nothing. It returns how often it did the thing and what
came of it, and never asserts: a missed target is a figure to be written down.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """What came of a trial.

    Parameters
    ----------
    count
        How often the thing was done.
    passed
        Whether the target was met.
    figure
        What was measured, in words.
    broke
        The trial itself did not get to its end (a server that does not start, say), which proves nothing.
    missed
        Names of the targets missed, where a trial has several.
    """

    count: int
    passed: bool
    figure: str
    broke: bool = False
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One row of docs/reliability.md.

    Parameters
    ----------
    name
        After RELIABILITY.md: the group's letter and a number, e.g. H1.
    what, target, sabotage
        In words; `sabotage` says what the control breaks.
    run
        (folder, broken) to a finding.
    alone
        Nothing else may run beside it, for it watches times.
    control_misses
        The target that the control must miss, where it could fail for another reason than its own.
    """

    name: str
    what: str
    target: str
    sabotage: str
    run: Callable[[Path, bool], Finding]
    alone: bool
    control_misses: str = ""

    def is_noticed(self, control: Finding) -> bool:
        """Return whether the control failed, and of what it breaks."""
        is_its_own = not self.control_misses or self.control_misses in control.missed
        return not control.passed and not control.broke and is_its_own

    @property
    def group(self) -> str:
        """The letter."""
        return self.name[0]


TRIALS: dict[str, Trial] = {}


def trial(
    name: str, what: str, *, target: str, sabotage: str, alone: bool = False, control_misses: str = ""
) -> Callable[[Callable[[Path, bool], Finding]], Callable[[Path, bool], Finding]]:
    """Enter a function into TRIALS."""

    def enter(run: Callable[[Path, bool], Finding]) -> Callable[[Path, bool], Finding]:
        assert name not in TRIALS, name
        TRIALS[name] = Trial(name, what, target, sabotage, run, alone, control_misses)
        return run

    return enter
