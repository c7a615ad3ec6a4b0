"""From probabilities to decisions: the three scenarios of the report's Table 15 and WHO's triage target.

A cut-off is a mapping from class name to probability. Those of the scenarios are the report's; WHO's is
fitted on validation films and travels with the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor

import numpy as np

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.scenario import Scenario
from hilum.domain.thresholds import (
    CROSS_CHECK_TOLERANCE,
    HIGH_SENSITIVITY_PROBABILITY,
    HIGH_SPECIFICITY_PROBABILITY,
    MIN_FILMS_FOR_CLAIM,
    WHO_TRIAGE_MIN_SENSITIVITY,
    WHO_TRIAGE_MIN_SPECIFICITY,
)
from hilum.evaluation.discrimination import DISEASES, ratio
from hilum.evaluation.inputs import BoolArray, FloatArray, IntArray
from hilum.evaluation.intervals import Basis, measure, rate_basis, wilson_interval
from hilum.evaluation.measure import Measure, undefined

UNCONFIRMED = "Unconfirmed"
"""Said of a film that looks sick rather than normal, but of which no disease reaches its threshold."""
DEFAULT_SCENARIO = Scenario.SCREENING
"""In force where neither the site nor who runs hilum chose another. Ours: a miss is worse than a look."""

_MAX_PLANNED_FILMS = 1_000_000  # where the search for a sample size gives up


SCENARIO_CUTOFFS: Mapping[Scenario, Mapping[str, float] | None] = {
    Scenario.SCREENING: dict.fromkeys(DISEASES, HIGH_SENSITIVITY_PROBABILITY),
    Scenario.BALANCED: None,  # the most probable class
    Scenario.CONFIRMATION: dict.fromkeys(DISEASES, HIGH_SPECIFICITY_PROBABILITY),
}


class Verdict(StrEnum):
    """Whether a target is reached."""

    MET = "met"
    NOT_PROVEN = "reached, not proven"
    MISSED = "missed"
    CANNOT_BE_JUDGED = "cannot be judged"


@dataclass(frozen=True, slots=True)
class ScenarioRow:
    """One disease in one scenario: `cutoff` is None for the most probable class."""

    scenario: Scenario
    disease: str
    cutoff: float | None
    sensitivity: Measure
    specificity: Measure
    precision: Measure


@dataclass(frozen=True, slots=True)
class TargetResult:
    """WHO's triage target for one disease.

    Parameters
    ----------
    cutoff
        Probability from which the disease is called, fitted on validation; None when it cannot be.
    validation_sensitivity, validation_specificity
        What the cut-off gives where it was fitted.
    sensitivity, specificity
        What it gives on the films under test.
    verdict, reason
        Whether both targets are reached, and why it is judged so.
    """

    disease: str
    cutoff: float | None
    validation_films: int
    validation_sensitivity: float | None
    validation_specificity: float | None
    sensitivity: Measure
    specificity: Measure
    verdict: Verdict
    reason: str


def call(probabilities: FloatArray, scenario: Scenario) -> BoolArray:
    """Return which diseases are called, float64 (N, K) to bool (N, number of diseases).

    Screening may call both diseases of one film.
    """
    cutoffs = SCENARIO_CUTOFFS[scenario]
    positions = [CLASS_NAMES.index(name) for name in DISEASES]
    if cutoffs is None:
        return np.asarray(probabilities.argmax(axis=1)[:, None] == np.array(positions))
    return np.asarray(probabilities[:, positions] >= np.array([cutoffs[name] for name in DISEASES]))


def name_called(probabilities: FloatArray, scenario: Scenario) -> list[tuple[str, ...]]:
    """Return the diseases that `call` calls of each film, the most probable first; () for none.

    Parameters
    ----------
    probabilities
        float64 (N, K), calibrated, columns in the order of `CLASS_NAMES`.
    """
    positions = [CLASS_NAMES.index(name) for name in DISEASES]
    return [
        tuple(DISEASES[index] for index in np.argsort(-row, kind="stable") if flags[index])
        for row, flags in zip(probabilities[:, positions], call(probabilities, scenario), strict=True)
    ]


def headline(called: Sequence[str], most_probable: str) -> str:
    """Return the one line to say first: every called disease, Normal, or `UNCONFIRMED`.

    A film that looks sick, but of which no disease reaches its threshold, is not a healthy one.
    """
    if called:
        return " and ".join(called)
    return most_probable if most_probable == Finding.NORMAL else UNCONFIRMED


def assess_scenarios(
    labels: IntArray, probabilities: FloatArray, patients: IntArray, *, resamples: int, seed: int
) -> tuple[ScenarioRow, ...]:
    """Return Table 15 with what each scenario really gives, per disease."""
    calls = {
        (scenario, name): call(probabilities, scenario)[:, index]
        for scenario in Scenario
        for index, name in enumerate(DISEASES)
    }
    rows = []
    for (scenario, name), called in calls.items():
        true = labels == CLASS_NAMES.index(name)
        figures = _rates(called, true, patients, name, resamples=resamples, seed=seed)
        cutoffs = SCENARIO_CUTOFFS[scenario]
        rows.append(ScenarioRow(scenario, name, cutoffs[name] if cutoffs else None, *figures))
    return tuple(rows)


def find_cutoff(scores: FloatArray, positive: BoolArray, *, min_sensitivity: float) -> float | None:
    """Return the highest cut-off that calls at least `min_sensitivity` of the positives, None without any.

    A film is called when its score, float64 (N,), is at or above the cut-off.
    """
    ranked = np.sort(scores[positive])[::-1]
    if not len(ranked):
        return None
    needed = max(1, ceil(min_sensitivity * len(ranked) - CROSS_CHECK_TOLERANCE))
    return float(ranked[needed - 1])


def assess_target(
    disease: str,
    *,
    validation: tuple[IntArray, FloatArray] | None,
    test: tuple[IntArray, FloatArray],
    patients: IntArray,
    resamples: int,
    seed: int,
) -> TargetResult:
    """Fit WHO's operating point for a disease on validation and judge it on the films under test.

    Parameters
    ----------
    validation, test
        Labels int64 (N,) and calibrated probabilities float64 (N, K).
    patients
        int64 (N,) of the films under test.
    """
    position = CLASS_NAMES.index(disease)
    if validation is None:
        return _unjudged(disease, 0, "there is no validation split to find a cut-off on")
    known_labels, known = validation[0] == position, validation[1][:, position]
    films = int(known_labels.sum())
    cutoff = find_cutoff(known, known_labels, min_sensitivity=WHO_TRIAGE_MIN_SENSITIVITY)
    if cutoff is None or films < MIN_FILMS_FOR_CLAIM:
        return _unjudged(
            disease,
            films,
            f"validation has {films} {disease} film(s); {MIN_FILMS_FOR_CLAIM} are needed to find a cut-off",
        )
    labels, probabilities = test
    true, called = labels == position, probabilities[:, position] >= cutoff
    sensitivity, specificity, _ = _rates(called, true, patients, disease, resamples=resamples, seed=seed)
    verdict, reason = judge_target(disease, sensitivity, specificity)
    others = known[~known_labels]
    return TargetResult(
        disease=disease,
        cutoff=cutoff,
        validation_films=films,
        validation_sensitivity=float((known[known_labels] >= cutoff).mean()),
        validation_specificity=float((others < cutoff).mean()) if len(others) else None,
        sensitivity=sensitivity,
        specificity=specificity,
        verdict=verdict,
        reason=reason,
    )


def films_needed(rate: float, target: float) -> int | None:
    """Return how many films make the Wilson lower bound of `rate` reach `target`; None if it never does."""
    if rate <= target:
        return None
    low, high = 1, _MAX_PLANNED_FILMS
    if wilson_interval(rate * high, high)[0] < target:
        return None
    while low < high:
        middle = floor((low + high) / 2)
        if wilson_interval(rate * middle, middle)[0] >= target:
            high = middle
        else:
            low = middle + 1
    return low


def judge_target(disease: str, sensitivity: Measure, specificity: Measure) -> tuple[Verdict, str]:
    """Judge two rates against WHO's triage target, with the reason and what a proof would take."""
    aims = (
        ("sensitivity", f"{disease} film(s)", sensitivity, WHO_TRIAGE_MIN_SENSITIVITY),
        ("specificity", f"film(s) without {disease}", specificity, WHO_TRIAGE_MIN_SPECIFICITY),
    )
    few = [f"{rate.films} {kind}" for _, kind, rate, _ in aims if not rate.is_claimable]
    if few:
        return Verdict.CANNOT_BE_JUDGED, (
            f"the films under test have only {' and '.join(few)}; {MIN_FILMS_FOR_CLAIM} of each are needed"
        )
    missed = [
        f"{name} {100 * (rate.value or 0):.1f} % is below {100 * target:.0f} %{_doubt(rate, target)}"
        for name, _, rate, target in aims
        if (rate.value or 0) < target
    ]
    if missed:
        return Verdict.MISSED, " and ".join(missed)
    unsure = [
        f"the interval of the {name} reaches below {100 * target:.0f} %{_plan(rate, kind, target)}"
        for name, kind, rate, target in aims
        if rate.low is None or rate.low < target
    ]
    if unsure:
        return Verdict.NOT_PROVEN, "; ".join(unsure)
    return Verdict.MET, "both intervals lie at or above the target"


