"""Make a bundle of a checkpoint: its weights, what it was measured at, and the graph that is served."""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from hilum.config.load import validate_config
from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.reference_profile import REFERENCE_FILE, read_reference
from hilum.files import naming, sync_folder, to_json, write_atomic
from hilum.imaging.remedies import apply_remedies
from hilum.model.checkpoint import (
    Checkpoint,
    build_classifier,
    gap_history,
    load_state,
    read_checkpoint,
    state_sha256,
)
from hilum.model.export import is_half
from hilum.model.scoring import Scorer
from hilum.registry.audited import read_audit
from hilum.registry.bundle import (
    AGAINST_PREFIX,
    BUNDLE_FILE,
    INT8_GRAPH_FILE,
    SCHEMA_VERSION,
    SUMS_FILE,
    WEIGHTS_FILE,
    Bundle,
    read_bundle,
    sum_files,
)
from hilum.registry.card import write_card
from hilum.registry.durable import sync_tree
from hilum.registry.graph_files import draw_selftest, run_graph, write_graph, write_selftest
from hilum.registry.quantize import quantize_graph
from hilum.registry.safeguards import PARTS, read_safeguards
from hilum.registry.scorers import read_weights
from hilum.registry.signing import sign_bundle
from hilum.registry.store import ModelStore
from hilum.registry.versions import check_version

