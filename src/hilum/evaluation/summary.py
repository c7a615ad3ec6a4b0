"""What a reader must know first: the headlines of an evaluation, worst first, in plain words."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import (
    CHANCE_AUROC,
    MAX_CALIBRATION_SLOPE_DEVIATION,
    MAX_CLASS_ERROR_RATE,
    MAX_ECE,
    MAX_SOURCE_AUROC_DROP,
    OVERFITTING_MIN_F1_GAP,
    WHO_TRIAGE_MIN_SENSITIVITY,
    WHO_TRIAGE_MIN_SPECIFICITY,
)
from hilum.evaluation.discrimination import Discrimination
from hilum.evaluation.evaluate import Evaluation
from hilum.evaluation.measure import Measure, format_score
from hilum.evaluation.operating_points import Verdict
from hilum.evaluation.subgroups import Subgroup


class Severity(IntEnum):
    """How much a headline should worry: lower is worse and is printed first."""

    CRITICAL = 0
    WARNING = 1
    NOTE = 2

    @property
    def word(self) -> str:
        """The word on the page; colour alone would not reach every reader."""
        return {Severity.CRITICAL: "Serious", Severity.WARNING: "Caution", Severity.NOTE: "Note"}[self]


@dataclass(frozen=True, slots=True)
class Headline:
    """One thing to know.

    Parameters
    ----------
    text
        The fact, with its figure and interval.
    detail
        What it means or what to do; may be empty.
    weight
        Order among headlines of one severity: higher is worse.
    """

    severity: Severity
    text: str
    detail: str = ""
    weight: float = 0.0


def find_headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """Return the headlines of an evaluation, worst first."""
    found = [
        *_failing_classes(evaluation),
        *_weak_sources(evaluation),
        *_missed_targets(evaluation),
        *_bad_calibration(evaluation),
        *_broken_promises(evaluation),
        *_confounding(evaluation),
        *_overfitting(evaluation),
        *_conditions(evaluation),
        *_undefined(evaluation),
    ]
    return tuple(sorted(found, key=lambda headline: (headline.severity, -headline.weight)))


def summarise(evaluation: Evaluation) -> str:
    """Say in two or three sentences what was tested and how often the model was right."""
    scores = evaluation.discrimination
    classes = ", ".join(f"{row.support} {row.name}" for row in scores.classes if row.support)
    sources = ", ".join(group.value for group in evaluation.sources)
    right = sum(scores.confusion[index][index] for index in range(len(CLASS_NAMES)))
    where = "source" if len(evaluation.sources) == 1 else "sources"
    text = (
        f"The model was tested on {scores.films} films of {scores.patients} patients ({classes}) from"
        f" {len(evaluation.sources)} {where}: {sources}. It named the right class for {right} of them"
        f" ({_percent(scores.accuracy)})."
    )
    if scores.sick_vs_normal.value is not None:
        text += (
            " Given one film with a disease and one normal film, it ranks the diseased one higher"
            f" {100 * scores.sick_vs_normal.value:.0f} times in 100."
        )
    return text


def _failing_classes(evaluation: Evaluation) -> Iterator[Headline]:
    for row, place, scores in _class_rows(evaluation):
        rate = scores.row(row).recall
        if not rate.is_claimable or rate.value is None or 1 - rate.value <= MAX_CLASS_ERROR_RATE:
            continue
        counts = scores.confusion[CLASS_NAMES.index(row)]
        instead = ", ".join(
            f"{count} {name}"
            for name, count in sorted(zip(CLASS_NAMES, counts, strict=True), key=lambda item: -item[1])
            if name != row and count
        )
        yield Headline(
            Severity.CRITICAL,
            f"{rate.events} of {rate.films} {row} films{place} were called {row}"
            f" (sensitivity {_percent(rate)}).",
            f"They were called instead: {instead}."
            + (" A negative answer does not rule the disease out." if row != Finding.NORMAL else ""),
            weight=1 - rate.value,
        )


def _class_rows(evaluation: Evaluation) -> Iterator[tuple[str, str, Discrimination]]:
    """Yield every class over all films and, where a class comes from several sources, in each of them."""
    for name in CLASS_NAMES:
        holders = [group for group in evaluation.sources if group.support[name]]
        place = f" from {holders[0].value}" if len(holders) == 1 else " (all sources)"
        yield name, place, evaluation.discrimination
        if len(holders) > 1:
            for group in holders:
                yield name, f" from {group.value}", group.discrimination


def _weak_sources(evaluation: Evaluation) -> Iterator[Headline]:
    judged = [
        (group, group.discrimination.sick_vs_normal, group.discrimination.sick_vs_normal.value)
        for group in evaluation.sources
        if group.discrimination.sick_vs_normal.is_claimable
    ]
    best = max((value for _, _, value in judged if value is not None), default=0.0)
    for group, area, value in judged:
        assert value is not None, "claimable figures exist"
        if area.low is not None and area.low <= CHANCE_AUROC:
            yield Headline(
                Severity.CRITICAL,
                f"In {group.value} the model does not tell sick from normal better than chance"
                f" (AUROC {_score(area)}).",
                _size(group),
                weight=best - value,
            )
        elif best - value > MAX_SOURCE_AUROC_DROP:
            yield Headline(
                Severity.WARNING,
                f"Films from {group.value} are told apart less well: sick against normal AUROC"
                f" {_score(area)}, against {best:.3f} in the best source.",
                _size(group),
                weight=best - value,
            )


def _missed_targets(evaluation: Evaluation) -> Iterator[Headline]:
    aim = (
        f"{100 * WHO_TRIAGE_MIN_SENSITIVITY:.0f} % sensitivity and"
        f" {100 * WHO_TRIAGE_MIN_SPECIFICITY:.0f} % specificity"
    )
    for target in evaluation.targets:
        official = target.disease == Finding.TUBERCULOSIS
        name = f"WHO's target for a tuberculosis triage test ({aim})"
        if not official:
            name = f"For {target.disease}, the same bar ({aim}; WHO sets it for tuberculosis only)"
        # A missed bar that nobody set for this disease is information, not a failure.
        worst = Severity.CRITICAL if official else Severity.NOTE
        if target.verdict is Verdict.MET:
            continue
        if target.verdict is Verdict.CANNOT_BE_JUDGED:
            yield Headline(Severity.NOTE, f"{name} cannot be judged: {target.reason}.")
            continue
        text = f"{name} is {target.verdict}: sensitivity {_percent(target.sensitivity)}, specificity"
        yield Headline(
            worst if target.verdict is Verdict.MISSED else Severity.NOTE,
            f"{text} {_percent(target.specificity)}.",
            f"{target.reason[0].upper()}{target.reason[1:]}.",
            weight=WHO_TRIAGE_MIN_SENSITIVITY - (target.sensitivity.value or 0.0),
        )


def _bad_calibration(evaluation: Evaluation) -> Iterator[Headline]:
    places = [("", evaluation.calibrated), *((f" in {g.value}", g.calibration) for g in evaluation.sources)]
    if len(evaluation.sources) == 1:
        places = places[:1]
    for place, calibration in places:
        ece = calibration.ece
        if ece.is_claimable and ece.value is not None and ece.value > MAX_ECE:
            yield Headline(
                Severity.WARNING,
                f"Probabilities are off by {100 * ece.value:.0f} percentage points on average{place}"
                f" (ECE {_score(ece)}; at most {MAX_ECE} is accepted).",
                "Do not read a probability as a chance here; recalibrate on films of this kind.",
                weight=ece.value,
            )
    slope = evaluation.calibrated.slope
    if slope.value is not None and abs(slope.value - 1) > MAX_CALIBRATION_SLOPE_DEVIATION:
        direction = "over-confident" if slope.value < 1 else "under-confident"
        yield Headline(
            Severity.NOTE,
            f"The reliability slope is {_score(slope)} instead of 1: the model is {direction} in its range.",
            weight=abs(slope.value - 1),
        )


def _broken_promises(evaluation: Evaluation) -> Iterator[Headline]:
    if evaluation.promises is None:
        return
    for name, row in evaluation.promises.coverage.items():
        if row.rate is not None and row.rate < row.low:
            yield Headline(
                Severity.CRITICAL,
                f"Prediction sets miss {name} in {row.films - row.covered} of {row.films} films, more than"
                f" chance allows after a promise of {100 * evaluation.promises.sets.miss_rate:.0f} %.",
                "These films are unlike the validation films. No promise made there holds here; commission"
                " the site with its own films.",
                weight=row.low - row.rate,
            )


def _confounding(evaluation: Evaluation) -> Iterator[Headline]:
    confounding = evaluation.confounding
    for first, second in confounding.never_together:
        yield Headline(
            Severity.WARNING,
            f"No source has both {first} and {second}: which of the two it is may be read off the source.",
            f"Naming the commonest class of each source, without looking at a film, is right for"
            f" {100 * confounding.accuracy:.0f} % of these films. Believe the figures inside each source.",
            weight=confounding.accuracy,
        )
    alone = confounding.one_class_sources
    if alone and len(evaluation.sources) > 1:
        yield Headline(
            Severity.WARNING,
            f"Source(s) {', '.join(alone)} have films of one class only: there the source tells the class.",
        )


def _overfitting(evaluation: Evaluation) -> Iterator[Headline]:
    gap = evaluation.gap
    if gap is not None and gap.f1_gap >= OVERFITTING_MIN_F1_GAP:
        yield Headline(
            Severity.WARNING,
            f"The model is better on films it learned from: F1 {gap.train_f1:.3f} on train,"
            f" {gap.val_f1:.3f} on validation (gap {100 * gap.f1_gap:.1f} points).",
            weight=gap.f1_gap,
        )


def _conditions(evaluation: Evaluation) -> Iterator[Headline]:
    if evaluation.shared_patients:
        yield Headline(
            Severity.CRITICAL,
            f"{evaluation.shared_patients} patient(s) are in the films under test and in validation.",
            "Figures that depend on the temperature or on a cut-off look better than they are.",
        )
    if evaluation.inputs.fitted_on_test:
        yield Headline(
            Severity.WARNING,
            "Temperature and cut-offs were fitted on the films they are tested on: calibration and operating"
            " points are optimistic.",
        )
    if evaluation.temperature.reason:
        yield Headline(Severity.NOTE, f"Temperature: {evaluation.temperature.reason}.")
    unknown = evaluation.films.films_without_patient
    if unknown:
        yield Headline(
            Severity.NOTE,
            f"{unknown} of {len(evaluation.films)} films have no patient identifier; each counts as its own"
            " patient.",
            "If they share patients, the intervals are too narrow.",
        )


def _undefined(evaluation: Evaluation) -> Iterator[Headline]:
    missing = [row.name for row in evaluation.discrimination.classes if not row.support]
    if missing:
        covered = len(CLASS_NAMES) - len(missing)
        yield Headline(
            Severity.NOTE,
            f"There are no {' and no '.join(missing)} films: their sensitivity and AUROC do not exist, and"
            f" averages cover {covered} of {len(CLASS_NAMES)} classes.",
        )
    few = [
        f"{row.support} {row.name}"
        for row in evaluation.discrimination.classes
        if row.support and not row.recall.is_claimable
    ]
    if few:
        yield Headline(Severity.NOTE, f"Too few films for a claim: {', '.join(few)}.")


def _percent(rate: Measure) -> str:
    """Write a rate as prose does: 0.0 %, 95 % CI 0.0-1.9 %."""
    assert rate.value is not None, "headlines are about figures that exist"
    text = f"{100 * rate.value:.1f} %"
    if rate.low is None or rate.high is None:
        return text
    return f"{text}, 95 % CI {100 * rate.low:.1f}–{100 * rate.high:.1f} %"


def _score(measure: Measure) -> str:
    return format_score(measure).replace(" (", ", 95 % CI ").replace(")", "")


def _size(group: Subgroup) -> str:
    return (
        f"Measured on {', '.join(f'{count} {name}' for name, count in group.support.items() if count)} films."
    )