def _doubt(rate: Measure, target: float) -> str:
    return (
        " (though its interval reaches the target)" if rate.high is not None and rate.high >= target else ""
    )


def _plan(rate: Measure, kind: str, target: float) -> str:
    needed = films_needed(rate.value or 0.0, target)
    return f" (it would take about {needed:,} {kind}, there are {rate.films})" if needed else ""


def _rates(
    called: BoolArray, true: BoolArray, patients: IntArray, disease: str, *, resamples: int, seed: int
) -> tuple[Measure, Measure, Measure]:
    trials: dict[str, tuple[BoolArray, BoolArray, str]] = {
        "sensitivity": (called, true, f"there are no {disease} films"),
        "specificity": (~called, ~true, f"all films are {disease}"),
        "precision": (true, called, f"no film is called {disease}"),
    }
    bases: dict[str, Basis] = {
        name: rate_basis(event, trial, patients, reason=reason)
        for name, (event, trial, reason) in trials.items()
    }
    figures = measure(
        lambda weights: {
            name: ratio(weights @ (event & trial).astype(float), weights @ trial.astype(float))
            for name, (event, trial, _) in trials.items()
        },
        patients,
        bases,
        resamples=resamples,
        seed=seed,
    )
    return figures["sensitivity"], figures["specificity"], figures["precision"]


def _unjudged(disease: str, films: int, reason: str) -> TargetResult:
    nothing = undefined(reason)
    return TargetResult(disease, None, films, None, None, nothing, nothing, Verdict.CANNOT_BE_JUDGED, reason)
