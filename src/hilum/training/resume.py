"""What a checkpoint of a running training holds, and taking it up again exactly.

An epoch depends on the seed and its number alone, so a run that continues after the last finished epoch
ends with the weights of one that was never interrupted.
"""

from collections.abc import Sequence
from typing import Any

from hilum.config.load import dump_config
from hilum.config.schema import TrainConfig
from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES
from hilum.model.checkpoint import Checkpoint, load_state
from hilum.training.averaging import WeightAverage
from hilum.training.loop import Trainer
from hilum.training.stopping import History

_FREE_TO_CHANGE = {
    ("tracking",),
    ("search",),
    ("training", "refit_offsets"),
    ("training", "half_precision_weights"),
}
"""Settings that change no epoch, so a resumed run may differ in them; two act when training is over."""


def make_checkpoint(
    trainer: Trainer,
    config: TrainConfig,
    history: History,
    *,
    provenance: dict[str, Any],
    average: WeightAverage | None,
) -> Checkpoint:
    """Return the checkpoint after the last epoch of `history`."""
    epoch = len(history["val_f1"])
    return {
        "epoch": epoch,
        "model_state_dict": trainer.network.state_dict(),
        "optimizer_state_dict": trainer.optimizer.state_dict(),
        "scheduler_state_dict": trainer.scheduler.state_dict(),
        "val_f1": history["val_f1"][-1],
        "config": {
            "architecture": config.model.architecture,
            "num_classes": len(CLASS_NAMES),
            "dropout": config.model.dropout,
        },
        "class_names": list(CLASS_NAMES),
        "history": history,
        "settings": dump_config(config),
        "provenance": provenance,
        "resume": {"average": average.state_dict() if average is not None else None},
    }


def take_up(
    checkpoint: Checkpoint,
    trainer: Trainer,
    config: TrainConfig,
    *,
    provenance: dict[str, Any],
    average: WeightAverage | None,
    keys: Sequence[str],
    name: str,
) -> History:
    """Load a checkpoint into the trainer and return its history, which must have these keys.

    Raises
    ------
    CheckpointError
        If the run was started with other settings, other films, or by a hilum that recorded other figures.
    """
    changed = _changed_settings(checkpoint["settings"], dump_config(config))
    if changed:
        raise CheckpointError(
            f"{name}: the run was started with other settings: {'; '.join(changed)}."
            " Resume with the same ones, or train into another --out."
        )
    if checkpoint["provenance"]["data"] != provenance["data"]:
        raise CheckpointError(
            f"{name}: the run was started on other films"
            f" (data digest {checkpoint['provenance']['data'][:12]}, now {provenance['data'][:12]})."
            " Resume on the same data, or train into another --out."
        )
    load_state(
        trainer.network, checkpoint["model_state_dict"], name=name, architecture=config.model.architecture
    )
    trainer.optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    trainer.scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
    if average is not None:
        average.load_state_dict(checkpoint["resume"]["average"])
    history: History = checkpoint["history"]
    if set(history) != set(keys):
        raise CheckpointError(
            f"{name}: its history holds {', '.join(sorted(history))}; this hilum records"
            f" {', '.join(sorted(keys))}. The run was started by another version: train into another --out."
        )
    return history


def _changed_settings(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [
        f"{'.'.join(key)} was {old!r}, is {new!r}"
        for key, old, new in _leaf_pairs(before, now, ())
        if old != new and not any(key[: len(free)] == free for free in _FREE_TO_CHANGE)
    ]


def _leaf_pairs(before: Any, now: Any, key: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        names = sorted(before.keys() | now.keys())
        return [pair for name in names for pair in _leaf_pairs(before.get(name), now.get(name), (*key, name))]
    return [(key, before, now)]
