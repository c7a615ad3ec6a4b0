"""An exported graph, run: OpenVINO or ONNX Runtime behind one small interface. Knows nothing about films.

Both compute in float32, so that one bundle gives the same figures on either; both are safe to call from
several threads at once. A call uses one thread of computing and the caller runs as many calls as there are
cores: on 2 cores that serves more films a second than two threads on each film. A film that is alone gets
more threads: on 2 cores it is scored in two thirds of the time.
"""

import importlib.util
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import CheckpointError, EngineFailed

log = logging.getLogger(__name__)

RuntimeName = Literal["auto", "onnxruntime", "openvino"]
_OUTPUTS = ("logits", "embedding", "cam")
_EXTERNAL_KEY = b"location"
_TIMED_RUNS = 6
_MOST_THREADS = 4  # for one film: beyond, they wait for each other


@dataclass(frozen=True, slots=True, eq=False)
class GraphScores:
    """N films: `logits` float32 (N, K), `embedding` (N, C), `cam` (N, K, h, w) unscaled Grad-CAM >= 0."""

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    cam: NDArray[np.float32]


class Runtime(Protocol):
    """A graph that is ready."""

    name: str

    def run(self, films: NDArray[np.uint8], *, is_alone: bool = False) -> GraphScores:
        """Score films, uint8 (N, side, side); `is_alone` says that nobody else needs the cores.

        Raises
        ------
        EngineFailed
            If the runtime raises or gives something that is no number.
        """


def open_runtime(graph: Path, *, side_px: int, name: RuntimeName = "auto") -> Runtime:
    """Open a graph in the runtime named; `auto` takes the faster one of those installed, timed here and now.

    Raises
    ------
    CheckpointError
        If the graph cannot be opened or keeps tensors in other files, or the runtime is not installed.
    """
    content = _read_graph(graph)
    names = [name] if name != "auto" else [known for known in _RUNTIMES if importlib.util.find_spec(known)]
    try:
        opened = [_RUNTIMES[each](content) for each in names]
    except ImportError as error:
        raise CheckpointError(
            f"{name}: is not installed. Install hilum[serve], or hilum[openvino] for OpenVINO."
        ) from error
    except Exception as error:  # what a runtime raises on a broken graph is documented nowhere
        raise CheckpointError(f"{graph}: cannot be opened as a network. Register the model again.") from error
    if not opened:
        raise CheckpointError("neither onnxruntime nor openvino is installed. Install hilum[serve].")
    if len(opened) == 1:
        return opened[0]
    film = np.full((1, side_px, side_px), 127, np.uint8)
    seconds = {runtime.name: _time(runtime, film) for runtime in opened}
    fastest = min(opened, key=lambda runtime: seconds[runtime.name])
    told = ", ".join(f"{known} {1000 * taken:.1f} ms" for known, taken in seconds.items())
    log.info("runtime %s of %s a film", fastest.name, told)
    return fastest


def _read_graph(graph: Path) -> bytes:
    """Return a graph's bytes, which are read once; refuse one that would have a runtime read other files.

    A tensor outside the graph names its file under the key `location` (onnx.proto,
    TensorProto.external_data), so the word refuses wherever it stands: hilum exports no graph with it.
    """
    try:
        content = graph.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{graph}: cannot be read ({error.strerror}). Register the model again."
        ) from error
    if _EXTERNAL_KEY in content:
        raise CheckpointError(
            f"{graph}: the network keeps tensors in other files, which are never read."
            " Register the model again."
        )
    return content


def _time(runtime: Runtime, film: NDArray[np.uint8]) -> float:
    runtime.run(film)  # the first one allocates
    taken = []
    for _ in range(_TIMED_RUNS):
        start = time.perf_counter()
        runtime.run(film)
        taken.append(time.perf_counter() - start)
    return min(taken)


def _to_scores(run: Callable[[], Mapping[str, Any]], name: str) -> GraphScores:
    try:
        outputs = run()
        scores = GraphScores(*(np.asarray(outputs[output], np.float32) for output in _OUTPUTS))
    except Exception as error:  # a runtime's own errors have no common base
        raise EngineFailed(f"{name}: the network failed ({type(error).__name__}).") from error
    if not all(np.isfinite(values).all() for values in (scores.logits, scores.embedding, scores.cam)):
        raise EngineFailed(f"{name}: the network's output is not finite; nothing is shown of it.")
    return scores


class _OnnxRuntime:
    name = "onnxruntime"

    def __init__(self, graph: bytes) -> None:
        self._shared, self._alone = (self._open(graph, threads) for threads in (1, _threads_of_one()))

    def run(self, films: NDArray[np.uint8], *, is_alone: bool = False) -> GraphScores:
        session = self._alone if is_alone else self._shared
        return _to_scores(
            lambda: dict(zip(_OUTPUTS, session.run(_OUTPUTS, {"films": films}), strict=True)), self.name
        )

    @staticmethod
    def _open(graph: bytes, threads: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the cores
        options.log_severity_level = 3  # errors: its warnings are about optimisations
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class _OpenVino:
    name = "openvino"

    def __init__(self, graph: bytes) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(graph)
        cores = os.cpu_count() or 1

        def compile_for(hint: str, streams: int, threads: int) -> Any:
            return core.compile_model(
                model,
                "CPU",
                {
                    "PERFORMANCE_HINT": hint,
                    "NUM_STREAMS": streams,
                    "INFERENCE_NUM_THREADS": threads,
                    "INFERENCE_PRECISION_HINT": "f32",  # else it computes in 16 bits where the processor can
                },
            )

        self._shared = compile_for("THROUGHPUT", cores, cores)
        self._alone = compile_for("LATENCY", 1, _threads_of_one())
        self._here = threading.local()

    def run(self, films: NDArray[np.uint8], *, is_alone: bool = False) -> GraphScores:
        return _to_scores(lambda: self._run(films, "alone" if is_alone else "shared"), self.name)

    def _run(self, films: NDArray[np.uint8], which: str) -> Mapping[str, Any]:
        request = getattr(self._here, which, None)
        if request is None:
            compiled = self._alone if which == "alone" else self._shared
            request = compiled.create_infer_request()
            setattr(self._here, which, request)
        request.infer({"films": films})
        return {name: request.get_tensor(name).data.copy() for name in _OUTPUTS}


def _threads_of_one() -> int:
    return min(os.cpu_count() or 1, _MOST_THREADS)


_RUNTIMES: dict[str, Callable[[bytes], Runtime]] = {"onnxruntime": _OnnxRuntime, "openvino": _OpenVino}
