"""A released model: one folder that holds everything needed to use it, and nothing that is executed.

    weights.safetensors   the network's tensors
    bundle.json           classes, settings, temperature, operating points, provenance
    evaluation-*.json     the figures it was measured at, one file per evaluation
    card.md               for people
    SHA256SUMS            of all of the above; written last, so its presence proves the rest

Fitted values (temperature, cut-offs) live here because they belong to a model.
"""

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hilum.config.load import validate_config
from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES
from hilum.model.checkpoint import (
    Checkpoint,
    build_classifier,
    load_state,
    read_checkpoint,
    state_sha256,
)
from hilum.model.scoring import Scorer
from hilum.registry.card import write_card
from hilum.registry.safeguards import read_safeguards

SCHEMA_VERSION = 1
SUMS_FILE = "SHA256SUMS"
RELEASED_PACKAGE = "hilum.released"
_TOLD_WITH_EVERY_ANSWER = "critical"
"""Severity of the headlines of an evaluation that whoever uses the model is told each time."""
_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified bundle: `facts` is the content of bundle.json."""

    folder: Path
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """{model}_v{major}.{minor}.{patch}_{date}: report Table 20."""
        return str(self.facts["name"])

    @property
    def temperature(self) -> float:
        """Logits are divided by it before softmax."""
        return float(self.facts["temperature"])

    def load_scorer(self) -> Scorer:
        """Return the network, ready to score.

        Raises
        ------
        CheckpointError
            If the weights do not fit the settings.
        """
        config = validate_config(self.facts["settings"], origin=f"{self.name}/bundle.json")
        network = build_classifier(config)
        state = load_file(self.folder / "weights.safetensors")
        load_state(network, state, name=self.name, architecture=config.model.architecture)
        return Scorer(network, config, provenance=self.facts["provenance"], history=self.facts["history"])


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
        save_file(state, building / "weights.safetensors")
        _write_json(building / "bundle.json", facts)
        for label, report in reports.items():
            _write_json(building / f"evaluation-{label}.json", report)
        (building / "card.md").write_text(write_card(facts, reports), encoding="utf-8")
        (building / SUMS_FILE).write_text(_sums(building), encoding="utf-8")
        building.rename(final)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return read_bundle(final)


def read_bundle(folder: Path) -> Bundle:
    """Read and verify a bundle: every file is there, unchanged, and nothing else is.

    Raises
    ------
    CheckpointError
        If it is not a bundle, a file differs from its checksum, or the classes are others.
    """
    sums = folder / SUMS_FILE
    if not sums.is_file():
        raise CheckpointError(f"{folder}: is not a released model (no {SUMS_FILE}).")
    if sums.read_bytes() != _sums(folder).encode():
        raise CheckpointError(
            f"{folder}: its files differ from {SUMS_FILE}; the bundle was changed or is damaged."
            " Fetch it again."
        )
    facts = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    if facts["schema_version"] != SCHEMA_VERSION or tuple(facts["class_names"]) != CLASS_NAMES:
        raise CheckpointError(f"{folder}: was written for another version of hilum or for other classes.")
    return Bundle(folder, facts)


def find_released() -> Path:
    """Return the folder of the model that ships with hilum; of several the highest version.

    Raises
    ------
    CheckpointError
        If this installation ships none.
    """
    root = Path(str(resources.files(RELEASED_PACKAGE)))
    bundles = [path.parent for path in root.glob(f"[!.]*/{SUMS_FILE}")]
    if not bundles:
        raise CheckpointError("this installation ships no model; name one by --model.")
    return max(bundles, key=_version_and_date)


def load_model(path: Path | None) -> tuple[Scorer, dict[str, Any]]:
    """Return the scorer of a bundle or checkpoint and its facts: name, temperature, is_calibrated.

    Parameters
    ----------
    path
        A bundle folder, a checkpoint, or None for the model that ships with hilum.

    Raises
    ------
    CheckpointError
        If it cannot be used.
    """
    path = path or find_released()
    try:
        if path.is_dir():
            bundle = read_bundle(path)
            return bundle.load_scorer(), {**bundle.facts, "is_calibrated": True}
        scorer = Scorer.from_checkpoint(path)
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: is damaged or was not written by hilum.") from error
    return scorer, {
        "name": path.name,
        "temperature": 1.0,
        "is_calibrated": False,
        "provenance": scorer.provenance,
    }


def _version_and_date(folder: Path) -> tuple[list[int], str]:
    _, _, rest = folder.name.rpartition("_v")
    version, _, day = rest.partition("_")
    return [int(part) for part in version.split(".") if part.isdigit()], day


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
        "model_state_dict": load_file(bundle.folder / "weights.safetensors"),
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


def _sums(folder: Path) -> str:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}"
        for name in names
        if name != SUMS_FILE
    ]
    return "\n".join(lines) + "\n"


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
