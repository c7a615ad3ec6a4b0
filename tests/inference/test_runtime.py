from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hilum.domain.errors import CheckpointError, EngineFailed
from hilum.inference import runtime as runtime_module
from hilum.inference.runtime import open_runtime
from hilum.registry.bundle import GRAPH_FILE

FILMS = np.random.default_rng(1).integers(0, 256, (3, 64, 64), dtype=np.uint8)


def test_both_runtimes_give_one_answer(tiny_bundle: Path):
    first, second = (
        open_runtime(tiny_bundle / GRAPH_FILE, side_px=64, name=name).run(FILMS)
        for name in ("onnxruntime", "openvino")
    )
    assert np.abs(first.logits - second.logits).max() < 1e-4
    assert np.abs(first.embedding - second.embedding).max() < 1e-4
    assert np.abs(first.cam - second.cam).max() < 1e-4
    assert first.logits.shape == (3, 3)
    assert first.cam.shape[:2] == (3, 3)


def test_a_film_scores_the_same_alone_and_among_others(tiny_bundle: Path):
    runtime = open_runtime(tiny_bundle / GRAPH_FILE, side_px=64, name="onnxruntime")
    alone = runtime.run(FILMS[1:2])
    assert np.abs(runtime.run(FILMS).logits[1] - alone.logits[0]).max() < 1e-5


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_film_scores_the_same_on_one_core_and_on_all(tiny_bundle: Path, name: str):
    runtime = open_runtime(tiny_bundle / GRAPH_FILE, side_px=64, name=name)
    shared, alone = (runtime.run(FILMS, is_alone=is_alone) for is_alone in (False, True))
    assert np.abs(shared.logits - alone.logits).max() < 1e-5
    assert np.abs(shared.embedding - alone.embedding).max() < 1e-5
    assert np.abs(shared.cam - alone.cam).max() < 1e-5


@pytest.mark.parametrize("name", ["auto", "onnxruntime", "openvino"])
def test_a_graph_that_reads_another_file_is_refused_before_a_runtime_sees_it(
    tmp_path: Path, name: str, tiny_bundle: Path
):
    """A bundle that was tampered with would bring a key of the machine out as a map."""
    (tmp_path / "key").write_bytes(np.zeros(16, np.float32).tobytes())
    model = onnx.load(tiny_bundle / GRAPH_FILE)
    stolen = TensorProto(name="stolen", data_type=TensorProto.FLOAT, dims=[16])
    stolen.data_location = TensorProto.EXTERNAL
    stolen.external_data.add(key="location", value="key")
    model.graph.initializer.append(stolen)
    (tmp_path / GRAPH_FILE).write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match="keeps tensors in other files, which are never read"):
        open_runtime(tmp_path / GRAPH_FILE, side_px=64, name=name)


def test_auto_takes_the_faster_one(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch):
    seconds = {"onnxruntime": 2.0, "openvino": 1.0}
    monkeypatch.setattr(runtime_module, "_time", lambda runtime, _: seconds[runtime.name])
    assert open_runtime(tiny_bundle / GRAPH_FILE, side_px=64).name == "openvino"
    seconds["openvino"] = 3.0
    assert open_runtime(tiny_bundle / GRAPH_FILE, side_px=64).name == "onnxruntime"


def test_auto_does_with_what_is_installed(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        runtime_module.importlib.util, "find_spec", lambda name: name == "onnxruntime" or None
    )
    assert open_runtime(tiny_bundle / GRAPH_FILE, side_px=64).name == "onnxruntime"
    monkeypatch.setattr(runtime_module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CheckpointError, match=r"Install hilum\[serve\]"):
        open_runtime(tiny_bundle / GRAPH_FILE, side_px=64)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_broken_graph_is_refused(tmp_path: Path, name: str):
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(CheckpointError, match="cannot be opened as a network"):
        open_runtime(tmp_path / "model.onnx", side_px=64, name=name)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_output_that_is_no_number_is_never_shown(tmp_path: Path, name: str):
    write_graph(tmp_path / "model.onnx", weight=float("nan"))
    with pytest.raises(EngineFailed, match="not finite"):
        open_runtime(tmp_path / "model.onnx", side_px=4, name=name).run(np.ones((1, 4, 4), np.uint8))


def test_a_graph_that_raises_is_an_engine_that_failed(tmp_path: Path):
    write_graph(tmp_path / "model.onnx", weight=1.0)
    runtime = open_runtime(tmp_path / "model.onnx", side_px=4, name="onnxruntime")
    with pytest.raises(EngineFailed, match="the network failed"):
        runtime.run(np.ones((1, 5, 5), np.uint8))


def write_graph(path: Path, *, weight: float) -> None:
    """A graph of our three outputs, each the mean of the film times a weight."""
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [1], [weight])
    nodes = [
        helper.make_node("Cast", ["films"], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["grey", "scale"], ["scaled"]),
        *(
            helper.make_node("ReduceMean", ["scaled", "axes"], [name], keepdims=0)
            for name in ("logits", "embedding", "cam")
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("films", TensorProto.UINT8, ["batch", 4, 4])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4])
            for name in ("logits", "embedding", "cam")
        ],
        [scale, helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
