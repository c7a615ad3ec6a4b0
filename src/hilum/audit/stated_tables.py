"""Tables that someone states about a data set, and the contradictions between them.

A table nobody checks drifts from the data: the technical report excludes 7 images over 3:1 beside a
maximum aspect ratio of 2.49. The same checks run on the audit's own tables. Knows nothing about films, and
cannot tell which of two tables is the wrong one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from hilum.domain.thresholds import MAX_ASPECT_RATIO, MIN_SIDE_PX, PERCENT_ROUNDING, RATIO_ROUNDING

_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Spread:
    """A row of the report's Table 3: pixels, or width / height for the aspect ratio."""

    minimum: float
    maximum: float
    mean: float | None = None
    deviation: float | None = None
    median: float | None = None


@dataclass(frozen=True, slots=True)
class StatedTables:
    """What is said about a data set; None and empty stand for not said.

    Parameters
    ----------
    counts
        Films by class and split (Table 2), with the totals printed beside them.
    test_films
        The test samples of Table 1.
    percents
        Share of each class, percent (Table 2); `resolution_percents` those of the commonest sizes.
    width, height, aspect
        Table 3; aspect is width / height.
    unreadable, undersized, extreme_aspect, passed
        Table 4: films found by each check, and films that passed all of them.
    """

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    class_totals: Mapping[str, int] = field(default_factory=dict)
    split_totals: Mapping[str, int] = field(default_factory=dict)
    total: int | None = None
    test_films: int | None = None
    percents: Mapping[str, float] = field(default_factory=dict)
    imbalance_ratio: float | None = None
    width: Spread | None = None
    height: Spread | None = None
    aspect: Spread | None = None
    resolution_percents: Mapping[str, float] = field(default_factory=dict)
    unreadable: int | None = None
    undersized: int | None = None
    extreme_aspect: int | None = None
    passed: int | None = None
    passed_percent: float | None = None


def find_contradictions(tables: StatedTables) -> tuple[str, ...]:
    """Return one sentence for each pair of statements that cannot both be true, () when all agree."""
    checks: tuple[Callable[[StatedTables], Iterator[str]], ...] = (
        _sums,
        _shares,
        _spreads,
        _sizes_and_aspect,
        _quality_and_sizes,
        _passed,
    )
    return tuple(sentence for check in checks for sentence in check(tables))


def _sums(tables: StatedTables) -> Iterator[str]:
    for name, stated in tables.class_totals.items():
        if name in tables.counts and (found := sum(tables.counts[name].values())) != stated:
            yield f"{name}: the splits add up to {found:,} films, the total says {stated:,}."
    for split, stated in tables.split_totals.items():
        parts = [row[split] for row in tables.counts.values() if split in row]
        if parts and sum(parts) != stated:
            yield f"{split}: the classes add up to {sum(parts):,} films, the total says {stated:,}."
    for totals, what in ((tables.class_totals, "classes"), (tables.split_totals, "splits")):
        if totals and tables.total is not None and sum(totals.values()) != tables.total:
            yield f"The {what} add up to {sum(totals.values()):,} films, the total says {tables.total:,}."
    test = tables.split_totals.get("test")
    if test is not None and tables.test_films is not None and test != tables.test_films:
        yield f"The summary names {tables.test_films:,} test films, the class table {test:,}."


def _shares(tables: StatedTables) -> Iterator[str]:
    for name, stated in tables.percents.items():
        if name in tables.class_totals and tables.total:
            films = tables.class_totals[name]
            found = _PERCENT * films / tables.total
            if abs(found - stated) > PERCENT_ROUNDING:
                yield f"{name}: {films:,} of {tables.total:,} is {found:.1f} %, not {stated:g} %."
    smallest = min(tables.class_totals.values(), default=0)
    if tables.imbalance_ratio is not None and smallest:
        found, stated = max(tables.class_totals.values()) / smallest, tables.imbalance_ratio
        if abs(found - stated) > RATIO_ROUNDING:
            yield f"The largest class has {found:.2f} times the films of the smallest, not {stated:g}."
    together = sum(tables.resolution_percents.values())
    if together > _PERCENT + len(tables.resolution_percents):  # each is rounded to a whole percent
        yield f"The commonest resolutions together hold {together:g} % of the films."


