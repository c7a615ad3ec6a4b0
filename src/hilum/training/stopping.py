"""When to stop, and why: patience and the three smart detections of the report's 4.7.

A pure function of the history, so a resumed run decides what an uninterrupted one would.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hilum.config.schema import EarlyStopping
from hilum.domain.thresholds import (
    CONVERGENCE_MAX_F1_RANGE,
    CONVERGENCE_WINDOW_EPOCHS,
    OPTIMAL_POINT_EPOCHS_AFTER,
    OPTIMAL_POINT_MAX_DISTANCE_EPOCHS,
    OVERFITTING_EPOCHS,
    OVERFITTING_MIN_F1_GAP,
)

History = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to stop after this epoch, with one sentence for each rule that fired."""

    should_stop: bool
    reasons: tuple[str, ...] = ()


def judge_history(history: History, settings: EarlyStopping, *, frozen_epochs: int) -> Verdict:
    """Decide after an epoch whether training goes on.

    The smart detections look at epochs with the whole network in training only: the plateau of a frozen
    backbone says nothing about what fine-tuning will reach.

    Parameters
    ----------
    history
        Needs val_f1, val_loss and train_f1, one value per epoch.
    frozen_epochs
        Epochs at the start during which the backbone was frozen.
    """
    reasons = []
    since_best = len(history["val_f1"]) - 1 - best_epoch(history)
    if since_best >= settings.patience:
        reasons.append(
            f"patience: validation F1 has not risen above {max(history['val_f1']):.4f}"
            f" for {since_best} epochs"
        )
    tuned = {name: values[frozen_epochs:] for name, values in history.items()}
    if settings.convergence_detection:
        reasons += _find_convergence(tuned["val_f1"])
    if settings.overfitting_detection:
        reasons += _find_overfitting(tuned)
    if settings.optimal_point_detection:
        reasons += _find_optimal_point(tuned, first_epoch=frozen_epochs)
    return Verdict(bool(reasons), tuple(reasons))


def best_epoch(history: History) -> int:
    """Return the first epoch (from 0) with the highest validation F1."""
    scores = history["val_f1"]
    return scores.index(max(scores))


def _find_convergence(val_f1: Sequence[float]) -> list[str]:
    window = val_f1[-CONVERGENCE_WINDOW_EPOCHS:]
    if len(window) < CONVERGENCE_WINDOW_EPOCHS or max(window) - min(window) >= CONVERGENCE_MAX_F1_RANGE:
        return []
    return [
        f"convergence: validation F1 moved by {max(window) - min(window):.4f} over the last"
        f" {CONVERGENCE_WINDOW_EPOCHS} epochs (less than {CONVERGENCE_MAX_F1_RANGE})"
    ]


def _find_overfitting(history: History) -> list[str]:
    gaps = [train - val for train, val in zip(history["train_f1"], history["val_f1"], strict=True)]
    recent_gaps, recent_losses = (
        gaps[-OVERFITTING_EPOCHS - 1 :],
        history["val_loss"][-OVERFITTING_EPOCHS - 1 :],
    )
    if len(recent_gaps) <= OVERFITTING_EPOCHS or recent_gaps[-1] < OVERFITTING_MIN_F1_GAP:
        return []
    if not (_is_rising(recent_gaps) and _is_rising(recent_losses)):
        return []
    return [
        f"overfitting: for {OVERFITTING_EPOCHS} epochs the F1 gap grew (to {recent_gaps[-1]:.3f}) while the"
        f" validation loss rose (to {recent_losses[-1]:.3f})"
    ]


def _find_optimal_point(history: History, *, first_epoch: int) -> list[str]:
    f1, loss = history["val_f1"], history["val_loss"]
    if not f1:
        return []
    f1_peak, loss_dip = f1.index(max(f1)), loss.index(min(loss))
    together = abs(f1_peak - loss_dip) <= OPTIMAL_POINT_MAX_DISTANCE_EPOCHS
    since = len(f1) - 1 - max(f1_peak, loss_dip)
    if not together or since < OPTIMAL_POINT_EPOCHS_AFTER:
        return []
    return [
        f"optimal point: validation F1 was highest in epoch {first_epoch + f1_peak + 1}"
        f" and validation loss lowest in epoch {first_epoch + loss_dip + 1};"
        f" {since} epochs since have beaten neither"
    ]


def _is_rising(values: Sequence[float]) -> bool:
    return all(later > earlier for earlier, later in zip(values, values[1:], strict=False))
