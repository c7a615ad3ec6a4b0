"""The graph in 8 bits: a quarter of the size, kept only where it ranks films as well.

Quantised on validation films and judged on other validation films. On processors without 8-bit instructions
it is slower than 32 bits: a server uses it only when told to.

References
----------
Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
CVPR 2018.
"""

import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray

from hilum.data.ingest import open_dataset
from hilum.domain.errors import EmptyDataset
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import BOOTSTRAP_RESAMPLES, QUANTIZATION_FILMS, QUANTIZATION_PERCENTILE
from hilum.evaluation.calibration import scale
from hilum.evaluation.discrimination import Discrimination, discriminate
from hilum.evaluation.inputs import read_scored_films
from hilum.evaluation.record import to_plain
from hilum.imaging.remedies import apply_remedies
from hilum.model.export import INPUT_NAME
from hilum.model.scoring import Scorer
from hilum.progress import progress_bar
from hilum.registry.bundle import GRAPH_FILE, INT8_GRAPH_FILE
from hilum.registry.graph_files import run_graph

log = logging.getLogger(__name__)

_SEED = 1


@dataclass(frozen=True, slots=True)
class Int8Verdict:
    """Whether the 8-bit graph was kept, with the AUROC of each class on either graph and its interval."""

    kept: bool
    reason: str | None
    films: int
    bytes: int
    float32_bytes: int
    classes: dict[str, dict[str, Any]]

    def to_facts(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def quantize_graph(scorer: Scorer, data: Path, folder: Path) -> Int8Verdict:
    """Write `model.int8.onnx` beside `model.onnx` if it ranks a data set's validation films as well.

    It is kept if for each class the interval of its AUROC overlaps that of the 32-bit graph.

    Parameters
    ----------
    data
        The data set that the model was trained on; its `val` split is used.

    Raises
    ------
    EmptyDataset
        If that has too few validation films.
    """
    rows, films = open_dataset(data, scorer.config).select("val")
    if len(films) < 2 * QUANTIZATION_FILMS:
        raise EmptyDataset(
            f"{data}: {len(films)} validation films; an 8-bit graph needs at least {2 * QUANTIZATION_FILMS}."
            " Register without --int8."
        )
    films = apply_remedies(films, scorer.config.preprocessing)
    is_range = np.zeros(len(films), bool)
    is_range[np.linspace(0, len(films) - 1, QUANTIZATION_FILMS).astype(int)] = True
    graph, small = folder / GRAPH_FILE, folder / INT8_GRAPH_FILE
    judged, kept_rows = films[~is_range], rows[~is_range]
    graphs = {"float32": graph, "int8": small}
    with progress_bar("8-bit graph", total=QUANTIZATION_FILMS + len(graphs) * len(judged)) as bar:
        _quantize(graph, small, films[is_range], on_film=bar.update)
        ranked = {
            kind: _rank(kept_rows, run_graph(path, judged, on_films=bar.update)["logits"])
            for kind, path in graphs.items()
        }
    classes: dict[str, dict[str, Any]] = {
        name: {kind: to_plain(result.row(name).auroc) for kind, result in ranked.items()}
        for name in CLASS_NAMES
    }
    lost = [name for name, pair in classes.items() if not _overlap(pair["float32"], pair["int8"])]
    reason = f"the AUROC of {' and '.join(lost)} falls below its interval" if lost else None
    verdict = Int8Verdict(not lost, reason, len(judged), small.stat().st_size, graph.stat().st_size, classes)
    if lost:
        small.unlink()
    log.info("8-bit graph %s", "kept" if verdict.kept else f"dropped: {reason}")
    return verdict


def _quantize(graph: Path, out: Path, films: NDArray[np.uint8], *, on_film: Callable[[], object]) -> None:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Films(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[NDArray[np.uint8]] = iter(films)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            film = next(self._left, None)
            if film is None:
                return None
            on_film()
            return {INPUT_NAME: film[None]}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(out),
            Films(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_depthwise(prepared),
            # A few activations are far larger than the rest: ranges by extremes leave nothing for the others
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": QUANTIZATION_PERCENTILE},
        )


def _depthwise(graph: Path) -> list[str]:
    """Name the depthwise convolutions: few weights, and by far the most harmed by 8 bits."""
    nodes = onnx.load(str(graph)).graph.node
    return [
        node.name
        for node in nodes
        if node.op_type == "Conv" and any(item.name == "group" and item.i > 1 for item in node.attribute)
    ]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser, which tells of each channel on the root logger and on stdout, from talking."""
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _rank(rows: pd.DataFrame, logits: NDArray[np.float32]) -> Discrimination:
    columns = {f"logit_{name}": logits[:, index] for index, name in enumerate(CLASS_NAMES)}
    films = read_scored_films(rows.assign(**columns))
    return discriminate(
        films.labels, scale(films.logits, 1.0), films.patients, resamples=BOOTSTRAP_RESAMPLES, seed=_SEED
    )


def _overlap(first: dict[str, Any], second: dict[str, Any]) -> bool:
    if first["value"] is None or second["value"] is None:
        return False
    return bool(second["high"] >= first["low"])
