"""What several signals say together, in words: prevalence told apart from a model that fails."""

from collections.abc import Iterator

import numpy as np

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.reference_profile import ReferenceProfile
from hilum.monitoring.drift import CONFIDENCES
from hilum.monitoring.prevalence import estimate_prevalence
from hilum.monitoring.signal import Signal, State
from hilum.monitoring.windows import DailyCounts

_LEAST_CHANGE = 0.01  # of an expected accuracy that is worth a sentence


def conclude(
    signals: tuple[Signal, ...], daily: DailyCounts, reference: ReferenceProfile | None
) -> Iterator[str]:
    """Yield sentences about an assessment; none when nothing is over."""
    if reference is None:
        yield "There is no reference profile for this model: drift is not judged. Register it again."
        return
    over = {signal.name: signal for signal in signals if signal.state is State.OVER}
    shifted = [signal for name, signal in over.items() if name.startswith("calls:")]
    are_films_new = any(name.startswith("psi:") and name != "psi:confidence" for name in over)
    if shifted:
        yield _explain_shift(shifted[0], daily, reference, are_films_new=are_films_new)
    if "accuracy" in over:
        yield _explain_drop(over["accuracy"], are_films_new=are_films_new)
    if {"ece", "slope"} & set(over) and "accuracy" not in over and not are_films_new:
        yield "Calibration alone has drifted: recalibrate (`hilum recalibrate`) rather than retrain."


def _explain_shift(
    signal: Signal, daily: DailyCounts, reference: ReferenceProfile, *, are_films_new: bool
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
    return (
        f"The shift of calls is what another prevalence alone would give (about {mix}); nothing says that the"
        " model became worse."
    )


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
