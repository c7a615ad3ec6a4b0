"""The generalisation gap of the report's Table 12: one model on the films it learned from and on others."""

from collections.abc import Mapping
from dataclasses import dataclass

from hilum.domain.errors import DatasetError

_SERIES = ("train_loss", "val_loss", "train_f1", "val_f1")


@dataclass(frozen=True, slots=True)
class GeneralizationGap:
    """Loss and macro F1 on train and validation at the chosen epoch, counted from 1.

    Both sides are of films as they are, in inference mode. `f1_gap` is train minus validation: near zero is
    good, large is memorising.
    """

    epoch: int
    epochs: int
    train_loss: float
    val_loss: float
    train_f1: float
    val_f1: float

    @property
    def f1_gap(self) -> float:
        """Train F1 minus validation F1."""
        return self.train_f1 - self.val_f1


def read_gap(history: Mapping[str, object]) -> GeneralizationGap:
    """Read Table 12 from a training history, the epoch that was kept or else the one with the best F1.

    Parameters
    ----------
    history
        Lists train_loss, val_loss, train_f1, val_f1, flat or under "history" as in
        `training_history.json`, and optionally "best_epoch", counted from 1, and "kept", the four figures of
        the model that is kept where it is that of no epoch (averaged weights).

    Raises
    ------
    DatasetError
        If a list is missing, the lists differ in length, or best_epoch lies outside them.
    """
    nested = history.get("history")
    holder: Mapping[str, object] = nested if isinstance(nested, Mapping) else history
    series: dict[str, list[float]] = {}
    for name in _SERIES:
        values = holder.get(name)
        if not isinstance(values, list) or not values:
            raise DatasetError(
                f"training history: {name!r} is missing or empty; expected {', '.join(_SERIES)}."
            )
        series[name] = [float(value) for value in values]
    epochs = len(series["val_f1"])
    if any(len(values) != epochs for values in series.values()):
        raise DatasetError(f"training history: {', '.join(_SERIES)} differ in length; the file is damaged.")
    best = history.get("best_epoch", series["val_f1"].index(max(series["val_f1"])) + 1)
    if not isinstance(best, int) or not 1 <= best <= epochs:
        raise DatasetError(f"training history: best_epoch is {best!r}; expected 1 to {epochs}.")
    kept = history.get("kept")
    figures = kept if isinstance(kept, Mapping) else {name: series[name][best - 1] for name in _SERIES}
    return GeneralizationGap(best, epochs, *(float(figures[name]) for name in _SERIES))