_TOLD_WITH_EVERY_ANSWER = "critical"
"""Severity of the headlines of an evaluation that whoever uses the model is told each time."""
_READABLE = 0o644
_EVALUATION_FILE = "evaluation.json"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def write_bundle(
    checkpoint_path: Path,
    evaluations: list[Path],
    out: Path,
    *,
    version: str,
    released: date,
    safeguards: Path | None = None,
    audit: Path | None = None,
    int8_data: Path | None = None,
    private_key: Path | None = None,
    against: Sequence[Path] = (),
    excluded_from_use: Mapping[str, str] | None = None,
) -> Bundle:
    """Make a bundle of a checkpoint and the evaluations it was measured by.

    Parameters
    ----------
    checkpoint_path
        A checkpoint, or a bundle whose weights are released again with new evaluations and safeguards.
    evaluations
        Folders written by `hilum evaluate`, or their evaluation.json; the first one gives the temperature
        and the operating points. None for a bundle that keeps its own.
    out
        Folder that the bundle's own folder is made in.
    safeguards
        What `hilum safeguard` wrote; without it a checkpoint has no input gate and its maps were not tested,
        and a bundle keeps its own.
    audit
        What `hilum audit` wrote of the data that it was trained on: its blockers stand on the card. A bundle
        keeps its own.
    int8_data
        Data set on whose validation films an 8-bit graph is made and judged; without it there is none.
    private_key
        Signs the bundle, see `hilum.registry.signing`.
    against
        Evaluations of the version that this one is to replace, on the same films: promotion compares them.
    excluded_from_use
        Labels of evaluations whose films the model is not meant for, each with the reason: their figures do
        not stand in the way of promotion, and the card says so first. A bundle keeps its own.

    Raises
    ------
    CheckpointError
        If an evaluation is of another model, one that is excluded is not among those after the first, one
        that the bundle had is missing, the audit is of other data, the version breaks the rules of
        `hilum.registry.versions`, or the bundle exists.
    """
    if not _VERSION.fullmatch(version):
        raise CheckpointError(f"version is {version!r}; expected major.minor.patch, for example 0.1.0.")
    checkpoint = _read_weights(checkpoint_path)
    weights_sha256 = state_sha256(checkpoint["model_state_dict"])
    reports = _read_evaluations(evaluations or _own_evaluations(checkpoint_path), weights_sha256)
    architecture = checkpoint["config"]["architecture"]
    name = f"{architecture}_v{version}_{released:%Y%m%d}"
    final, building = out / name, out / f".{name}.{os.getpid()}"
    if final.exists():
        raise CheckpointError(f"{final}: exists; a release is never overwritten. Raise the version.")
    first = next(iter(reports.values()))
    own = read_bundle(checkpoint_path).facts if checkpoint_path.is_dir() else {}
    _check_kept(own, reports)
    excluded = {**own.get("excluded_from_use", {}), **(excluded_from_use or {})}
    for label in excluded:
        if label not in list(reports)[1:]:
            raise CheckpointError(
                f"{label!r} cannot be excluded from use; the evaluations after the first are"
                f" {', '.join(list(reports)[1:]) or 'none'}."
            )
    peers = _read_peers(against)
    parts = (
        read_safeguards(safeguards, weights_sha256=weights_sha256)
        if safeguards
        else _own_safeguards(checkpoint_path)
    )
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
        "audit": read_audit(audit, data_sha256=checkpoint["provenance"]["data"])
        if audit
        else own.get("audit"),
        "epoch": checkpoint["epoch"],
        "val_f1": checkpoint["val_f1"],
        "weights_sha256": weights_sha256,
        "provenance": checkpoint["provenance"],
        "history": gap_history(checkpoint),
        "evaluations": list(reports),
        "excluded_from_use": excluded,
        "against": _describe_peers(peers),
        "known_failures": [
            f"{label}: {headline['text']}"
            for label, report in reports.items()
            for headline in report["headlines"]
            if headline["severity"] == _TOLD_WITH_EVERY_ANSWER
        ],
    }
    _check_version(facts, out)
    try:
        with naming(final, temporary=building):
            building.mkdir(parents=True)
            state = {key: _as_stored(value) for key, value in checkpoint["model_state_dict"].items()}
            write_atomic(building / WEIGHTS_FILE, save(state))
            facts |= _write_graphs(facts, checkpoint, building, int8_data)
            _write_json(building / BUNDLE_FILE, facts)
            for label, report in reports.items():
                _write_json(building / f"evaluation-{label}.json", report)
            for label, report in peers.items():
                _write_json(building / f"{AGAINST_PREFIX}{label}.json", report)
            _copy_reference(evaluations, checkpoint_path, weights_sha256, building)
            write_atomic(building / "card.md", write_card(facts, reports))
            write_atomic(building / SUMS_FILE, sum_files(building))
            if private_key is not None:
                sign_bundle(building, private_key)
            for file in building.iterdir():
                file.chmod(_READABLE)  # a server runs as another user than the one who trains
            sync_tree(building)
            building.rename(final)
            sync_folder(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return read_bundle(final)


def _as_stored(tensor: Tensor) -> Tensor:
    """Return a tensor in 16 bits where these hold it exactly (`training.half_precision_weights`)."""
    halved = tensor.half() if tensor.ndim > 1 and is_half(tensor) else tensor
    return halved.contiguous()


def _check_version(facts: dict[str, Any], out: Path) -> None:
    newest = ModelStore(out).newest() if out.is_dir() else None
    problems = check_version(facts, newest.facts if newest else None)
    if problems:
        raise CheckpointError(f"{facts['name']}: " + " ".join(problems))


def _check_kept(own: Mapping[str, Any], reports: Mapping[str, object]) -> None:
    """Refuse to drop an evaluation of a bundle: the same weights would be judged by fewer films."""
    dropped = [label for label in own.get("evaluations", ()) if label not in reports]
    if dropped:
        raise CheckpointError(
            f"{own['name']}: was measured on {', '.join(dropped)} as well; the evaluations given are"
            f" {', '.join(reports)}. Evaluate its weights there too, and give all of them."
        )


def _write_graphs(
    facts: dict[str, Any], checkpoint: Checkpoint, folder: Path, int8_data: Path | None
) -> dict[str, Any]:
    """Write the graphs and their self-test; return what bundle.json says of them."""
    config = validate_config(facts["settings"], origin=str(facts["name"]))
    network = build_classifier(config)
    load_state(
        network,
        checkpoint["model_state_dict"],
        name=str(facts["name"]),
        architecture=config.model.architecture,
    )
    scorer = Scorer(network, config)
    films = draw_selftest(scorer.side_px)
    logits = {"logits": write_graph(scorer, folder)}
    told: dict[str, Any] = {"int8": None}
    if int8_data is not None:
        verdict = quantize_graph(scorer, int8_data, folder)
        told["int8"] = verdict.to_facts()
        if verdict.kept:
            seen = apply_remedies(films, config.preprocessing)
            logits["logits_int8"] = run_graph(folder / INT8_GRAPH_FILE, seen)["logits"]
    write_selftest(films, logits, folder)
    return told


def _own_evaluations(path: Path) -> list[Path]:
    return sorted(path.glob("evaluation-*.json"), key=_test_first) if path.is_dir() else []


def _test_first(file: Path) -> tuple[bool, str]:
    return file.stem != "evaluation-test", file.name


def _copy_reference(evaluations: list[Path], checkpoint: Path, weights_sha256: str, building: Path) -> None:
    """Carry the profile that the first evaluation wrote, or that the bundle had; older ones have none."""
    folders = [path if path.is_dir() else path.parent for path in [*evaluations[:1], checkpoint]]
    for folder in folders:
        if read_reference(folder, weights_sha256=weights_sha256) is not None:
            write_atomic(building / REFERENCE_FILE, (folder / REFERENCE_FILE).read_bytes())
            return


def _own_safeguards(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        return {}
    facts = read_bundle(path).facts
    return {name: facts[name] for name in PARTS if name in facts}


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
        "model_state_dict": read_weights(bundle),
    }


def _read_peers(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Return the evaluations of one other model, by label."""
    files = [(path, _locate(path)[1]) for path in paths]
    peers = {label: _read_evaluation(_locate(path)[0], None) for path, label in files}
    if len({report["model"]["weights_sha256"] for report in peers.values()}) > 1 or len(peers) < len(files):
        raise CheckpointError("what a release is compared with must be evaluations of one model, each once.")
    return peers


def _describe_peers(peers: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    if not peers:
        return None
    model = next(iter(peers.values()))["model"]
    return {
        "name": model.get("name"),
        "weights_sha256": model["weights_sha256"],
        "evaluations": list(peers),
    }


def _locate(path: Path) -> tuple[Path, str]:
    """Return the file of an evaluation and its label."""
    file = path / _EVALUATION_FILE if path.is_dir() else path
    told = file.stem if file.name != _EVALUATION_FILE else file.resolve().parent.name
    return file, told.removeprefix("evaluation-")


def _read_evaluations(paths: list[Path], weights_sha256: str) -> dict[str, dict[str, Any]]:
    reports: dict[str, dict[str, Any]] = {}
    for path in paths:
        file, label = _locate(path)
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


def _read_evaluation(file: Path, weights_sha256: str | None) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        measured = report["model"]["weights_sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{file}: is not an evaluation. Run `hilum evaluate` first.") from error
    if weights_sha256 not in {measured, None}:
        raise CheckpointError(
            f"{file}: measured another model (weights {measured[:12]}, this one has"
            f" {str(weights_sha256)[:12]}). Evaluate this checkpoint."
        )
    report.pop("worst_films", None)  # a file name may identify a patient, and a bundle travels
    return report


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_atomic(path, to_json(content, indent=1, sort_keys=True) + "\n")
