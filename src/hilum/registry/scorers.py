"""A bundle or a checkpoint as a network ready to score, for training, measuring and commissioning (torch)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hilum.config.load import validate_config
from hilum.domain.errors import CheckpointError
from hilum.model.checkpoint import build_classifier, load_state
from hilum.model.ensemble import Ensemble
from hilum.model.scoring import Scorer
from hilum.registry.bundle import WEIGHTS_FILE, Bundle, find_released, read_bundle


def read_weights(bundle: Bundle) -> dict[str, Tensor]:
    """Return a bundle's tensors as its network has them; those that it stores in 16 bits become 32 again."""
    stored = load_file(bundle.folder / WEIGHTS_FILE)
    return {name: value.float() if value.dtype == torch.float16 else value for name, value in stored.items()}


def load_scorer(bundle: Bundle) -> Scorer:
    """Return the network of a bundle, ready to score.

    Raises
    ------
    CheckpointError
        If the weights do not fit the settings.
    """
    config = validate_config(bundle.facts["settings"], origin=f"{bundle.name}/bundle.json")
    network = build_classifier(config)
    load_state(network, read_weights(bundle), name=bundle.name, architecture=config.model.architecture)
    return Scorer(network, config, provenance=bundle.facts["provenance"], history=bundle.facts["history"])


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
            return load_scorer(bundle), {**bundle.facts, "is_calibrated": True}
        scorer = Scorer.from_checkpoint(path)
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: is damaged or was not written by hilum.") from error
    return scorer, {
        "name": path.name,
        "temperature": 1.0,
        "is_calibrated": False,
        "provenance": scorer.provenance,
    }


def load_models(paths: Sequence[Path]) -> tuple[Scorer | Ensemble, dict[str, Any]]:
    """Return what scores with all of these models, and its facts; see `load_model` and `Ensemble`.

    An ensemble takes each member at the temperature of its bundle. It is itself not calibrated: `hilum
    evaluate` fits a temperature for it. What is known against a member is known against the ensemble.

    Raises
    ------
    CheckpointError
        If one cannot be used, or they do not go together.
    """
    if len(paths) < 2:  # noqa: PLR2004
        return load_model(paths[0] if paths else None)
    loaded = {str(path): load_model(path) for path in paths}
    if len(loaded) < len(paths):
        raise CheckpointError("an ensemble: the same --model is named twice. Name each model once.")
    ensemble = Ensemble(
        {path: scorer for path, (scorer, _) in loaded.items()},
        {path: one["temperature"] for path, (_, one) in loaded.items()},
    )
    facts = {
        "name": f"ensemble of {len(paths)}: {', '.join(str(one['name']) for _, one in loaded.values())}",
        "temperature": 1.0,
        "is_calibrated": False,
        "provenance": ensemble.provenance,
    }
    failures = [
        f"{one['name']}: {known}" for _, one in loaded.values() for known in one.get("known_failures", ())
    ]
    if len({str(scorer.provenance.get("data")) for scorer, _ in loaded.values()}) > 1:
        failures.append(
            "the members were trained on different data sets, and a film that tests one may have taught"
            " another; measure the ensemble on films that none of them has seen"
        )
    facts["known_failures"] = failures
    return ensemble, facts
