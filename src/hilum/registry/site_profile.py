"""What one site needs beside a model: its normalisation statistics, cut-off and the diseases in question.

    model.onnx               the network with these statistics, for serving without torch
    site.json                what was measured with the site's films, and the model that it holds for
    statistics.safetensors   normalisation statistics adapted to the site's films, and the site's score

A profile belongs to one model, by the hash of its weights: with any other it is refused.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hilum.domain.errors import CheckpointError
from hilum.evaluation.site_score import SiteScore
from hilum.files import naming, to_json, write_atomic
from hilum.registry.bundle import GRAPH_FILE

PROFILE_FILE = "site.json"
STATISTICS_FILE = "statistics.safetensors"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class SiteProfile:
    """A verified profile: `facts` is the content of site.json.

    `statistics` are for `Scorer.with_statistics`; `score` gives log odds of sick against normal from the
    embeddings of the network with them.
    """

    facts: Mapping[str, Any]
    statistics: Mapping[str, NDArray[Any]]
    score: SiteScore
    graph: Path | None = None

    @property
    def name(self) -> str:
        """Of the site."""
        return str(self.facts["site"])

    @property
    def diseases(self) -> tuple[str, ...]:
        """Which diseases are in question at the site."""
        return tuple(self.facts["diseases"])

    @property
    def scenario(self) -> str | None:
        """Scenario of Table 15 that the site works in; None for its own threshold."""
        return self.facts.get("scenario")

    @property
    def cutoff(self) -> float:
        """Log odds from which a film is called sick: the local one where labels allowed it."""
        local = self.facts["local"]
        return float(local["cutoff"] if local else self.facts["label_free_cutoff"])


def write_site_profile(
    folder: Path,
    facts: Mapping[str, Any],
    statistics: Mapping[str, NDArray[Any]],
    score: SiteScore,
    *,
    graph: bytes | None = None,
) -> None:
    """Write a profile in one step; an earlier one in the folder is replaced.

    Parameters
    ----------
    facts
        JSON of site, weights_sha256, diseases, label_free_cutoff, local, recalibration, referral and what
        else is to be told.
    graph
        The network with these statistics, ONNX; a profile without it cannot be served.

    Raises
    ------
    CheckpointError
        If the folder holds something else.
    """
    if folder.exists() and not (folder / PROFILE_FILE).is_file() and any(folder.iterdir()):
        raise CheckpointError(f"{folder}: holds something other than a site profile. Name another folder.")
    tensors = save({**statistics, **score.to_arrays()})
    content = {
        "schema_version": SCHEMA_VERSION,
        **facts,
        "statistics_sha256": hashlib.sha256(tensors).hexdigest(),
        "graph_sha256": None if graph is None else hashlib.sha256(graph).hexdigest(),
    }
    building = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        with naming(folder, temporary=building):
            building.mkdir(parents=True)
            write_atomic(building / STATISTICS_FILE, tensors)
            if graph is not None:
                write_atomic(building / GRAPH_FILE, graph)
            write_atomic(building / PROFILE_FILE, to_json(content, indent=1, sort_keys=True) + "\n")
            if folder.exists():
                shutil.rmtree(folder)
            building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def read_site_profile(folder: Path, *, weights_sha256: str) -> SiteProfile:
    """Read a profile and check that it is whole and of this model.

    Raises
    ------
    CheckpointError
        If it is not one, was changed, or is of other weights.
    """
    way_out = "Make it with `hilum commission`."
    try:
        facts = json.loads((folder / PROFILE_FILE).read_text(encoding="utf-8"))
        tensors = (folder / STATISTICS_FILE).read_bytes()
        told, version, model = facts["statistics_sha256"], facts["schema_version"], facts["weights_sha256"]
        arrays = load(tensors)
        score = SiteScore.from_arrays(arrays)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: is not a site profile, or is damaged. {way_out}") from error
    if hashlib.sha256(tensors).hexdigest() != told:
        raise CheckpointError(f"{folder}: {STATISTICS_FILE} was changed after it was written. {way_out}")
    if version != SCHEMA_VERSION:
        raise CheckpointError(f"{folder}: was written by another version of hilum. {way_out}")
    if model != weights_sha256:
        raise CheckpointError(
            f"{folder}: is a profile for weights {model[:12]}, this model has {weights_sha256[:12]}."
            " Commission the site again with this model."
        )
    statistics = {name: value for name, value in arrays.items() if name not in score.to_arrays()}
    graph = folder / GRAPH_FILE
    return SiteProfile(facts, statistics, score, graph if graph.is_file() else None)
