"""The evaluation, read aloud: scored films in, everything the report shows out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import BOOTSTRAP_RESAMPLES, WORST_CONFUSED_FILMS
from hilum.evaluation.calibration import Calibration, Temperature, calibrate, fit_temperature, scale
from hilum.evaluation.discrimination import DISEASES, Discrimination, discriminate
from hilum.evaluation.generalization import GeneralizationGap, read_gap
from hilum.evaluation.inputs import (
    EvaluationInput,
    FloatArray,
    ScoredFilms,
    check_separate,
    read_scored_films,
)
from hilum.evaluation.operating_points import (
    ScenarioRow,
    TargetResult,
    assess_scenarios,
    assess_target,
)
from hilum.evaluation.promises import GivenPromises, Promises, make_promises
from hilum.evaluation.subgroups import (
    SourceConfounding,
    Subgroup,
    measure_confounding,
    measure_subgroups,
)


@dataclass(frozen=True, slots=True)
class WorstFilm:
    """A film that the model got wrong, with the calibrated probability it gave to each class."""

    path: str
    source: str
    true: str
    called: str
    confidence: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class GivenAnswers:
    """What a model answers by already: its temperature, and its promises where they are kept as well."""

    temperature: Temperature
    promises: GivenPromises | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything that one evaluation found.

    Parameters
    ----------
    inputs
        What was evaluated; its mappings are printed as they are.
    films, probabilities
        The films under test and their calibrated probabilities, float64 (N, K).
    resamples, seed
        Of the bootstrap.
    validation_films, shared_patients
        Films that temperature and cut-offs were fitted on (0: none), and patients that are also under test.
    temperature
        Fitted on validation; every figure but `uncalibrated` uses it.
    promises
        None when there is no validation split of its own to fit them on.
    """

    inputs: EvaluationInput
    films: ScoredFilms
    probabilities: FloatArray
    uncalibrated_probabilities: FloatArray
    resamples: int
    seed: int
    validation_films: int
    shared_patients: int
    temperature: Temperature
    discrimination: Discrimination
    uncalibrated: Calibration
    calibrated: Calibration
    scenarios: tuple[ScenarioRow, ...]
    targets: tuple[TargetResult, ...]
    subgroups: tuple[Subgroup, ...]
    confounding: SourceConfounding
    worst_films: tuple[WorstFilm, ...]
    gap: GeneralizationGap | None
    promises: Promises | None

    @property
    def sources(self) -> tuple[Subgroup, ...]:
        """The subgroups that are sources."""
        return tuple(group for group in self.subgroups if group.column == "source")


def evaluate_predictions(
    inputs: EvaluationInput,
    *,
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = 0,
    given: GivenAnswers | None = None,
) -> Evaluation:
    """Evaluate scored films: fit on validation, measure on the split under test.

    Parameters
    ----------
    given
        Taken instead of what would be fitted on validation; cut-offs of WHO's target are fitted all the same.

    Raises
    ------
    EmptyDataset, DatasetError
        If a table is empty, contradicts itself, or validation contains films under test without
        `inputs.fitted_on_test` saying so.
    """
    films = read_scored_films(inputs.predictions)
    validation, shared_patients = _read_validation(inputs)
    temperature = given.temperature if given else _fit_temperature(validation)
    raw, probabilities = scale(films.logits, 1.0), scale(films.logits, temperature.value)
    known = (films.labels, probabilities, films.patients)
    calibrated = calibrate(*known, resamples=resamples, seed=seed)
    fitted_on = (validation.labels, scale(validation.logits, temperature.value)) if validation else None
    return Evaluation(
        inputs=inputs,
        films=films,
        probabilities=probabilities,
        uncalibrated_probabilities=raw,
        resamples=resamples,
        seed=seed,
        validation_films=len(validation) if validation else 0,
        shared_patients=shared_patients,
        temperature=temperature,
        discrimination=discriminate(*known, resamples=resamples, seed=seed),
        uncalibrated=calibrate(films.labels, raw, films.patients, resamples=resamples, seed=seed),
        calibrated=calibrated,
        scenarios=assess_scenarios(*known, resamples=resamples, seed=seed),
        targets=tuple(
            assess_target(
                disease,
                validation=fitted_on,
                test=(films.labels, probabilities),
                patients=films.patients,
                resamples=resamples,
                seed=seed,
            )
            for disease in reversed(DISEASES)  # tuberculosis, which the target is for, first
        ),
        subgroups=measure_subgroups(films, probabilities, resamples=resamples, seed=seed),
        confounding=measure_confounding(films),
        worst_films=find_worst_films(films, probabilities),
        gap=read_gap(inputs.history) if inputs.history else None,
        promises=make_promises(
            validation,
            fitted_on[1],
            films.labels,
            probabilities,
            given=given.promises if given else None,
        )
        if validation and fitted_on and not inputs.fitted_on_test
        else None,
    )


def find_worst_films(films: ScoredFilms, probabilities: FloatArray) -> tuple[WorstFilm, ...]:
    """Return the most confidently wrong films, the worst of every kind of confusion among them."""
    called = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(called != films.labels)
    ranked = wrong[np.argsort(-probabilities[wrong, called[wrong]], kind="stable")]
    worst_of_kind: dict[tuple[int, int], int] = {}
    for index in ranked.tolist():
        worst_of_kind.setdefault((int(films.labels[index]), int(called[index])), index)
    # Without this a site where one class fails would fill the page with one and the same mistake.
    kept = list(worst_of_kind.values())
    kept += [index for index in ranked.tolist() if index not in kept][: WORST_CONFUSED_FILMS - len(kept)]
    return tuple(
        WorstFilm(
            path=films.paths[index],
            source=str(films.sources[index]),
            true=CLASS_NAMES[films.labels[index]],
            called=CLASS_NAMES[called[index]],
            confidence=float(probabilities[index].max()),
            probabilities=dict(zip(CLASS_NAMES, probabilities[index].tolist(), strict=True)),
        )
        for index in ranked.tolist()
        if index in kept
    )


def _read_validation(inputs: EvaluationInput) -> tuple[ScoredFilms | None, int]:
    if inputs.fitted_on_test:
        return read_scored_films(inputs.predictions), 0
    if inputs.validation is None:
        return None, 0
    validation = read_scored_films(inputs.validation, name="validation")
    return validation, check_separate(inputs.predictions, inputs.validation)


def _fit_temperature(validation: ScoredFilms | None) -> Temperature:
    if validation is None:
        return Temperature(1.0, films=0, reason="not fitted: there is no validation split")
    return fit_temperature(validation.logits, validation.labels)
