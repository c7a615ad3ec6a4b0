"""Whether a probability means what it says: calibration errors, reliability, temperature scaling.

`*_error` and Brier go down when the model is better; the slope is best at 1. Temperature is one positive
number that divides the logits: it never changes which class is called. It is fitted on validation films and
belongs to the model, so it is not in `thresholds`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import CALIBRATION_BINS, MAX_TEMPERATURE, MIN_TEMPERATURE
from hilum.evaluation.discrimination import ratio
from hilum.evaluation.inputs import FloatArray, IntArray
from hilum.evaluation.intervals import Basis, measure
from hilum.evaluation.measure import Measure

_LOG_TOLERANCE = 1e-9  # of log T in the fit
_AT_BOUND = 1e-3  # of log T: nearer to a bound than this, the fit stopped there
_TWO_POINTS = 2  # a line needs them


@dataclass(frozen=True, slots=True)
class Temperature:
    """A fitted softmax temperature, with mean negative log-likelihood (nats per film) before and after.

    `reason` is set when nothing could be fitted (then the value is 1) or the fit ended at a bound.
    """

    value: float
    films: int
    nll_before: float | None = None
    nll_after: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Films whose highest probability lies in (low, high]; both means None in an empty bin."""

    low: float
    high: float
    films: int
    mean_probability: float | None
    observed_rate: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far probabilities are from frequencies.

    Parameters
    ----------
    ece
        Expected calibration error of the highest probability (Guo et al., ICML 2017).
    classwise_ece
        The same for the probability of each class, all films.
    classwise_mean
        Mean of `classwise_ece` over the classes (Kull et al., NeurIPS 2019).
    brier
        Mean squared distance to the one-hot truth, summed over classes: 0 best, 2 worst.
    nll
        Mean negative log-likelihood, nats.
    slope
        Slope of the weighted least-squares line through the reliability bins; below 1 is over-confident.
    """

    ece: Measure
    classwise_ece: Mapping[str, Measure]
    classwise_mean: Measure
    brier: Measure
    nll: Measure
    slope: Measure
    bins: tuple[ReliabilityBin, ...]


def scale(logits: FloatArray, temperature: float) -> FloatArray:
    """Return softmax(logits / temperature), float64 (N, K) to (N, K)."""
    assert temperature > 0, "a temperature is positive"
    return np.asarray(softmax(logits / temperature, axis=1), dtype=np.float64)


def fit_temperature(logits: FloatArray, labels: IntArray) -> Temperature:
    """Return the temperature that minimises the negative log-likelihood of N films.

    The loss is convex in 1/T and has one minimum in log T, so a bounded scalar search finds it.

    References
    ----------
    Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2.
    """
    from scipy.optimize import minimize_scalar  # here, for a service that never fits does without 25 MB

    if len(np.unique(labels)) < _TWO_POINTS:
        return Temperature(1.0, films=len(labels), reason="not fitted: validation has fewer than two classes")
    if np.array_equal(logits.argmax(axis=1), labels):
        # The loss then falls without end as T goes to 0, and 100 % everywhere is no answer.
        return Temperature(1.0, films=len(labels), reason="not fitted: no validation film is named wrong")
    low, high = np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)
    found = minimize_scalar(
        lambda log_t: _mean_nll(logits / np.exp(log_t), labels),
        bounds=(low, high),
        method="bounded",
        options={"xatol": _LOG_TOLERANCE},
    )
    log_temperature = float(found.x)
    bound = min(log_temperature - low, high - log_temperature) < _AT_BOUND
    return Temperature(
        value=float(np.exp(log_temperature)),
        films=len(labels),
        nll_before=_mean_nll(logits, labels),
        nll_after=float(found.fun),
        reason="the fit ended at a bound; the scores hardly depend on the class" if bound else None,
    )


def calibrate(
    labels: IntArray, probabilities: FloatArray, patients: IntArray, *, resamples: int, seed: int
) -> Calibration:
    """Measure the calibration of probabilities, float64 (N, K), against classes, int64 (N,)."""
    basis = Basis(len(labels), len(np.unique(patients)))
    error = Basis(basis.films, basis.patients, is_error=True)
    slope = Basis(basis.films, basis.patients, reason="all films fall in one bin: there is no line to fit")
    bases = {"ece": error, "classwise_mean": error, "brier": basis, "nll": basis, "slope": slope}
    bases |= {f"ece:{name}": error for name in CLASS_NAMES}
    figures = measure(
        lambda weights: _figures(labels, probabilities, weights),
        patients,
        bases,
        resamples=resamples,
        seed=seed,
    )
    return Calibration(
        ece=figures["ece"],
        classwise_ece={name: figures[f"ece:{name}"] for name in CLASS_NAMES},
        classwise_mean=figures["classwise_mean"],
        brier=figures["brier"],
        nll=figures["nll"],
        slope=figures["slope"],
        bins=reliability_bins(labels, probabilities),
    )


def reliability_bins(labels: IntArray, probabilities: FloatArray) -> tuple[ReliabilityBin, ...]:
    """Return the reliability diagram of the called class."""
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    bins = _bin_of(confidence)
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    return tuple(
        ReliabilityBin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            films=int(inside.sum()),
            mean_probability=float(confidence[inside].mean()) if inside.any() else None,
            observed_rate=float(right[inside].mean()) if inside.any() else None,
        )
        for index in range(CALIBRATION_BINS)
        for inside in [bins == index]
    )


def _figures(labels: IntArray, probabilities: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
    truth = np.eye(len(CLASS_NAMES))[labels]  # (N, K)
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    total = weights.sum(axis=1)
    counts, claimed, observed = _binned(confidence, right, weights)
    figures = {
        "ece": np.abs(claimed - observed).sum(axis=1) / total,
        "slope": _slope(counts, claimed, observed),
        "brier": weights @ ((probabilities - truth) ** 2).sum(axis=1) / total,
        "nll": weights @ -np.log(np.maximum(_of_label(probabilities, labels), np.finfo(float).tiny)) / total,
    }
    for k, name in enumerate(CLASS_NAMES):
        _, claimed, observed = _binned(probabilities[:, k], truth[:, k], weights)
        figures[f"ece:{name}"] = np.abs(claimed - observed).sum(axis=1) / total
    figures["classwise_mean"] = np.mean([figures[f"ece:{name}"] for name in CLASS_NAMES], axis=0)
    return figures


def _binned(
    claim: FloatArray, event: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return per bin (R, bins): weight, summed claimed probability, summed events."""
    member = np.eye(CALIBRATION_BINS)[_bin_of(claim)]  # (N, bins)
    return weights @ member, weights @ (member * claim[:, None]), weights @ (member * event[:, None])


def _bin_of(claim: FloatArray) -> IntArray:
    # Bins are (low, high], as in Guo et al.; a probability of exactly 0 joins the first.
    return np.clip(np.ceil(claim * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)


def _slope(counts: FloatArray, claimed: FloatArray, observed: FloatArray) -> FloatArray:
    x, y = ratio(claimed, counts), ratio(observed, counts)
    x, y = np.nan_to_num(x), np.nan_to_num(y)  # empty bins weigh nothing below
    total = counts.sum(axis=1, keepdims=True)
    from_mean_x = x - (counts * x).sum(axis=1, keepdims=True) / total
    from_mean_y = y - (counts * y).sum(axis=1, keepdims=True) / total
    spread = (counts * from_mean_x**2).sum(axis=1)
    spread = np.where((counts > 0).sum(axis=1) < _TWO_POINTS, 0.0, spread)
    return ratio((counts * from_mean_x * from_mean_y).sum(axis=1), spread)


def _of_label(values: FloatArray, labels: IntArray) -> FloatArray:
    return values[np.arange(len(labels)), labels]


def _mean_nll(logits: FloatArray, labels: IntArray) -> float:
    return float(np.mean(logsumexp(logits, axis=1) - _of_label(logits, labels)))
