from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from hilum.config.load import load_config
from hilum.model.checkpoint import build_classifier
from hilum.model.export import INPUT_NAME, OUTPUT_NAMES, export_graph
from hilum.model.scoring import Scorer
from hilum.training.refit import round_weights
from tests.conftest import TINY_SETTINGS

FILMS = np.random.default_rng(4).integers(0, 256, (5, 64, 64), dtype=np.uint8)


@pytest.mark.parametrize(
    "settings",
    [(), ("preprocessing.border_crop=0.1", "preprocessing.standardization=local")],
    ids=["plain", "remedies"],
)
def test_a_graph_gives_what_the_network_gives_for_any_number_of_films(tmp_path: Path, settings: tuple):
    config = load_config(overrides=(*TINY_SETTINGS, *settings))
    network = build_classifier(config).eval()
    export_graph(network, tmp_path / "model.onnx", side_px=64)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    scorer = Scorer(network, config)
    for count in (1, 5):
        logits, embedding, cam = session.run(OUTPUT_NAMES, {INPUT_NAME: FILMS[:count]})
        expected = scorer.score(FILMS[:count])
        assert np.abs(logits - expected.logits).max() < 1e-4
        assert np.abs(embedding - expected.embedding).max() < 1e-4
        if not settings:  # maps of a cut film are placed afterwards
            assert np.abs(cam - expected.cam).max() < 1e-4
            assert expected.cam.max() > 0


def test_weights_that_16_bits_hold_are_stored_in_16_and_computed_with_in_32(tmp_path: Path):
    config = load_config(overrides=TINY_SETTINGS)
    network = round_weights(build_classifier(config).eval())
    export_graph(network, tmp_path / "model.onnx", side_px=64)
    stored = onnx.load(tmp_path / "model.onnx").graph.initializer
    halved = [tensor for tensor in stored if tensor.data_type == onnx.TensorProto.FLOAT16]
    weights = [value for value in network.state_dict().values() if value.ndim > 1]
    values = sum(onnx.numpy_helper.to_array(tensor).size for tensor in halved)
    assert values >= 0.9 * sum(value.numel() for value in weights)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    logits = session.run(["logits"], {INPUT_NAME: FILMS})[0]
    assert logits.dtype == np.float32
    assert np.abs(logits - Scorer(network, config).score(FILMS).logits).max() < 1e-4


def test_the_graph_is_one_file_and_takes_bytes(tmp_path: Path):
    network = build_classifier(load_config(overrides=TINY_SETTINGS)).eval()
    export_graph(network, tmp_path / "model.onnx", side_px=64)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (films,) = session.get_inputs()
    assert (films.name, films.type, films.shape[1:]) == ("films", "tensor(uint8)", [64, 64])


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    network = build_classifier(load_config(overrides=TINY_SETTINGS)).eval()
    with pytest.raises(OSError, match="No space left"):
        export_graph(network, tmp_path / "model.onnx", side_px=64)
    assert list(tmp_path.iterdir()) == []
