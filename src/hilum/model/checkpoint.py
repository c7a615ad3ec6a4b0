"""Checkpoints as the report's 7.2 lists them, plus what an exact resume needs.

A `.pt` file holds tensors and plain values only and is read with `weights_only=True`: nothing in it is ever
executed. It is written beside its place, flushed to disk and renamed, so a killed writer leaves the old
one. No wall-clock time is in it: equal runs give equal files.
"""

import hashlib
import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hilum.config.load import validate_config
from hilum.config.schema import TrainConfig
from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES
from hilum.files import write_atomic
from hilum.model.backbone import create_backbone
from hilum.model.classifier import FilmClassifier

REPORT_KEYS = (
    "epoch",
    "model_state_dict",
    "optimizer_state_dict",
    "scheduler_state_dict",
    "val_f1",
    "config",
    "class_names",
    "history",
)
"""The keys of report 7.2; ours adds `settings` (the whole configuration), `provenance` and `resume`."""

Checkpoint = dict[str, Any]


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint so that `path` is always whole: the old file or the new one.

    Raises
    ------
    CheckpointError
        If the disk refuses; the old file is left as it was.
    """
    content = io.BytesIO()  # torch writes to a full disk without saying why it failed
    torch.save(_without_sharing(checkpoint), content)
    try:
        write_atomic(path, content.getvalue(), durable=True)
    except OSError as error:
        left = "the previous checkpoint is intact" if path.exists() else "there is no earlier one"
        raise CheckpointError(
            f"{path}: cannot be written ({error.strerror}); {left}."
            " Free disk space and start again with --resume."
        ) from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check that it is one of ours.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or lacks a key of `REPORT_KEYS`, or has other classes.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such checkpoint. Train one with `hilum train`, or name one by --model."
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path}: is not a checkpoint that can be loaded safely. Name a best_model.pt written by hilum."
        ) from error
    missing = (
        [key for key in (*REPORT_KEYS, "settings") if key not in checkpoint]
        if _is_dict(checkpoint)
        else ["all"]
    )
    if missing:
        raise CheckpointError(f"{path}: lacks {', '.join(missing)}; it was not written by `hilum train`.")
    if tuple(checkpoint["class_names"]) != CLASS_NAMES:
        raise CheckpointError(
            f"{path}: its classes are {', '.join(checkpoint['class_names'])};"
            f" expected {', '.join(CLASS_NAMES)} in that order."
        )
    return checkpoint  # type: ignore[no-any-return]


def build_classifier(config: TrainConfig) -> FilmClassifier:
    """Return the network of a configuration with random weights."""
    return FilmClassifier(create_backbone(config.model.architecture), config.model, config.preprocessing)


def load_classifier(checkpoint: Checkpoint, *, name: str) -> tuple[FilmClassifier, TrainConfig]:
    """Return the network of a checkpoint, ready for inference, and its configuration.

    Raises
    ------
    CheckpointError
        If the weights are not those of the architecture that the checkpoint names.
    """
    config = validate_config(checkpoint["settings"], origin=name)
    network = build_classifier(config)
    load_state(network, checkpoint["model_state_dict"], name=name, architecture=config.model.architecture)
    return network.eval(), config


def load_state(network: FilmClassifier, state: dict[str, Tensor], *, name: str, architecture: str) -> None:
    """Load a state dict strictly.

    Raises
    ------
    CheckpointError
        If a tensor is missing, unknown or of another shape, or holds NaN or infinite values.
    """
    expected = network.state_dict()
    wrong = [
        key
        for key in sorted(expected.keys() | state.keys())
        if key not in expected or key not in state or expected[key].shape != state[key].shape
    ]
    if wrong:
        raise CheckpointError(
            f"{name}: {len(wrong)} tensors are missing, unknown or of another shape for {architecture}"
            f" (first: {wrong[0]}). Its weights are of another architecture than its settings say: take the"
            " file as `hilum train` or `hilum register` wrote it."
        )
    broken = non_finite_tensors(state)
    if broken:
        raise CheckpointError(
            f"{name}: {len(broken)} tensors hold NaN or infinite values (first: {broken[0]}): the training"
            " diverged, and no score of it means anything. Train again with a lower"
            " optimizer.base_learning_rate."
        )
    network.load_state_dict(state)


def non_finite_tensors(state: dict[str, Tensor]) -> list[str]:
    """Return the names of tensors with NaN or infinite values; [] for weights that can be used."""
    return [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]


def gap_history(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the history of a checkpoint with what Table 12 is read from, see `evaluation.generalization`."""
    kept = checkpoint["provenance"].get("kept")
    return {**checkpoint["history"], "best_epoch": checkpoint["epoch"], **({"kept": kept} if kept else {})}


def state_sha256(state: dict[str, Tensor]) -> str:
    """Return the SHA-256 of all tensors, names and shapes: equal weights, equal hash."""
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu()
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())  # C order, whatever the memory format
    return digest.hexdigest()


def _without_sharing(value: Any) -> Any:
    """Return an equal value in which no two texts or tuples are one object.

    A pickle notes what is shared, which a run taken up from a file shares otherwise than one in memory.
    """
    if isinstance(value, str):
        return "".join(list(value))
    if type(value) in (dict, OrderedDict):
        return type(value)((_without_sharing(key), _without_sharing(item)) for key, item in value.items())
    if type(value) in (list, tuple):
        return type(value)(_without_sharing(item) for item in value)
    return value


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)
