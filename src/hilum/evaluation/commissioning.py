"""What a hospital's own films with a reference result say about a model there, before it is used.

Sick means: has one of the diseases in question at the site. The score is P(abnormal), because which disease
it is does not carry over to a site that the model never saw; its log odds are handed in. Figures at the
local cut-off are cross-validated, so a cut-off is never judged on the films that chose it; nothing here has
seen other films of the site.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import (
    BOOTSTRAP_RESAMPLES,
    MAX_TEMPERATURE,
    MIN_COMMISSIONING_FILMS,
    MIN_FILMS_FOR_CLAIM,
    MIN_TEMPERATURE,
    WHO_TRIAGE_MIN_SENSITIVITY,
    WHO_TRIAGE_MIN_SPECIFICITY,
)
from hilum.evaluation.discrimination import auroc_basis, ratio, weighted_auroc
from hilum.evaluation.inputs import BoolArray, FloatArray, IntArray, ScoredFilms
from hilum.evaluation.intervals import measure, percentile_interval, rate_basis, resample_weights
from hilum.evaluation.measure import Measure
from hilum.evaluation.operating_points import Verdict, find_cutoff, judge_target
from hilum.evaluation.referral import ReferralRule, fit_referral

_FOLDS = 10
_SMALL_PENALTY = 1e-3  # keeps a perfectly separated sample from an infinite slope


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A film is called sick from `cutoff` (log odds) on; `low`, `high`: the cut-off's own interval."""

    cutoff: float
    low: float | None
    high: float | None
    sensitivity: Measure
    specificity: Measure


@dataclass(frozen=True, slots=True)
class Recalibration:
    """P(sick) = expit((log odds - shift) / temperature), with the mean negative log-likelihood (nats).

    The shift carries the share of sick films in the sample; use with another share moves it.
    """

    temperature: float
    shift: float
    nll_before: float
    nll_after: float


@dataclass(frozen=True, slots=True)
class Commissioning:
    """What the labelled films of a site support, and in `unsupported` what they do not.

    `label_free` is the cut-off that needs no labels, judged by them; `local`, `recalibration` and
    `referral` are None when the sample is too small, and `verdict` then is about `label_free`.
    """

    films: int
    sick: int
    diseases: tuple[str, ...]
    auroc: Measure
    label_free: OperatingPoint
    local: OperatingPoint | None
    verdict: Verdict
    reason: str
    recalibration: Recalibration | None
    referral: ReferralRule | None
    unsupported: tuple[str, ...]


def commission(
    films: ScoredFilms,
    scores: FloatArray,
    diseases: Sequence[str],
    *,
    cutoff: float = 0.0,
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = 0,
) -> Commissioning:
    """Fit and judge a local operating point on a site's labelled films.

    Parameters
    ----------
    films
        The site's labelled films.
    scores
        float64 (N,), log odds of sick against normal of the same films.
    diseases
        Names of `CLASS_NAMES` that are in question at the site, such as Tuberculosis in a TB programme.
    cutoff
        The one that holds without labels, in log odds.
    """
    sick = np.isin(films.labels, [CLASS_NAMES.index(name) for name in diseases])
    patients = films.patients
    basis = auroc_basis(sick, ~sick, patients, reason="the site's films are of one kind only")
    auroc = measure(
        lambda weights: {"auroc": weighted_auroc(scores, sick, weights)},
        patients,
        {"auroc": basis},
        resamples=resamples,
        seed=seed,
    )["auroc"]
    named = " or ".join(diseases)
    draws = {"resamples": resamples, "seed": seed}
    called = scores >= cutoff
    label_free = _judge(called, sick, patients, named, cutoff=cutoff, interval=None, **draws)
    counts = min(int(sick.sum()), int((~sick).sum()))
    is_enough = len(films) >= MIN_COMMISSIONING_FILMS and counts >= MIN_FILMS_FOR_CLAIM
    local = _local_point(scores, sick, patients, named, resamples=resamples, seed=seed) if is_enough else None
    judged = local or label_free
    verdict, reason = judge_target(named, judged.sensitivity, judged.specificity)
    return Commissioning(
        films=len(films),
        sick=int(sick.sum()),
        diseases=tuple(diseases),
        auroc=auroc,
        label_free=label_free,
        local=local,
        verdict=verdict,
        reason=reason,
        recalibration=_recalibrate(scores, sick) if is_enough else None,
        referral=fit_referral(scores, sick, disease=named) if is_enough else None,
        unsupported=_unsupported(films, sick, diseases, verdict, reason),
    )


def triage_cutoff(scores: FloatArray, sick: BoolArray) -> float:
    """Return the cut-off for WHO's triage target on N films, at least one of them sick.

    Where both rates can be reached it leaves both the widest margin, as a share of what they could have, so
    that the figures can hold on other films; where they cannot, sensitivity goes first: the highest cut-off
    that finds 90 %.
    """
    candidates = np.unique(scores)
    ranks_sick, ranks_other = np.sort(scores[sick]), np.sort(scores[~sick])
    sensitivity = 1 - np.searchsorted(ranks_sick, candidates) / len(ranks_sick)
    specificity = np.searchsorted(ranks_other, candidates) / max(1, len(ranks_other))
    margin = np.minimum(
        (sensitivity - WHO_TRIAGE_MIN_SENSITIVITY) / (1 - WHO_TRIAGE_MIN_SENSITIVITY),
        (specificity - WHO_TRIAGE_MIN_SPECIFICITY) / (1 - WHO_TRIAGE_MIN_SPECIFICITY),
    )
    best = int(margin.argmax())
    if margin[best] >= 0:
        return float(candidates[best])
    cutoff = find_cutoff(scores, sick, min_sensitivity=WHO_TRIAGE_MIN_SENSITIVITY)
    assert cutoff is not None, "there is a sick film"
    return cutoff


