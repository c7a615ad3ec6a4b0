"""What several signals say together, in words: prevalence told apart from a model that fails."""

from collections.abc import Callable, Iterator

import numpy as np

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import LABELLED_ALPHA, MIN_LABELLED_FILMS
from hilum.evaluation.inputs import FloatArray
from hilum.evaluation.reference_profile import ReferenceProfile
from hilum.monitoring.drift import CONFIDENCES, binomial_interval
from hilum.monitoring.prevalence import estimate_prevalence
from hilum.monitoring.signal import Signal, State
from hilum.monitoring.windows import DailyCounts

_LEAST_CHANGE = 0.01  # of an expected accuracy that is worth a sentence
_EXPOSURE = "exposure, tone curve and display window of the export"
_FORMAT = "detector, collimation and pixel size of the export"
_CAUSES = {
    "mean_grey": _EXPOSURE,
    "deviation_grey": _EXPOSURE,
    "contrast_grey": _EXPOSURE,
    "sharpness": "focus, noise and compression",
    "aspect": _FORMAT,
    "short_side_px": _FORMAT,
    "resolution": _FORMAT,
}
"""Where to look first when a statistic of the films moved."""


def conclude(
    signals: tuple[Signal, ...], daily: DailyCounts, reference: ReferenceProfile | None
) -> Iterator[str]:
    """Yield sentences about an assessment; none when nothing is over."""
    if reference is None:
        yield "There is no reference profile for this model: drift is not judged. Register it again."
        return
    over = {signal.name: signal for signal in signals if signal.state is State.OVER}
    shifted = [signal for name, signal in over.items() if name.startswith("calls:")]
    moved = [
        signal
        for name, signal in over.items()
        if signal.kind in {"psi", "resolution"} and name != "psi:confidence"
    ]
    are_films_new = any(signal.kind == "psi" for signal in moved)
    if "refused" in over:
        yield _explain_refusals(over["refused"])
    if moved:
        yield _explain_films(moved)
    if shifted:
        contradicted = _contradict(signals)
        yield _explain_shift(
            shifted[0], daily, reference, are_films_new=are_films_new, contradicted=contradicted
        )
    if "accuracy" in over:
        yield _explain_drop(over["accuracy"], are_films_new=are_films_new)
    is_accurate = any(signal.name == "accuracy" and signal.state is State.OK for signal in signals)
    if {"ece", "slope"} & set(over) and is_accurate and not are_films_new:
        yield "Calibration alone has drifted: recalibrate (`hilum recalibrate`) rather than retrain."


def _explain_shift(
    signal: Signal,
    daily: DailyCounts,
    reference: ReferenceProfile,
    *,
    are_films_new: bool,
    contradicted: Callable[[FloatArray], bool],
) -> str:
    if reference.labelled is None:
        return "Calls have shifted; the reference has no labels, so why cannot be told."
    if are_films_new:
        return "Calls have shifted together with the films themselves: look at the films first."
    window = daily.holding(CONFIDENCES, signal.needed)
    calls = np.array([window.histogram(name) for name in CONFIDENCES])
    found = estimate_prevalence(calls, reference.labelled.joint)
    if not found.explains:
        return (
            "Calls have shifted, and no mix of the classes as they were at release explains them"
            f" (p {found.p:.1g}): films or model changed, not only the prevalence."
        )
    mix = ", ".join(f"{name} {share:.0%}" for name, share in zip(CLASS_NAMES, found.shares, strict=True))
    if contradicted(found.shares):
        return (
            f"The shift of calls could be another prevalence (about {mix}), but the labelled films say"
            " otherwise: the model calls them wrong. Look at the errors by class."
        )
    return (
        f"The shift of calls is what another prevalence alone would give (about {mix}); nothing says that the"
        " model became worse."
    )


def _contradict(signals: tuple[Signal, ...]) -> Callable[[FloatArray], bool]:
    """Return whether labelled films speak against a mix of classes: other classes came, or calls are wrong.

    Readers who label wrong answers alone make a mix that is not that of the films; prevalence is then not
    stated, which is the safe side.
    """
    by_name = {signal.name: signal for signal in signals}
    labelled = np.array([by_name[f"errors:{label}"].films for label in CLASS_NAMES], np.int64)
    total = int(labelled.sum())
    is_wrong = any(
        signal.state is State.OVER and signal.kind in {"accuracy", "errors"} for signal in signals
    ) and not _follows_mix(by_name.get("accuracy"))

    def contradicts(shares: FloatArray) -> bool:
        if is_wrong or total < MIN_LABELLED_FILMS:
            return is_wrong
        intervals = [binomial_interval(int(films), total, LABELLED_ALPHA) for films in labelled]
        return any(not low <= share <= high for (low, high), share in zip(intervals, shares, strict=True))

    return contradicts


def _follows_mix(accuracy: Signal | None) -> bool:
    """Return whether the accuracy is what the errors at release give on the classes that came."""
    if accuracy is None or accuracy.low is None:
        return False
    return bool(
        accuracy.detail["reference_accuracy"] - accuracy.low >= accuracy.detail["expected_for_these_classes"]
    )


def _explain_films(moved: list[Signal]) -> str:
    names = [signal.name.removeprefix("psi:") for signal in moved]
    causes = dict.fromkeys(_CAUSES[name] for name in names)
    return f"The films themselves changed ({', '.join(names)}): look at {'; '.join(causes)}."


def _explain_refusals(refused: Signal) -> str:
    codes: dict[str, int] = dict(refused.detail.get("codes", {}))
    if not codes:
        return "The input gate refuses many films."
    code = max(codes, key=lambda name: codes[name])
    return f"Most films that are refused are refused as `{code}`: follow what that code says."


def _explain_drop(drop: Signal, *, are_films_new: bool) -> str:
    before, expected = drop.detail["reference_accuracy"], drop.detail["expected_for_these_classes"]
    best = before - (drop.value if drop.low is None or drop.value is None else drop.low)
    if expected < before - _LEAST_CHANGE and best >= expected:
        return (
            "The accuracy fell because other classes come: with its errors at release the model would be"
            f" right on {expected:.1%} of this mix. No class is called worse than before."
        )
    if are_films_new:
        return "The accuracy fell and the films changed: scanner, export or patients. Look at the films."
    return (
        "The accuracy fell while the films look as before: the model fails on something that the statistics"
        " do not see, or the labels are wrong. Have a second reader look at the contradicted films."
    )
