"""Whether probabilities still mean what they say, on labelled films: ECE and slope, with intervals.

They are looked at daily, so an interval is that of LABELLED_ALPHA: at 95 % a model that is as calibrated as
at release would be called worse several times a year. The bootstrap gives the error's interval, widened; for
the slope it would fail, since a month holds few wrong answers and a resample hardly any. The slope's interval
is as wide as chance makes the slope of probabilities that mean what they say (as in consistency resampling,
Broecker and Smith, Weather and Forecasting 22, 2007, in closed form).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import ndtri

from hilum.domain.thresholds import (
    LABELLED_ALPHA,
    MAX_CALIBRATION_SLOPE_DEVIATION,
    MAX_ECE,
    MIN_LABELLED_CALIBRATION,
)
from hilum.evaluation.calibration import Calibration, calibrate
from hilum.evaluation.measure import Measure
from hilum.monitoring.labelled import LabelledFilms
from hilum.monitoring.signal import Group, Signal, judge_above, not_judged, too_few

_RESAMPLES = 400
_SLOPE_Z = float(-ndtri(LABELLED_ALPHA / 2))
_WIDER = float(_SLOPE_Z / -ndtri(0.025))


def calibration_signals(labelled: LabelledFilms, *, since: str, until: str) -> Iterator[Signal]:
    """Yield `ece` and `slope`: both are distances, over when ABOVE their threshold."""
    films = len(labelled)
    if films < MIN_LABELLED_CALIBRATION:
        for name, threshold in (("ece", MAX_ECE), ("slope", MAX_CALIBRATION_SLOPE_DEVIATION)):
            yield too_few(
                name, Group.CALIBRATION, threshold, films=films, needed=MIN_LABELLED_CALIBRATION, since=since,
                until=until, what="calibration on labelled films",
            )  # fmt: skip
        return
    found = calibrate(labelled.truth, labelled.probabilities, np.arange(films), resamples=_RESAMPLES, seed=0)
    diagram = {"bins": _diagram(found)}
    error = _widen(found.ece)
    assert error.value is not None  # there are films
    yield Signal(
        "ece", Group.CALIBRATION, error.value, error.low, error.high, MAX_ECE,
        judge_above(error.value, error.low, MAX_ECE), films, MIN_LABELLED_CALIBRATION, since, until,
        f"expected calibration error: {error.value:.3f} ({_ends(error.low, error.high)}) of {films} labelled"
        f" films, at most {MAX_ECE:g}.", diagram,
    )  # fmt: skip
    yield _slope(found, films, since, until)


def _widen(measure: Measure) -> Measure:
    value, low, high = measure.value, measure.low, measure.high
    if value is None or low is None or high is None:
        return measure
    return replace(measure, low=value - _WIDER * (value - low), high=value + _WIDER * (high - value))


def _slope(found: Calibration, films: int, since: str, until: str) -> Signal:
    slope = found.slope
    if slope.value is None:
        return not_judged("slope", Group.CALIBRATION, MAX_CALIBRATION_SLOPE_DEVIATION, why=str(slope.reason))
    deviation = abs(slope.value - 1)
    half = _SLOPE_Z * slope_error(found)
    least = max(0.0, deviation - half)
    return Signal(
        "slope", Group.CALIBRATION, deviation, least, None, MAX_CALIBRATION_SLOPE_DEVIATION,
        judge_above(deviation, least, MAX_CALIBRATION_SLOPE_DEVIATION), films, MIN_LABELLED_CALIBRATION,
        since, until,
        f"slope of the reliability diagram: {slope.value:.2f}"
        f" ({_ends(slope.value - half, slope.value + half)}) of {films} labelled films;"
        f" 1 +- {MAX_CALIBRATION_SLOPE_DEVIATION:g} is allowed.",
        {"slope": slope.value},
    )  # fmt: skip


def slope_error(found: Calibration) -> float:
    """Return the standard error of the slope of probabilities that mean what they say."""
    bins = [(one.films, one.mean_probability) for one in found.bins if one.mean_probability is not None]
    films = np.array([count for count, _ in bins], np.float64)
    claimed = np.array([mean for _, mean in bins], np.float64)
    squared = films * (claimed - (films * claimed).sum() / films.sum()) ** 2
    return float(np.sqrt((squared * claimed * (1 - claimed)).sum()) / squared.sum())


def _diagram(found: Calibration) -> list[dict[str, Any]]:
    return [
        {"low": one.low, "high": one.high, "films": one.films, "mean_probability": one.mean_probability,
         "observed_rate": one.observed_rate}
        for one in found.bins
    ]  # fmt: skip


def _ends(low: float | None, high: float | None) -> str:
    return "no interval" if low is None or high is None else f"{low:.3f} to {high:.3f}"
