"""Intervals: bootstrap over patients for anything, Wilson where nothing (or everything) happened.

A statistic is a function of film weights: weights float64 (R, N) in, one array (R,) per figure out, NaN
where the figure does not exist. With weights of one it gives the figure itself, with counts of a resample
it gives the bootstrap draw, so the figure and its interval can never be two different formulas.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from hilum.domain.thresholds import BOOTSTRAP_RESAMPLES, CONFIDENCE_LEVEL
from hilum.evaluation.inputs import BoolArray, FloatArray, IntArray
from hilum.evaluation.measure import Measure

Statistic = Callable[[FloatArray], Mapping[str, FloatArray]]

BOOTSTRAP = "bootstrap over patients"
WILSON = "Wilson (no or only events, counted by patient)"
PERFECT = "Wilson on the smaller class (perfect separation cannot be resampled)"
RECENTRED = "bootstrap over patients, bias removed"
CONSTANT = "none: every resample gives the same value"
NOT_ASKED = "none: no resamples were asked for"

_CHUNK_VALUES = 4_000_000  # weights held at once: 32 MB


@dataclass(frozen=True, slots=True)
class Basis:
    """What a figure rests on.

    Parameters
    ----------
    films
        Films in the denominator (the smaller class for an AUROC).
    patients
        Distinct patients among them.
    events
        Films in the numerator, for a plain rate; None for any other figure.
    is_auroc
        Whether a perfect score gets a Wilson bound on the smaller class.
    is_error
        Whether the figure is a distance from zero (ECE), whose resamples are biased upwards.
    reason
        Why the figure does not exist, used when the statistic returns NaN.
    note
        Carried to the measure.
    """

    films: int
    patients: int
    events: int | None = None
    is_auroc: bool = False
    is_error: bool = False
    reason: str = "undefined"
    note: str | None = None


def rate_basis(
    events: BoolArray, trials: BoolArray, patients: IntArray, *, reason: str, note: str | None = None
) -> Basis:
    """Return the basis of the rate `events` among `trials`, both bool (N,)."""
    return Basis(
        films=int(trials.sum()),
        patients=len(np.unique(patients[trials])),
        events=int((events & trials).sum()),
        reason=reason,
        note=note,
    )


def resample_weights(patients: IntArray, *, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yield weights (r, N) until `resamples` rows are out: how often each film is in each resample.

    Patients, int64 (N,) coded 0 .. P-1, are drawn with replacement, and a patient brings all films.
    """
    generator = np.random.default_rng(seed)
    count = int(patients.max()) + 1
    chunk = max(1, _CHUNK_VALUES // max(len(patients), count))
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = generator.integers(0, count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        yield times[:, patients].astype(np.float64)  # (r, P) -> (r, N)


def measure(
    statistic: Statistic,
    patients: IntArray,
    bases: Mapping[str, Basis],
    *,
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = 0,
) -> dict[str, Measure]:
    """Return every figure of a statistic with its interval.

    Parameters
    ----------
    statistic
        Weights (R, N) to figures (R,).
    patients
        int64 (N,), 0 .. P-1.
    bases
        What each figure rests on, by the statistic's names.
    resamples
        0 gives the figures without intervals, except where Wilson applies.
    """
    point = statistic(np.ones((1, len(patients))))
    chunks = [statistic(weights) for weights in resample_weights(patients, resamples=resamples, seed=seed)]
    return {
        name: _one_measure(
            float(point[name][0]),
            np.concatenate([chunk[name] for chunk in chunks]) if chunks else np.empty(0),
            basis,
        )
        for name, basis in bases.items()
    }


def wilson_interval(events: float, trials: int) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion (Wilson, JASA 22, 1927).

    Examples
    --------
    >>> low, high = wilson_interval(0, 201)
    >>> low, round(high, 3)
    (0.0, 0.019)
    """
    assert trials > 0, "a proportion needs trials"
    z = float(ndtri(0.5 + CONFIDENCE_LEVEL / 2))
    rate = events / trials
    centre = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * np.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    low = 0.0 if events == 0 else float(centre - half)
    high = 1.0 if events == trials else float(centre + half)
    return low, high


def percentile_interval(draws: FloatArray) -> tuple[float, float]:
    """Return the percentile interval of bootstrap draws (R,), all finite."""
    tail = (1 - CONFIDENCE_LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def _one_measure(value: float, draws: FloatArray, basis: Basis) -> Measure:
    if not np.isfinite(value):
        return Measure(None, reason=basis.reason, events=basis.events, films=basis.films, note=basis.note)
    defined = draws[np.isfinite(draws)]
    low, high, method = _interval(value, defined, basis)
    return Measure(
        value=value,
        low=low,
        high=high,
        method=method,
        events=basis.events,
        films=basis.films,
        undefined_resamples=len(draws) - len(defined),
        note=basis.note,
    )


def _interval(value: float, draws: FloatArray, basis: Basis) -> tuple[float | None, float | None, str]:
    if basis.events is not None and value in (0.0, 1.0):
        # Films of one patient are not independent: patients, not films, are the trials.
        return *wilson_interval(value * basis.patients, basis.patients), WILSON
    if basis.is_auroc and value in (0.0, 1.0):
        return *wilson_interval(value * basis.patients, basis.patients), PERFECT
    if not len(draws):
        return None, None, NOT_ASKED
    if np.ptp(draws) == 0:
        return None, None, CONSTANT
    low, high = percentile_interval(draws)
    if basis.is_error:
        bias = float(draws.mean()) - value
        return max(0.0, low - bias), max(0.0, high - bias), RECENTRED
    return low, high, BOOTSTRAP
