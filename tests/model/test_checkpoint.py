import os
import pickle
from pathlib import Path

import pytest
import torch

from hilum.config.load import dump_config
from hilum.config.schema import TrainConfig
from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES
from hilum.model.checkpoint import (
    build_classifier,
    load_classifier,
    read_checkpoint,
    state_sha256,
    write_checkpoint,
)


@pytest.fixture
def checkpoint(tiny_config: TrainConfig) -> dict:
    torch.manual_seed(1)
    return {
        "epoch": 1,
        "model_state_dict": build_classifier(tiny_config).state_dict(),
        "optimizer_state_dict": {},
        "scheduler_state_dict": {},
        "val_f1": 0.5,
        "config": {"architecture": "test_efficientnet", "num_classes": 3, "dropout": 0.3},
        "class_names": list(CLASS_NAMES),
        "history": {},
        "settings": dump_config(tiny_config),
    }


def test_round_trip(checkpoint: dict, tmp_path: Path):
    path = tmp_path / "models" / "best_model.pt"
    write_checkpoint(checkpoint, path)
    network, config = load_classifier(read_checkpoint(path), name="x")
    assert state_sha256(network.state_dict()) == state_sha256(checkpoint["model_state_dict"])
    assert config.model.architecture == "test_efficientnet"
    assert not network.training
    assert [item.name for item in path.parent.iterdir()] == ["best_model.pt"]


def test_equal_checkpoints_are_equal_files(checkpoint: dict, tmp_path: Path):
    write_checkpoint(checkpoint, tmp_path / "a" / "best_model.pt")
    write_checkpoint(checkpoint, tmp_path / "b" / "best_model.pt")
    assert (tmp_path / "a/best_model.pt").read_bytes() == (tmp_path / "b/best_model.pt").read_bytes()


def test_hash_sees_values_names_and_not_the_memory_format():
    weight = torch.rand(4, 3, 3, 3)
    plain = state_sha256({"w": weight})
    assert state_sha256({"w": weight.to(memory_format=torch.channels_last)}) == plain
    assert state_sha256({"v": weight}) != plain
    assert state_sha256({"w": weight + 1e-7}) != plain


def test_full_disk_keeps_the_old_checkpoint(
    checkpoint: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "best_model.pt"
    write_checkpoint(checkpoint, path)
    before = path.read_bytes()

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(CheckpointError, match="No space left on device.*previous checkpoint is intact"):
        write_checkpoint({**checkpoint, "epoch": 2}, path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["best_model.pt"]


def test_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="no such checkpoint. Train one"):
        read_checkpoint(tmp_path / "none.pt")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really a zip", b"\x00" * 100])
def test_damaged_file_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a checkpoint that can be loaded safely"):
        read_checkpoint(path)


def test_a_planted_pickle_is_never_run(tmp_path: Path):
    marker = tmp_path / "marker"

    class Planted:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    path = tmp_path / "x.pt"
    torch.save({"model_state_dict": Planted()}, path)
    with pytest.raises(CheckpointError, match="safely"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Planted(), protocol=2))
    with pytest.raises(CheckpointError, match="safely"):
        read_checkpoint(path)
    assert not marker.exists()


def test_missing_keys_are_named(checkpoint: dict, tmp_path: Path):
    del checkpoint["history"], checkpoint["val_f1"]
    torch.save(checkpoint, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="lacks val_f1, history; it was not written by"):
        read_checkpoint(tmp_path / "x.pt")


def test_other_class_order_is_refused(checkpoint: dict, tmp_path: Path):
    checkpoint["class_names"] = ["Tuberculosis", "Normal", "Pneumonia"]
    torch.save(checkpoint, tmp_path / "x.pt")
    with pytest.raises(
        CheckpointError, match="its classes are Tuberculosis, Normal, Pneumonia; expected Normal"
    ):
        read_checkpoint(tmp_path / "x.pt")


def test_weights_of_another_architecture_are_refused(checkpoint: dict):
    checkpoint["settings"]["model"]["architecture"] = "test_resnet"
    with pytest.raises(
        CheckpointError,
        match="of another shape for test_resnet .*another architecture",
    ):
        load_classifier(checkpoint, name="x.pt")
