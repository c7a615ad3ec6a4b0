"""Whether probabilities still mean what they say, on labelled films: ECE and slope, with intervals."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hilum.domain.thresholds import (
    MAX_CALIBRATION_SLOPE_DEVIATION,
    MAX_ECE,
    MIN_LABELLED_CALIBRATION,
)
from hilum.evaluation.calibration import Calibration, calibrate
from hilum.monitoring.labelled import LabelledFilms
from hilum.monitoring.signal import Group, Signal, judge_above, not_judged, too_few

_RESAMPLES = 400


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
    error = found.ece
    assert error.value is not None  # there are films
    yield Signal(
        "ece", Group.CALIBRATION, error.value, error.low, error.high, MAX_ECE,
        judge_above(error.value, error.low, MAX_ECE), films, MIN_LABELLED_CALIBRATION, since, until,
        f"expected calibration error: {error.value:.3f} ({_ends(error.low, error.high)}) of {films} labelled"
        f" films, at most {MAX_ECE:g}.", diagram,
    )  # fmt: skip
    yield _slope(found, films, since, until)


def _slope(found: Calibration, films: int, since: str, until: str) -> Signal:
    slope = found.slope
    if slope.value is None:
        return not_judged("slope", Group.CALIBRATION, MAX_CALIBRATION_SLOPE_DEVIATION, why=str(slope.reason))
    deviation = abs(slope.value - 1)
    least: float | None = None
    if slope.low is not None and slope.high is not None:  # the nearest that the interval comes to 1
        least = 0.0 if slope.low <= 1 <= slope.high else min(abs(slope.low - 1), abs(slope.high - 1))
    return Signal(
        "slope", Group.CALIBRATION, deviation, least, None, MAX_CALIBRATION_SLOPE_DEVIATION,
        judge_above(deviation, least, MAX_CALIBRATION_SLOPE_DEVIATION), films, MIN_LABELLED_CALIBRATION,
        since, until,
        f"slope of the reliability diagram: {slope.value:.2f} ({_ends(slope.low, slope.high)}) of {films}"
        f" labelled films; 1 +- {MAX_CALIBRATION_SLOPE_DEVIATION:g} is allowed.",
        {"slope": slope.value},
    )  # fmt: skip


def _diagram(found: Calibration) -> list[dict[str, Any]]:
    return [
        {"low": one.low, "high": one.high, "films": one.films, "mean_probability": one.mean_probability,
         "observed_rate": one.observed_rate}
        for one in found.bins
    ]  # fmt: skip


def _ends(low: float | None, high: float | None) -> str:
    return "no interval" if low is None or high is None else f"{low:.3f} to {high:.3f}"