def _spreads(tables: StatedTables) -> Iterator[str]:
    for name, row in (("width", tables.width), ("height", tables.height), ("aspect ratio", tables.aspect)):
        if row is None:
            continue
        for what, value in (("mean", row.mean), ("median", row.median)):
            if value is not None and not row.minimum <= value <= row.maximum:
                yield f"{name}: the {what} {value:g} lies outside {row.minimum:g} to {row.maximum:g}."
        if row.deviation is None:
            continue
        if 2 * row.deviation > row.maximum - row.minimum:  # Popoviciu's inequality
            yield f"{name}: a deviation of {row.deviation:g} is more than half of the range."
        if row.mean is not None and row.median is not None and abs(row.mean - row.median) > row.deviation:
            yield f"{name}: mean and median lie further apart than the deviation {row.deviation:g} allows."


def _sizes_and_aspect(tables: StatedTables) -> Iterator[str]:
    if tables.width is None or tables.height is None or tables.aspect is None:
        return
    highest = tables.width.maximum / tables.height.minimum
    lowest = tables.width.minimum / tables.height.maximum
    if tables.aspect.maximum > highest + RATIO_ROUNDING:
        yield f"No film of these sizes can have the maximum aspect ratio {tables.aspect.maximum:g}."
    if tables.aspect.minimum < lowest - RATIO_ROUNDING:
        yield f"No film of these sizes can have the minimum aspect ratio {tables.aspect.minimum:g}."


def _quality_and_sizes(tables: StatedTables) -> Iterator[str]:
    if tables.aspect is not None and tables.extreme_aspect is not None:
        limit = MAX_ASPECT_RATIO
        beyond = tables.aspect.maximum > limit or tables.aspect.minimum < 1 / limit
        extremes = f"aspect ratios from {tables.aspect.minimum:.2f} to {tables.aspect.maximum:.2f}"
        if tables.extreme_aspect and not beyond:
            yield (
                f"The quality table counts {tables.extreme_aspect:,} films over {limit:g}:1, but the size"
                f" table knows {extremes} only."
            )
        if beyond and not tables.extreme_aspect:
            yield f"The size table has {extremes}, but the quality table counts no film over {limit:g}:1."
    shortest = min((row.minimum for row in (tables.width, tables.height) if row is not None), default=None)
    if shortest is not None and tables.undersized is not None:
        if tables.undersized and shortest >= MIN_SIDE_PX:
            yield (
                f"The quality table counts {tables.undersized:,} films under {MIN_SIDE_PX} px, but the"
                f" shortest side of the size table is {shortest:g} px."
            )
        if not tables.undersized and shortest < MIN_SIDE_PX:
            yield f"The shortest side is {shortest:g} px, but no film is counted under {MIN_SIDE_PX} px."


def _passed(tables: StatedTables) -> Iterator[str]:
    if tables.passed is None or not tables.total:
        return
    found = (tables.unreadable, tables.undersized, tables.extreme_aspect)
    if None not in found and tables.passed + sum(filter(None, found)) < tables.total:
        yield (
            f"{tables.passed:,} films passed and {sum(filter(None, found)):,} did not: together fewer than"
            f" {tables.total:,}."
        )
    if None not in found and tables.passed + max(filter(None, found), default=0) > tables.total:
        yield f"{tables.passed:,} films passed of {tables.total:,}, which leaves fewer than a check found."
    if tables.passed_percent is not None:
        share = _PERCENT * tables.passed / tables.total
        if abs(share - tables.passed_percent) > RATIO_ROUNDING:
            yield f"{tables.passed:,} of {tables.total:,} is {share:.2f} %, not {tables.passed_percent:g} %."
