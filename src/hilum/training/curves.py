"""The three panels of the report's Figure 1: loss, F1 with the generalisation gap, learning rate."""

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hilum.files import write_atomic
from hilum.training.stopping import History, best_epoch


def draw_training_curves(history: History, path: Path, *, frozen_epochs: int) -> None:
    """Write `training_curves.png`, whole or not at all."""
    figure = Figure(figsize=(15, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    loss, f1, rate = figure.subplots(1, 3)
    epochs = list(range(1, len(history["val_f1"]) + 1))
    best = best_epoch(history) + 1

    loss.plot(epochs, history["train_loss"], label="train")
    loss.plot(epochs, history["augmented_train_loss"], linestyle=":", label="train, as learned (augmented)")
    loss.plot(epochs, history["val_loss"], label="validation")
    loss.set(title="Loss", xlabel="epoch", ylabel="class-weighted loss")

    f1.plot(epochs, history["train_f1"], label="train")
    f1.plot(epochs, history["val_f1"], label="validation")
    f1.fill_between(epochs, history["train_f1"], history["val_f1"], alpha=0.2, label="generalisation gap")
    f1.set(title="Macro F1", xlabel="epoch", ylabel="macro F1")

    for prefix, label in (("", "head"), ("backbone_", "backbone")):
        rate.plot(*rate_curve(history, prefix), label=label)
    rate.set(title="Learning rate, first to last step of each epoch", xlabel="epoch", yscale="log")

    for axis in (loss, f1, rate):
        axis.axvline(best, color="grey", linestyle=":", label=f"best epoch ({best})")
        if 0 < frozen_epochs < len(epochs):
            axis.axvline(frozen_epochs + 0.5, color="grey", linestyle="--", label="backbone unfrozen")
        axis.legend(fontsize=8, loc="upper right")  # to look for the best place takes seconds
        axis.grid(alpha=0.3)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_atomic(path, picture.getvalue())


def rate_curve(history: History, prefix: str = "") -> tuple[list[float], list[float]]:
    """Return epochs and learning rates in force, two points an epoch: its first step and its last.

    Parameters
    ----------
    prefix
        "" for the head, "backbone_" for the backbone.
    """
    pairs = zip(history[f"first_{prefix}learning_rate"], history[f"{prefix}learning_rate"], strict=True)
    points = [
        (epoch + offset, rate)
        for epoch, pair in enumerate(pairs)
        for offset, rate in zip((0, 1), pair, strict=True)
    ]
    return [epoch for epoch, _ in points], [rate for _, rate in points]
