"""The graph that is served, with what it must answer to its self-test: of a bundle, or adapted to a site."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from hilum.config.schema import Preprocessing
from hilum.domain.errors import CheckpointError, EngineFailed
from hilum.domain.thresholds import SELFTEST_TOLERANCE
from hilum.imaging.placement import place_maps
from hilum.imaging.remedies import apply_remedies
from hilum.inference.runtime import GraphScores, RuntimeName, open_runtime
from hilum.registry.bundle import INT8_GRAPH_FILE, SELFTEST_FILE, read_bundle
from hilum.registry.site_profile import SiteProfile, read_site_profile

Precision = Literal["float32", "int8"]
_SELFTEST_LOGITS: dict[Precision, str] = {"float32": "logits", "int8": "logits_int8"}


@dataclass(frozen=True, slots=True, eq=False)
class ServedGraph:
    """`facts` is bundle.json; `selftest_films` uint8 (N, S, S) and `selftest_logits` float32 (N, K)."""

    folder: Path
    facts: Mapping[str, Any]
    graph: Path
    site: SiteProfile | None
    selftest_films: NDArray[np.uint8]
    selftest_logits: NDArray[np.float32]


class GraphNetwork:
    """A graph with what belongs before and after it: films uint8 (N, S, S) to scores."""

    def __init__(self, model: ServedGraph, runtime: RuntimeName = "auto") -> None:
        self.preprocessing = Preprocessing(**model.facts["settings"]["preprocessing"])
        self.side_px = self.preprocessing.image_size
        self._model = model
        self._runtime = open_runtime(model.graph, side_px=self.side_px, name=runtime)
        self.runtime_name = self._runtime.name

    def score(self, films: NDArray[np.uint8], *, is_alone: bool = False) -> GraphScores:
        """Score films; maps cover the whole film, also where the model cuts it.

        `is_alone` says that nobody else needs the cores.

        Raises
        ------
        EngineFailed
            As `Runtime.run`.
        """
        scores = self._runtime.run(apply_remedies(films, self.preprocessing), is_alone=is_alone)
        return GraphScores(scores.logits, scores.embedding, place_maps(scores.cam, films, self.preprocessing))

    def self_test(self) -> None:
        """Score the films that the bundle carries and compare.

        Raises
        ------
        EngineFailed
            If a logit differs by more than `SELFTEST_TOLERANCE` from what it was at release.
        """
        for is_alone in (False, True):
            scores = self.score(self._model.selftest_films, is_alone=is_alone)
            difference = float(np.abs(scores.logits - self._model.selftest_logits).max())
            if not difference <= SELFTEST_TOLERANCE:
                raise EngineFailed(
                    f"{self._model.facts['name']}: a self-test logit differs by {difference:.3g}; at most"
                    f" {SELFTEST_TOLERANCE:g} is allowed. Model or runtime is damaged: use another version."
                )


def read_graph(folder: Path, site: Path | None = None, *, precision: Precision = "float32") -> ServedGraph:
    """Verify a bundle, and a site profile of it, and find their graph.

    Parameters
    ----------
    precision
        `int8` takes the 8-bit graph; a site has none.

    Raises
    ------
    CheckpointError
        If either is damaged, or was made before graphs were exported.
    """
    bundle = read_bundle(folder)
    if precision == "int8" and (site is not None or not (folder / INT8_GRAPH_FILE).is_file()):
        raise CheckpointError(f"{folder}: has no 8-bit graph for this. Serve it in float32.")
    if bundle.graph is None or not (folder / SELFTEST_FILE).is_file():
        raise CheckpointError(
            f"{folder}: carries no graph to be served; it was registered by an earlier hilum."
            " Register it again: `hilum register --model BUNDLE`."
        )
    try:
        tensors = load_file(folder / SELFTEST_FILE)
        films, logits = tensors["films"], tensors[_SELFTEST_LOGITS[precision]]
    except (SafetensorError, KeyError) as error:
        raise CheckpointError(f"{folder / SELFTEST_FILE}: is damaged. Register the model again.") from error
    facts = {**bundle.facts, "is_calibrated": True}
    if site is None:
        graph = folder / INT8_GRAPH_FILE if precision == "int8" else bundle.graph
        return ServedGraph(folder, facts, graph, None, films, logits)
    profile = read_site_profile(site, weights_sha256=str(facts["weights_sha256"]))
    if profile.graph is None:
        raise CheckpointError(
            f"{site}: carries no graph to be served; it was made by an earlier hilum."
            " Commission the site again."
        )
    if hashlib.sha256(profile.graph.read_bytes()).hexdigest() != profile.facts["graph_sha256"]:
        raise CheckpointError(
            f"{profile.graph}: was changed after it was written. Commission the site again."
        )
    return ServedGraph(
        folder, facts, profile.graph, profile, films, np.asarray(profile.facts["selftest_logits"], np.float32)
    )
