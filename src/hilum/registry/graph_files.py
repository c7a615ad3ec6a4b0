"""The graph of a model as files: exported, compared with the network it came from, and its self-test.

The self-test films are phantoms, drawn when the model is released and carried along: a server that gives
other logits for them than were found here has another model, or a broken runtime.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.film import draw_film
from hilum.domain.errors import CheckpointError
from hilum.domain.thresholds import GRAPH_PARITY, SELFTEST_FILMS
from hilum.files import write_atomic
from hilum.imaging.remedies import apply_remedies
from hilum.model.export import INPUT_NAME, OUTPUT_NAMES, export_graph
from hilum.model.scoring import Scorer
from hilum.registry.bundle import GRAPH_FILE, SELFTEST_FILE

_SEED = 20_260_115  # of the films drawn, any would do


def write_graph(scorer: Scorer, folder: Path) -> NDArray[np.float32]:
    """Export a scorer's network as `model.onnx` into a folder.

    Returns
    -------
    NDArray
        float32 (SELFTEST_FILMS, K), the logits of the self-test films.

    Raises
    ------
    CheckpointError
        If the graph differs from the network by more than `GRAPH_PARITY`.
    """
    graph = folder / GRAPH_FILE
    export_graph(scorer.network, graph, side_px=scorer.side_px)
    films = draw_selftest(scorer.side_px)
    expected = scorer.score(films)
    seen = apply_remedies(films, scorer.config.preprocessing)
    outputs = run_graph(graph, seen)
    difference = float(np.abs(outputs["logits"] - expected.logits).max())
    if not difference <= GRAPH_PARITY:
        raise CheckpointError(
            f"{graph}: logits differ from the checkpoint's by {difference:.2g}; at most {GRAPH_PARITY:g} is"
            " allowed. Report this with the versions of torch and onnxruntime."
        )
    return expected.logits


def write_selftest(films: NDArray[np.uint8], logits: Mapping[str, NDArray[np.float32]], folder: Path) -> None:
    """Write films uint8 (N, S, S) and what each graph says of them, float32 (N, K), by its file's name."""
    write_atomic(folder / SELFTEST_FILE, save({"films": films, **logits}))


def draw_selftest(side_px: int) -> NDArray[np.uint8]:
    """Draw the self-test films, uint8 (SELFTEST_FILMS, side, side)."""
    films = (
        draw_film(index, seed=_SEED, side_px=side_px, faults=PhantomFaults()).pixels
        for index in range(SELFTEST_FILMS)
    )
    return np.stack(list(films))


def run_graph(
    graph: Path, films: NDArray[np.uint8], *, on_films: Callable[[int], object] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Run a graph on films, uint8 (N, S, S), one by one as a server does; outputs by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    rows = []
    for film in films:
        rows.append(session.run(OUTPUT_NAMES, {INPUT_NAME: film[None]}))
        if on_films is not None:
            on_films(1)
    return {
        name: np.concatenate(parts) for name, parts in zip(OUTPUT_NAMES, zip(*rows, strict=True), strict=True)
    }
