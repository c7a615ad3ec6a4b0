"""A bundle or a checkpoint as a network ready to score, for training, measuring and commissioning (torch)."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from hilum.config.load import validate_config
from hilum.domain.errors import CheckpointError
from hilum.model.checkpoint import build_classifier, load_state
from hilum.model.scoring import Scorer
from hilum.registry.bundle import WEIGHTS_FILE, Bundle, find_released, read_bundle


def load_scorer(bundle: Bundle) -> Scorer:
    """Return the network of a bundle, ready to score.

    Raises
    ------
    CheckpointError
        If the weights do not fit the settings.
    """
    config = validate_config(bundle.facts["settings"], origin=f"{bundle.name}/bundle.json")
    network = build_classifier(config)
    state = load_file(bundle.folder / WEIGHTS_FILE)
    load_state(network, state, name=bundle.name, architecture=config.model.architecture)
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
