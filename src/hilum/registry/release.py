"""Make a bundle of a checkpoint: its weights, what it was measured at, and the graph that is served."""

import json
import os
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES
from hilum.model.checkpoint import Checkpoint, read_checkpoint, state_sha256
from hilum.registry.bundle import (
    BUNDLE_FILE,
    SCHEMA_VERSION,
    SUMS_FILE,
    WEIGHTS_FILE,
    Bundle,
    read_bundle,
    sum_files,
)
from hilum.registry.card import write_card
from hilum.registry.safeguards import read_safeguards

_TOLD_WITH_EVERY_ANSWER = "critical"
"""Severity of the headlines of an evaluation that whoever uses the model is told each time."""
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def write_bundle(
    checkpoint_path: Path,
    evaluations: list[Path],
    out: Path,
    *,
    version: str,
    released: date,
    safeguards: Path | None = None,
) -> Bundle:
    """Make a bundle of a checkpoint and the evaluations it was measured by.

    Parameters
    ----------
    checkpoint_path
        A checkpoint, or a bundle whose weights are released again with new evaluations and safeguards.
    evaluations
        Folders written by `hilum evaluate`, or their evaluation.json; the first one gives the temperature
        and the operating points.
    out
        Folder that the bundle's own folder is made in.
    safeguards
        What `hilum safeguard` wrote; without it the bundle has no input gate and its maps were not tested.

    Raises
    ------
    CheckpointError
        If an evaluation is of another model, the version is not major.minor.patch, or the bundle exists.
    """
    if not _VERSION.fullmatch(version):
        raise CheckpointError(f"version is {version!r}; expected major.minor.patch, for example 0.1.0.")
    checkpoint = _read_weights(checkpoint_path)
    weights_sha256 = state_sha256(checkpoint["model_state_dict"])
    reports = _read_evaluations(evaluations, weights_sha256)
    architecture = checkpoint["config"]["architecture"]
    name = f"{architecture}_v{version}_{released:%Y%m%d}"
    final, building = out / name, out / f".{name}.{os.getpid()}"
    if final.exists():
        raise CheckpointError(f"{final}: exists; a release is never overwritten. Raise the version.")
    first = next(iter(reports.values()))
    parts = read_safeguards(safeguards, weights_sha256=weights_sha256) if safeguards else {}
    facts = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "version": version,
        "class_names": list(CLASS_NAMES),
        "settings": checkpoint["settings"],
        "temperature": first["temperature"]["value"],
        "operating_points": first["operating_points"],
        "referral": first.get("referral"),
        **parts,
        "epoch": checkpoint["epoch"],
        "val_f1": checkpoint["val_f1"],
        "weights_sha256": weights_sha256,
        "provenance": checkpoint["provenance"],
        "history": {**checkpoint["history"], "best_epoch": checkpoint["epoch"]},
        "evaluations": list(reports),
        "known_failures": [
            f"{label}: {headline['text']}"
            for label, report in reports.items()
            for headline in report["headlines"]
            if headline["severity"] == _TOLD_WITH_EVERY_ANSWER
        ],
    }
    building.mkdir(parents=True)
    try:
        state = {key: value.contiguous() for key, value in checkpoint["model_state_dict"].items()}
        save_file(state, building / WEIGHTS_FILE)
        _write_json(building / BUNDLE_FILE, facts)
        for label, report in reports.items():
            _write_json(building / f"evaluation-{label}.json", report)
        (building / "card.md").write_text(write_card(facts, reports), encoding="utf-8")
        (building / SUMS_FILE).write_text(sum_files(building), encoding="utf-8")
        building.rename(final)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return read_bundle(final)


def _read_weights(path: Path) -> Checkpoint:
    if not path.is_dir():
        return read_checkpoint(path)
    bundle = read_bundle(path)
    kept = {key: bundle.facts[key] for key in ("settings", "epoch", "val_f1", "provenance")}
    history = {name: value for name, value in bundle.facts["history"].items() if name != "best_epoch"}
    return {
        **kept,
        "history": history,
        "config": {"architecture": bundle.facts["settings"]["model"]["architecture"]},
        "model_state_dict": load_file(bundle.folder / WEIGHTS_FILE),
    }


def _read_evaluations(paths: list[Path], weights_sha256: str) -> dict[str, dict[str, Any]]:
    reports: dict[str, dict[str, Any]] = {}
    for path in paths:
        file = path / "evaluation.json" if path.is_dir() else path
        label = file.resolve().parent.name.removeprefix("evaluation-")
        if label in reports:
            raise CheckpointError(
                f"{file}: a second evaluation called {label!r}; give its folder another name."
            )
        reports[label] = _read_evaluation(file, weights_sha256)
    if not reports:
        raise CheckpointError(
            "a bundle needs the figures it was measured at: give at least one --evaluation."
        )
    return reports


def _read_evaluation(file: Path, weights_sha256: str) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        measured = report["model"]["weights_sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{file}: is not an evaluation. Run `hilum evaluate` first.") from error
    if measured != weights_sha256:
        raise CheckpointError(
            f"{file}: measured another model (weights {measured[:12]}, this one has {weights_sha256[:12]})."
            " Evaluate this checkpoint."
        )
    report.pop("worst_films", None)  # a file name may identify a patient, and a bundle travels
    return report


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
