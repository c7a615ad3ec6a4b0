"""A new temperature from labelled answers, where calibration alone has drifted; measured on films held out.

The journal keeps probabilities p = softmax(z / T), and log p is z / T up to a number that is the same for all
classes of a film, which softmax does not see: a factor f fitted to log p makes the temperature f T, exactly
but for the six digits that are kept. It changes no call of the most probable class, so it mends nothing but
confidence: where films or accuracy have changed as well it is refused. Labels that came as reports of errors
make a model look too bold; how many they are is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection, select

from hilum.domain.errors import InputError
from hilum.domain.thresholds import (
    CALIBRATION_WINDOW_DAYS,
    MIN_LABELLED_CALIBRATION,
    RECALIBRATION_FOLDS,
    RECORDED_PROBABILITY_STEP,
)
from hilum.evaluation.calibration import calibrate, fit_temperature, scale
from hilum.evaluation.inputs import FloatArray, IntArray
from hilum.evaluation.measure import Measure
from hilum.journal.clock import format_utc
from hilum.journal.record import read_facts
from hilum.journal.tables import JournalRow
from hilum.monitoring.labelled import LabelledFilms, read_labelled
from hilum.monitoring.rollup import ANSWERS
from hilum.monitoring.signal import Assessment

_RESAMPLES = 1_000
_SEED = 0
_CONFIDENCE = "psi:confidence"  # moves with calibration itself
_CALIBRATION = frozenset({"ece", "slope"})
_NOT_ALONE = frozenset({"psi", "embedding", "resolution", "calls", "accuracy", "errors", "critical"})
_AT_ONCE = 500  # SQLite takes some 32,000 parameters


@dataclass(frozen=True, slots=True)
class Recalibration:
    """A new temperature, and the calibration error before and after it.

    Parameters
    ----------
    temperature, before
        The new one, and the one that the labelled answers were given with.
    films, reports
        Labelled answers, and those of them that came as reports of errors.
    ece_before, ece_after
        Expected calibration error; after it on films that the temperature was not fitted on.
    """

    temperature: float
    before: float
    films: int
    reports: int
    ece_before: Measure
    ece_after: Measure


def check_calibration_alone(assessment: Assessment) -> None:
    """Refuse where there is nothing to recalibrate, or more than calibration has changed.

    Raises
    ------
    InputError
        Every signal that speaks against it is named.
    """
    if assessment.reference is None:
        raise InputError(
            "recalibration: the model has no reference profile, so that films have not drifted is not known."
            " Evaluate and register it again."
        )
    others = [one.name for one in assessment.over if one.kind in _NOT_ALONE and one.name != _CONFIDENCE]
    if others:
        raise InputError(
            f"recalibration: {', '.join(others)} drifted as well, and a temperature mends confidence alone."
            " Look at the films, or retrain (hilum retrain)."
        )
    if not any(signal.kind in _CALIBRATION for signal in assessment.over):
        states = ", ".join(
            f"{signal.name} is {signal.state}" for signal in assessment.signals if signal.kind in _CALIBRATION
        )
        raise InputError(f"recalibration: calibration has not drifted ({states or 'it is not judged'}).")


def read_for_recalibration(connection: Connection, now: datetime, model_version: str) -> LabelledFilms:
    """Return the labelled answers of a model in the calibration window.

    Raises
    ------
    InputError
        There are too few, or answers were given with a site's own calibration, which no temperature mends.
    """
    labelled = read_labelled(
        connection, since=format_utc(now - timedelta(days=CALIBRATION_WINDOW_DAYS)), until=format_utc(now),
        model_version=model_version,
    )  # fmt: skip
    if len(labelled) < MIN_LABELLED_CALIBRATION:
        raise InputError(
            f"recalibration: {len(labelled)} labelled answers of {model_version} in {CALIBRATION_WINDOW_DAYS}"
            f" days; at least {MIN_LABELLED_CALIBRATION} are needed. Have more answers labelled."
        )
    at_site = _count_at_site(connection, labelled.request_ids)
    if at_site:
        raise InputError(
            f"recalibration: {at_site} of {len(labelled)} labelled answers were given with a site profile,"
            " whose probabilities are the site's own. Commission the site again (hilum commission)."
        )
    return labelled


def recalibrate(labelled: LabelledFilms, *, temperature: float) -> Recalibration:
    """Fit a temperature on all labelled answers, and measure what that does on films held out.

    Parameters
    ----------
    temperature
        The one that the answers were given with.

    Raises
    ------
    InputError
        None can be fitted, or on films held out it is no better than the present one.
    """
    logits = np.log(np.maximum(labelled.probabilities, RECORDED_PROBABILITY_STEP / 2))
    factor = _fit(logits, labelled.truth)
    held_out = _score_held_out(logits, labelled.truth)
    patients = np.arange(len(labelled))
    before, after = (
        calibrate(labelled.truth, probabilities, patients, resamples=_RESAMPLES, seed=_SEED)
        for probabilities in (scale(logits, 1.0), held_out)
    )
    worse = [
        name
        for name, new, old in (("ECE", after.ece, before.ece), ("log-likelihood", after.nll, before.nll))
        if new.value is None or old.value is None or new.value >= old.value
    ]
    if worse:
        raise InputError(
            f"recalibration: on films held out a temperature of {factor * temperature:.3f} does not better"
            f" the {' and the '.join(worse)}; the present one stays."
        )
    return Recalibration(
        factor * temperature, temperature, len(labelled), int(labelled.is_report.sum()), before.ece, after.ece
    )


def _score_held_out(logits: FloatArray, truth: IntArray) -> FloatArray:
    """Return each film's probabilities by a temperature of the other folds, float64 (N, K)."""
    fold = np.random.default_rng(_SEED).permutation(len(truth)) % RECALIBRATION_FOLDS
    scored = np.empty_like(logits)
    for number in range(RECALIBRATION_FOLDS):
        inside = fold == number
        scored[inside] = scale(logits[inside], _fit(logits[~inside], truth[~inside]))
    return scored


def _fit(logits: FloatArray, truth: IntArray) -> float:
    found = fit_temperature(logits, truth)
    if found.reason is not None:
        reason = found.reason.replace("validation", "labelled")
        raise InputError(f"recalibration: {reason}. Have more answers labelled.")
    return found.value


def _count_at_site(connection: Connection, request_ids: tuple[str, ...]) -> int:
    count = 0
    for start in range(0, len(request_ids), _AT_ONCE):
        query = select(JournalRow.facts).where(
            JournalRow.request_id.in_(request_ids[start : start + _AT_ONCE]), JournalRow.kind.in_(ANSWERS)
        )
        count += _count_sites(str(facts) for facts in connection.execute(query).scalars())
    return count


def _count_sites(texts: Iterable[str]) -> int:
    return sum(bool(read_facts(text).get("site")) for text in texts)
