"""Bundles of a network of a few numbers: real files, real checksums, a real graph, a hundredth of the time.

The network looks at the mean grey and no gate looks at anything, so that any picture is answered; what is
under test here is everything around it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from hilum.domain.findings import CLASS_NAMES
from hilum.registry.alias import push, read_alias, write_alias
from hilum.registry.bundle import (
    BUNDLE_FILE,
    GRAPH_FILE,
    SCHEMA_VERSION,
    SELFTEST_FILE,
    SUMS_FILE,
    WEIGHTS_FILE,
    sum_files,
)
from hilum.registry.history import HISTORY_FILE, Event, History
from hilum.registry.store import ModelStore

SIDE_PX = 224
SELFTEST_FILMS = 8
_SLOPES = np.array([0.01, 0.02, -0.03], np.float32)


def _graph(offsets: NDArray[np.float32]) -> onnx.ModelProto:
    """films uint8 (B, S, S) -> logits (B, 3), embedding (B, 4), cam (B, 3, 7, 7)."""
    constants = {
        "slopes": _SLOPES,
        "offsets": offsets,
        "spread": np.ones((1, 4), np.float32),
        "sides": np.array([1, 2], np.int64),
        "channel": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["films"], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["grey", "sides"], ["mean3"], keepdims=1),
        helper.make_node("Squeeze", ["mean3", "channel"], ["mean"]),
        helper.make_node("Mul", ["mean", "slopes"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offsets"], ["logits"]),
        helper.make_node("Mul", ["mean", "spread"], ["embedding"]),
        helper.make_node("Unsqueeze", ["grey", "channel"], ["image"]),
        helper.make_node("AveragePool", ["image"], ["map"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("Concat", ["map", "map", "map"], ["cam"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("films", TensorProto.UINT8, ["B", SIDE_PX, SIDE_PX])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 3]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", 4]),
            helper.make_tensor_value_info("cam", TensorProto.FLOAT, ["B", 3, 7, 7]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def make_bundle(root: Path, version: str = "1.0.0", *, offset: float = 0.0, lies: bool = False) -> Path:
    """Write a whole bundle into a folder of bundles.

    Parameters
    ----------
    offset
        Makes another network of it.
    lies
        Whether its self-test says what another network would: the files are whole, the model is wrong.
    """
    name = f"mean_v{version}_20260504"
    folder = root / name
    folder.mkdir(parents=True)
    offsets = np.array([0.0, offset, 4.0], np.float32)
    onnx.save(_graph(offsets), str(folder / GRAPH_FILE))
    films = np.random.default_rng(7).integers(0, 255, (SELFTEST_FILMS, SIDE_PX, SIDE_PX), dtype=np.uint8)
    means = films.reshape(SELFTEST_FILMS, -1).mean(axis=1, keepdims=True).astype(np.float32)
    logits = means * _SLOPES + offsets + (1.0 if lies else 0.0)
    save_file({"films": films, "logits": logits}, folder / SELFTEST_FILE)
    weights = {"offsets": offsets}
    save_file(weights, folder / WEIGHTS_FILE)
    digest = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    (folder / BUNDLE_FILE).write_text(json.dumps(_facts(name, version, digest)))
    (folder / "card.md").write_text(f"# {name}\n")
    (folder / SUMS_FILE).write_text(sum_files(folder))
    return folder


def _facts(name: str, version: str, digest: str) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "version": version,
        "class_names": list(CLASS_NAMES),
        "settings": {
            "model": {"architecture": "mean"},
            "preprocessing": {"image_size": SIDE_PX},
        },
        "temperature": 1.0,
        "weights_sha256": digest,
        "provenance": {},
        "evaluations": [],
        "explanations": None,
        "referral": None,
        "input_gate": None,
    }


def make_registry(root: Path, *versions: Path, production: str) -> ModelStore:
    """Make a registry of bundles that lie in `root`, promoting each in order, the last to production."""
    store = ModelStore(root)
    for folder in versions:
        result = store.promote(folder.name, by="tests", reason="test", override="no evaluation of a stub")
        assert result.promoted, result
    assert store.production() == production
    return store


def force_production(root: Path, name: str) -> None:
    """Move the alias without asking any gate: what is under test is a server that meets the result."""
    history = History(root / HISTORY_FILE)
    event = Event(len(history.read()[0]) + 1, "promote", name, by="tests", reason="test")
    write_alias(root, push(read_alias(root, history), event))
