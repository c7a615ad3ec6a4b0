"""Gates on figures: what a model's own evaluations must show before it may become production.

A figure that an evaluation does not have refuses where a limit asks for it. Where the current version was not
measured on the same films there is nothing to compare, which is said and does not refuse.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hilum.domain.thresholds import (
    MAX_ECE,
    MIN_FILMS_FOR_CLAIM,
    PROMOTION_MAX_LOSS,
    PROMOTION_MAX_SUBGROUP_GAP,
    PROMOTION_MIN_MACRO_AUROC,
    PROMOTION_MIN_SENSITIVITY,
)
from hilum.registry.measured import (
    DISEASES,
    Figure,
    MeasuredModel,
    find_count,
    find_figure,
    list_rows,
    look_up,
)

Evaluation = Mapping[str, Any]
SCREENING = "screening"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one gate says: sentences that refuse, and sentences on what it could not judge."""

    refusals: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()


def judge_discrimination(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse a macro AUROC whose interval reaches below the least that is accepted."""
    del current
    figure = find_figure(candidate.first, "discrimination", "macro", "auroc")
    return _refuse_below("macro AUROC", figure, PROMOTION_MIN_MACRO_AUROC)


def judge_sensitivity(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse a sensitivity for a disease, at the screening cut-off, whose interval reaches too low."""
    del current
    refusals: list[str] = []
    for disease in DISEASES:
        row = find_scenario(candidate.first, SCREENING, disease)
        figure = find_figure(row, "sensitivity")
        films = find_count(row, "sensitivity", "films") or 0
        if figure is not None and films < MIN_FILMS_FOR_CLAIM:
            refusals.append(
                f"screening sensitivity for {disease} was measured on {films} films; at least"
                f" {MIN_FILMS_FOR_CLAIM} are needed."
            )
            continue
        told = f"screening sensitivity for {disease}"
        refusals += _refuse_below(told, figure, PROMOTION_MIN_SENSITIVITY).refusals
    return Verdict(tuple(refusals))


def judge_calibration(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse an expected calibration error whose interval reaches above what is accepted."""
    del current
    figure = find_figure(candidate.first, "calibration", "after", "ece")
    if figure is None or figure.high is None:
        return Verdict(("the calibration error is not known with an interval. Evaluate with this hilum.",))
    if figure.high > MAX_ECE:
        return Verdict(
            (f"calibration error {figure}; its upper bound may be {MAX_ECE:g} at most. Recalibrate.",)
        )
    return Verdict()


def judge_subgroups(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse a group of films that is, beyond doubt, told apart much less well than the best group."""
    del current
    groups = list_rows(candidate.first, "subgroups")
    refusals: list[str] = []
    not_judged = [] if groups else ["no groups of films are known, so that no gap between them is."]
    for column in sorted({str(look_up(group, "column")) for group in groups}):
        known: dict[str, Figure] = {}
        for group in groups:
            if look_up(group, "column") != column:
                continue
            value, figure = look_up(group, "value"), find_figure(group, "discrimination", "sick_vs_normal")
            if figure is None or figure.low is None or figure.high is None:
                not_judged.append(f"{column} {value}: AUROC is not defined with an interval there.")
            else:
                known[str(value)] = figure
        refusals += _find_gaps(column, known)
    return Verdict(tuple(refusals), tuple(not_judged))


def judge_against_current(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse figures that are worse than those of the current version on the same films.

    Lower bounds are compared: the candidate's may lie `PROMOTION_MAX_LOSS` below the current version's.
    """
    if current is None:
        return Verdict((), ("there is no current version to compare with.",))
    refusals: list[str] = []
    pairs = list(match_evaluations(candidate, current))
    not_judged = [
        f"the current version was measured on {label!r} and this one was not on those films; evaluate it"
        " there to compare."
        for label in current.evaluations
        if label not in {theirs for _, theirs, _, _ in pairs}
    ]
    for label, _, ours, theirs in pairs:
        for name, place in _COMPARED.items():
            new, old = find_figure(ours, *place), find_figure(theirs, *place)
            refusals += _refuse_loss(f"{name} on {label!r}", new, old)
        for disease in DISEASES:
            new, old = (
                find_figure(find_scenario(one, SCREENING, disease), "sensitivity") for one in (ours, theirs)
            )
            refusals += _refuse_loss(f"screening sensitivity for {disease} on {label!r}", new, old)
    return Verdict(tuple(refusals), tuple(not_judged))


def match_evaluations(
    candidate: MeasuredModel, current: MeasuredModel
) -> Iterator[tuple[str, str, Evaluation, Evaluation]]:
    """Yield (our label, their label, ours, theirs) where both were measured on the same films."""
    by_films = {_films_of(evaluation): label for label, evaluation in current.evaluations.items()}
    for label, ours in candidate.evaluations.items():
        films = _films_of(ours)
        if None not in films and films in by_films:
            theirs = by_films[films]
            yield label, theirs, ours, current.evaluations[theirs]


def find_scenario(evaluation: object, scenario: str, disease: str) -> Evaluation | None:
    """Return the figures of a disease in a decision scenario; None when an evaluation has none."""
    rows = list_rows(evaluation, "scenarios")
    return next(
        (row for row in rows if look_up(row, "scenario") == scenario and look_up(row, "disease") == disease),
        None,
    )


_COMPARED: dict[str, tuple[str, ...]] = {
    "macro AUROC": ("discrimination", "macro", "auroc"),
    **{f"AUROC of {name}": ("discrimination", "classes", name, "auroc") for name in DISEASES},
    **{f"sensitivity for {name}": ("discrimination", "classes", name, "recall") for name in DISEASES},
}


def _refuse_below(what: str, figure: Figure | None, least: float) -> Verdict:
    if figure is None or figure.low is None:
        return Verdict((f"{what} is not known with an interval. Evaluate on films that define it.",))
    if figure.low < least:
        return Verdict((f"{what} is {figure}; its lower bound must reach {least:g}.",))
    return Verdict()


def _refuse_loss(what: str, new: Figure | None, old: Figure | None) -> list[str]:
    if old is None or old.low is None:
        return []
    if new is None or new.low is None:
        return [f"{what} is not known; the current version has {old}."]
    if new.low < old.low - PROMOTION_MAX_LOSS:
        return [
            f"{what} is {new}, the current version's {old}: the lower bound may fall by"
            f" {PROMOTION_MAX_LOSS:g} at most."
        ]
    return []


def _find_gaps(column: str, known: Mapping[str, Figure]) -> list[str]:
    if not known:
        return []
    best = max(known, key=lambda name: known[name].low or 0.0)
    gaps = {name: (known[best].low or 0.0) - (figure.high or 0.0) for name, figure in known.items()}
    return [
        f"{column} {name}: AUROC of sick against normal is {known[name]}, in {best} {known[best]}; a gap of"
        f" {PROMOTION_MAX_SUBGROUP_GAP:g} beyond the intervals is the most."
        for name, gap in gaps.items()
        if gap > PROMOTION_MAX_SUBGROUP_GAP
    ]


def _films_of(evaluation: Evaluation) -> tuple[str | int | None, ...]:
    """Return what tells the films of an evaluation: data, split, number; None for what is not known."""
    told = (
        look_up(evaluation, "provenance", "data_sha256"),
        look_up(evaluation, "provenance", "split"),
        look_up(evaluation, "method", "films"),
    )
    return tuple(one if isinstance(one, str | int) else None for one in told)
