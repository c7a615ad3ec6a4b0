"""The three panels of the report's Figure 1: loss, F1 with the generalisation gap, learning rate."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hilum.training.stopping import History, best_epoch


def draw_training_curves(history: History, path: Path, *, frozen_epochs: int) -> None:
    """Write `training_curves.png`, through a temporary file."""
    figure = Figure(figsize=(15, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    loss, f1, rate = figure.subplots(1, 3)
    epochs = list(range(1, len(history["val_f1"]) + 1))
    best = best_epoch(history) + 1

    loss.plot(epochs, history["train_loss"], label="train (augmented)")
    loss.plot(epochs, history["val_loss"], label="validation")
    loss.set(title="Loss", xlabel="epoch", ylabel="class-weighted loss")

    f1.plot(epochs, history["train_f1"], label="train (augmented)")
    f1.plot(epochs, history["val_f1"], label="validation")
    f1.fill_between(epochs, history["train_f1"], history["val_f1"], alpha=0.2, label="generalisation gap")
    f1.set(title="Macro F1", xlabel="epoch", ylabel="macro F1")

    rate.plot(epochs, history["learning_rate"], label="head")
    rate.plot(epochs, history["backbone_learning_rate"], label="backbone")
    rate.set(title="Learning rate at the end of the epoch", xlabel="epoch", yscale="log")

    for axis in (loss, f1, rate):
        axis.axvline(best, color="grey", linestyle=":", label=f"best epoch ({best})")
        if 0 < frozen_epochs < len(epochs):
            axis.axvline(frozen_epochs + 0.5, color="grey", linestyle="--", label="backbone unfrozen")
        axis.legend(fontsize=8, loc="upper right")  # to look for the best place takes seconds
        axis.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    figure.savefig(temporary, format="png", dpi=110)
    temporary.replace(path)
