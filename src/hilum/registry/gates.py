"""Gates on figures: what every evaluation of a model must show before it may become production.

A figure that an evaluation does not have refuses where a limit asks for it. Where the current version was not
measured on the same films there is nothing to compare, which is said and does not refuse.
"""

from collections.abc import Iterator, Mapping, Sequence
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
    films_of,
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
    """Refuse a macro AUROC whose interval reaches below the least that is accepted, on any films."""
    del current
    verdicts = []
    for place, evaluation, is_first in _judged(candidate):
        figure = find_figure(evaluation, "discrimination", "macro", "auroc")
        verdicts.append(_refuse_below(f"macro AUROC{place}", figure, PROMOTION_MIN_MACRO_AUROC, is_first))
    return _all(verdicts)


def judge_sensitivity(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse a sensitivity for a disease, at the screening threshold, whose interval reaches too low."""
    del current
    verdicts = []
    for place, evaluation, is_first in _judged(candidate):
        for disease in DISEASES:
            row = find_scenario(evaluation, SCREENING, disease)
            figure = find_figure(row, "sensitivity")
            films = find_count(row, "sensitivity", "films") or 0
            told = f"screening sensitivity for {disease}{place}"
            if figure is not None and films < MIN_FILMS_FOR_CLAIM:
                few = f"{told} was measured on {films} films; at least {MIN_FILMS_FOR_CLAIM} are needed."
                verdicts.append(Verdict((few,)) if is_first else Verdict((), (few,)))
            else:
                verdicts.append(_refuse_below(told, figure, PROMOTION_MIN_SENSITIVITY, is_first))
    return _all(verdicts)


def judge_calibration(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse an expected calibration error that may be above what is accepted.

    On the first evaluation's films the whole interval has to lie within it. On any others the model is
    refused once the whole interval lies above; few films give a wide interval, which is stated, not judged.
    """
    del current
    refusals: list[str] = []
    not_judged: list[str] = []
    for place, evaluation, is_first in _judged(candidate):
        figure = find_figure(evaluation, "calibration", "after", "ece")
        if figure is None or figure.low is None or figure.high is None:
            refusals.append(
                f"the calibration error{place} is not known with an interval. Evaluate with this hilum."
            )
        elif figure.low > MAX_ECE or (is_first and figure.high > MAX_ECE):
            refusals.append(
                f"calibration error{place} {figure}; its upper bound may be {MAX_ECE:g} at most. Recalibrate."
            )
        elif figure.high > MAX_ECE:
            not_judged.append(
                f"calibration error{place} {figure}: too few films to say whether it is above {MAX_ECE:g}."
            )
    return Verdict(tuple(refusals), tuple(not_judged))


def judge_subgroups(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse a group of films that is, beyond doubt, distinguished much less well than the best group."""
    del current
    return _all([_judge_groups(place, evaluation) for place, evaluation, _ in _judged(candidate)])


def _judge_groups(place: str, evaluation: Evaluation) -> Verdict:
    groups = list_rows(evaluation, "subgroups")
    refusals: list[str] = []
    not_judged = [] if groups else [f"no groups of films are known{place}, so that no gap between them is."]
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


def judge_stated_use(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Say which evaluations are not judged because the stated use of the model excludes their films."""
    del current
    told = tuple(
        f"{label!r} is excluded from the model's stated use: {reason}"
        for label, reason in stated_exclusions(candidate).items()
        if label in candidate.evaluations
    )
    return Verdict((), told)


def stated_exclusions(candidate: MeasuredModel) -> Mapping[str, str]:
    """Return the evaluations that the bundle's stated use excludes, each with its reason."""
    excluded = candidate.facts.get("excluded_from_use")
    return excluded if isinstance(excluded, Mapping) else {}


def _judged(candidate: MeasuredModel) -> Iterator[tuple[str, Evaluation, bool]]:
    """Yield what to say of the place ("" for the first), the evaluation, and whether it is the first.

    A model without any evaluation is judged by nothing, which refuses. The first cannot be excluded: it gave
    the temperature and the operating points.
    """
    if candidate.first is None:
        yield "", {}, True
    for number, (label, evaluation) in enumerate(candidate.evaluations.items()):
        if number == 0 or label not in stated_exclusions(candidate):
            yield f" on {label!r}" if number else "", evaluation, number == 0


def _all(verdicts: Sequence[Verdict]) -> Verdict:
    return Verdict(
        tuple(sentence for verdict in verdicts for sentence in verdict.refusals),
        tuple(sentence for verdict in verdicts for sentence in verdict.not_judged),
    )


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
    by_films = {films_of(evaluation): label for label, evaluation in current.evaluations.items()}
    for label, ours in candidate.evaluations.items():
        films = films_of(ours)
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


def _refuse_below(what: str, figure: Figure | None, least: float, is_first: bool) -> Verdict:
    if figure is None or figure.low is None:
        unknown = f"{what} is not known with an interval. Evaluate on films that define it."
        return Verdict((unknown,)) if is_first else Verdict((), (unknown,))
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
