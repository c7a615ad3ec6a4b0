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

from hilum.domain.errors import CheckpointError
from hilum.registry.bundle import INT8_GRAPH_FILE, SELFTEST_FILE, read_bundle
from hilum.registry.site_profile import SiteProfile, read_site_profile

Precision = Literal["float32", "int8"]
_SELFTEST_LOGITS: dict[Precision, str] = {"float32": "logits", "int8": "logits_int8"}


@dataclass(frozen=True, slots=True, eq=False)
class ServedGraph:
    """`facts` is bundle.json; `selftest_films` uint8 (N, S, S) and `selftest_logits` float32 (N, K)."""

    facts: Mapping[str, Any]
    graph: Path
    site: SiteProfile | None
    selftest_films: NDArray[np.uint8]
    selftest_logits: NDArray[np.float32]


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
        return ServedGraph(facts, graph, None, films, logits)
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
        facts, profile.graph, profile, films, np.asarray(profile.facts["selftest_logits"], np.float32)
    )