def cross_validated_calls(scores: FloatArray, sick: BoolArray, patients: IntArray, *, seed: int) -> BoolArray:
    """Return each film's call, bool (N,), at a cut-off chosen on other patients."""
    order = np.random.default_rng(seed).permutation(int(patients.max()) + 1)
    folds = (np.argsort(order) % _FOLDS)[patients]
    called = np.zeros(len(scores), bool)
    for fold in range(_FOLDS):
        held = folds == fold
        called[held] = scores[held] >= triage_cutoff(scores[~held], sick[~held])
    return called


def _local_point(
    scores: FloatArray, sick: BoolArray, patients: IntArray, named: str, *, resamples: int, seed: int
) -> OperatingPoint:
    draws = []
    for weights in resample_weights(patients, resamples=resamples, seed=seed):
        for row in weights.astype(int):
            again = np.repeat(np.arange(len(scores)), row)
            if sick[again].any():
                draws.append(triage_cutoff(scores[again], sick[again]))
    called = cross_validated_calls(scores, sick, patients, seed=seed)
    interval = percentile_interval(np.array(draws)) if draws else None
    return _judge(
        called,
        sick,
        patients,
        named,
        cutoff=triage_cutoff(scores, sick),
        interval=interval,
        resamples=resamples,
        seed=seed,
    )


def _judge(
    called: BoolArray,
    sick: BoolArray,
    patients: IntArray,
    named: str,
    *,
    cutoff: float,
    interval: tuple[float, float] | None,
    resamples: int,
    seed: int,
) -> OperatingPoint:
    found = measure(
        lambda weights: {
            "sensitivity": ratio(weights @ (called & sick), weights @ sick),
            "specificity": ratio(weights @ (~called & ~sick), weights @ ~sick),
        },
        patients,
        {
            "sensitivity": rate_basis(called, sick, patients, reason=f"the site sent no {named} film"),
            "specificity": rate_basis(~called, ~sick, patients, reason=f"every film sent is {named}"),
        },
        resamples=resamples,
        seed=seed,
    )
    low, high = interval or (None, None)
    return OperatingPoint(cutoff, low, high, found["sensitivity"], found["specificity"])


def _recalibrate(scores: FloatArray, sick: BoolArray) -> Recalibration:
    from scipy.optimize import minimize  # here, as in calibration.py

    signs = np.where(sick, 1.0, -1.0)

    def nll(temperature: float, shift: float) -> float:
        return float(np.logaddexp(0.0, -signs * (scores - shift) / temperature).mean())

    def penalised(parameters: FloatArray) -> float:
        log_temperature, shift = parameters
        return (
            nll(float(np.exp(log_temperature)), float(shift)) + _SMALL_PENALTY * float(log_temperature) ** 2
        )

    bounds = [(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)), (scores.min(), scores.max())]
    start = np.array([0.0, float(np.median(scores))])
    log_temperature, shift = minimize(penalised, start, method="L-BFGS-B", bounds=bounds).x
    temperature = float(np.exp(log_temperature))
    return Recalibration(temperature, float(shift), nll(1.0, 0.0), nll(temperature, float(shift)))


def probability_of_sick(
    log_odds: FloatArray, recalibration: Recalibration | None, *, temperature: float
) -> FloatArray:
    """Return P(sick), float64 (N,), of log odds (N,); without a recalibration by the model's temperature."""
    if recalibration is None:
        return np.asarray(expit(log_odds / temperature))
    return np.asarray(expit((log_odds - recalibration.shift) / recalibration.temperature))


def _unsupported(
    films: ScoredFilms, sick: BoolArray, diseases: Sequence[str], verdict: Verdict, reason: str
) -> tuple[str, ...]:
    """Return what the sample cannot support, one sentence each."""
    sentences = []
    if len(films) < MIN_COMMISSIONING_FILMS:
        sentences.append(
            f"A local cut-off: {len(films)} labelled film(s) were given,"
            f" {MIN_COMMISSIONING_FILMS} are needed."
        )
    counts = ((int(sick.sum()), " or ".join(diseases)), (int((~sick).sum()), "other"))
    sentences += [
        f"Any figure about {kind} films: {count} were given, {MIN_FILMS_FOR_CLAIM} are needed."
        for count, kind in counts
        if count < MIN_FILMS_FOR_CLAIM
    ]
    if verdict is not Verdict.MET:
        sentences.append(
            f"WHO's triage target ({100 * WHO_TRIAGE_MIN_SENSITIVITY:.0f} % sensitivity,"
            f" {100 * WHO_TRIAGE_MIN_SPECIFICITY:.0f} % specificity): {reason}."
        )
    if len(diseases) > 1:
        sentences.append(
            f"Which of {' and '.join(diseases)} it is: the cut-off is for sick against not sick; name the one"
            " disease in question if there is one."
        )
    for column, values in films.groups.items():
        small = [name for name in np.unique(values) if (values == name).sum() < MIN_FILMS_FOR_CLAIM]
        if small:
            sentences.append(f"A claim by {column}: too few films of {', '.join(map(str, small))}.")
    return tuple(sentences)
