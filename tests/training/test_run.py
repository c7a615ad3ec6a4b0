import json
import logging
import resource
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from hilum.config.load import dump_config, load_config
from hilum.config.schema import TrainConfig
from hilum.data.ingest import open_dataset
from hilum.data.loader import load_split
from hilum.data.manifest import manifest_digest, read_manifest
from hilum.domain.errors import (
    CheckpointError,
    ConfigError,
    EmptyDataset,
    TrainingDiverged,
    WeightsUnavailable,
)
from hilum.domain.findings import CLASS_NAMES
from hilum.model.checkpoint import (
    REPORT_KEYS,
    load_classifier,
    read_checkpoint,
    state_sha256,
    write_checkpoint,
)
from hilum.training.averaging import WeightAverage
from hilum.training.curves import rate_curve
from hilum.training.prepare import HISTORY_KEYS
from hilum.training.run import run_training
from hilum.training.run_folder import RunFolder
from tests.conftest import TINY_SETTINGS, write_folder


@pytest.fixture
def best(tiny_run: Path) -> dict:
    return torch.load(tiny_run / "models/best_model.pt", weights_only=True)


@pytest.fixture
def latest(tiny_run: Path) -> dict:
    return torch.load(tiny_run / "models/latest_checkpoint.pt", weights_only=True)


@pytest.fixture
def record(tiny_run: Path) -> dict:
    return json.loads((tiny_run / "models/training_history.json").read_text())


def test_kind_is_fitted_when_training_is_over(tiny_data: Path, tmp_path: Path, caplog):
    caplog.set_level("INFO")
    settings = (*TINY_SETTINGS, "training.epochs=1", "loss.name=two_step", "loss.refit_kind=true")
    result = run_training(load_config(overrides=settings), tiny_data, tmp_path)
    best = read_checkpoint(result.folder.best_model)
    assert best["provenance"]["refitted"] == ["loss.refit_kind"]
    assert best["val_f1"] == result.best_val_f1
    latest = read_checkpoint(result.folder.latest_checkpoint)["model_state_dict"]
    changed = {
        name for name, value in best["model_state_dict"].items() if not torch.equal(value, latest[name])
    }
    assert changed == {"head.6.weight", "head.6.bias"}
    assert any(message.startswith("refitted: val F1 ") for message in caplog.messages)


def test_a_run_leaves_the_files_of_table_19_and_no_others(tiny_run: Path):
    assert sorted(
        path.relative_to(tiny_run).as_posix() for path in tiny_run.rglob("*") if path.is_file()
    ) == [
        "manifest.parquet",
        "models/.lock",
        "models/best_model.pt",
        "models/latest_checkpoint.pt",
        "models/training_history.json",
        "reports/figures/training_curves.png",
    ]


def test_checkpoints_have_the_keys_of_section_7_2(best: dict, latest: dict, tiny_config: TrainConfig):
    for checkpoint in (best, latest):
        assert set(checkpoint) == {*REPORT_KEYS, "settings", "provenance", "resume"}
        assert checkpoint["config"] == {
            "architecture": "test_efficientnet",
            "num_classes": 3,
            "dropout": 0.3,
        }
        assert tuple(checkpoint["class_names"]) == CLASS_NAMES
        assert checkpoint["settings"] == dump_config(tiny_config)
        assert set(checkpoint["history"]) == set(HISTORY_KEYS)
    assert latest["epoch"] == 4


def test_the_best_model_is_the_first_with_the_highest_validation_f1(best: dict, latest: dict):
    scores = latest["history"]["val_f1"]
    assert best["val_f1"] == max(scores)
    assert best["epoch"] == scores.index(max(scores)) + 1
    assert best["history"] == latest["history"]  # the epochs after the best one too
    assert latest["val_f1"] == scores[-1]


def test_history_file_tells_the_run(record: dict, best: dict, latest: dict, tiny_run: Path):
    assert record["history"] == latest["history"]
    assert all(len(values) == 4 for values in record["history"].values())
    assert record["best_epoch"] == best["epoch"]
    assert record["best_val_f1"] == best["val_f1"]
    assert record["weights_sha256"] == state_sha256(best["model_state_dict"])
    assert record["stopping"] == []
    assert record["settings"] == best["settings"]
    parameters = record["parameters"]
    assert parameters["total"] == parameters["trainable_unfrozen"] > parameters["trainable_frozen"] > 0
    assert record["provenance"]["train_films"] == dict.fromkeys(CLASS_NAMES, 8)
    assert record["provenance"]["weights"] == {"kind": "none", "origin": "", "sha256": ""}
    assert record["provenance"]["data"] == manifest_digest(read_manifest(tiny_run / "manifest.parquet"))


def test_learning_rates_in_the_history_are_those_of_table_8(record: dict):
    first, last = (record["history"][f"{step}learning_rate"] for step in ("first_", ""))

    def cosine(step: int, steps: int) -> float:
        return 1e-5 + (1e-3 - 1e-5) * (1 + np.cos(np.pi * step / steps)) / 2

    # three steps an epoch: one epoch of warm-up, a cycle of two epochs, one of four
    assert first == pytest.approx([1e-4, 1e-3, cosine(3, 6), 1e-3])
    assert last == pytest.approx([1e-4 + 9e-4 * 2 / 3, cosine(2, 6), cosine(5, 6), cosine(2, 12)])
    backbone = [record["history"][f"{step}backbone_learning_rate"] for step in ("first_", "")]
    assert backbone == [pytest.approx([rate / 10 for rate in rates]) for rates in (first, last)]


def test_the_train_side_is_scored_on_films_as_they_are(record: dict, tiny_data: Path, tiny_run: Path):
    """Worked out again with the plain network of the last epoch, in inference mode, on all training films."""
    checkpoint = read_checkpoint(tiny_run / "models" / "latest_checkpoint.pt")
    network, config = load_classifier(checkpoint, name="latest")
    films = load_split(open_dataset(tiny_data, config), "train", config.preprocessing)
    with torch.inference_mode():
        logits = network(films.pixels.float())
    loss = torch.nn.functional.cross_entropy(logits, films.labels, label_smoothing=0.1)
    f1 = f1_score(films.labels, logits.argmax(dim=1), average="macro")
    assert record["history"]["train_loss"][-1] == pytest.approx(float(loss), abs=2e-3)  # bf16 in training
    assert record["history"]["train_f1"][-1] == pytest.approx(f1, abs=0.05)
    assert record["history"]["augmented_train_loss"][-1] != record["history"]["train_loss"][-1]


def test_the_figure_shows_the_rates_from_the_first_step_to_the_last():
    history = {"first_learning_rate": [1.0, 5.0], "learning_rate": [4.0, 2.0]}
    assert rate_curve(history) == ([0, 1, 1, 2], [1.0, 4.0, 5.0, 2.0])


def test_the_backbone_stands_still_while_frozen_and_moves_after(tiny_data, tiny_config, tmp_path: Path):
    states = []

    def keep(history: dict) -> None:
        latest = torch.load(RunFolder(tmp_path).latest_checkpoint, weights_only=True)
        states.append(latest["model_state_dict"])

    run_training(tiny_config, tiny_data, tmp_path, on_epoch=keep)
    # the first weights are those of the seed
    from hilum.model.checkpoint import build_classifier
    from hilum.training.determinism import seed_epoch

    seed_epoch(42, 0)
    first = build_classifier(tiny_config).state_dict()
    backbone = [key for key in first if key.startswith("backbone.") and "num_batches" not in key]
    assert all(torch.equal(first[key], states[0][key]) for key in backbone)  # statistics included
    assert not any(torch.equal(first[key], states[0][key]) for key in first if key == "head.2.weight")
    assert sum(not torch.equal(states[0][key], states[1][key]) for key in backbone) == len(backbone)


def test_curves_can_be_looked_at(tiny_run: Path):
    picture = cv2.imread(str(tiny_run / "reports/figures/training_curves.png"))
    height, width = picture.shape[:2]
    assert width > 3 * height
    for panel in range(3):
        assert picture[:, panel * width // 3 : (panel + 1) * width // 3].std() > 10


def test_a_run_is_not_overwritten(tiny_run: Path, tiny_data: Path, tiny_config: TrainConfig):
    before = (tiny_run / "models/best_model.pt").read_bytes()
    with pytest.raises(ConfigError) as caught:
        run_training(tiny_config, tiny_data, tiny_run)
    assert str(caught.value) == (
        f"{tiny_run}: already holds a training run. Go on with --resume, or give another --out."
    )
    assert (tiny_run / "models/best_model.pt").read_bytes() == before


def test_early_stopping_ends_the_run_and_says_why(tiny_data: Path, tmp_path: Path, caplog):
    config = load_config(
        overrides=[
            *TINY_SETTINGS,
            "training.epochs=12",
            "training.early_stopping.patience=2",
            "training.freeze_backbone_epochs=12",
            "optimizer.base_learning_rate=1e-9",
            "scheduler.minimum_learning_rate=0",
        ]
    )
    with caplog.at_level(logging.INFO):
        result = run_training(config, tiny_data, tmp_path)
    assert result.epochs < 12
    assert result.epochs - result.best_epoch == 2
    assert result.reasons[0].startswith("patience: validation F1 has not risen above")
    assert f"stopping: {result.reasons[0]}" in caplog.messages
    assert json.loads(result.folder.history.read_text())["stopping"] == list(result.reasons)


def test_what_was_loaded_and_counted_is_printed(tiny_data: Path, tiny_config, tmp_path: Path, caplog):
    with caplog.at_level(logging.INFO):
        run_training(tiny_config, tiny_data, tmp_path)
    text = "\n".join(caplog.messages)
    assert (
        "backbone starts from random weights (model.weights=none): nothing was learned from ImageNet" in text
    )
    assert "parameters: " in text
    assert "epoch 4/4: train loss " in text


@pytest.mark.parametrize(
    "setting", ["loss.name=focal", "augmentation.mixup_alpha=0.4", "loss.class_weights=none"]
)
def test_the_alternatives_train(tiny_data: Path, tmp_path: Path, setting: str, tiny_run: Path):
    config = load_config(overrides=[*TINY_SETTINGS, "training.epochs=2", setting])
    result = run_training(config, tiny_data, tmp_path)
    losses = json.loads(result.folder.history.read_text())["history"]["train_loss"]
    usual = json.loads((tiny_run / "models/training_history.json").read_text())["history"]["train_loss"]
    # equal classes have equal weights, so leaving the weights out changes nothing
    assert (losses == pytest.approx(usual[:2])) == (setting == "loss.class_weights=none")


def test_no_imagenet_weights_no_training(tiny_data: Path, tmp_path: Path):
    config = load_config(overrides=[*TINY_SETTINGS, "model.weights=imagenet"])
    with pytest.raises(WeightsUnavailable, match="test_efficientnet"):
        run_training(config, tiny_data, tmp_path)
    assert not RunFolder(tmp_path).latest_checkpoint.exists()


def test_a_class_without_training_films_is_refused(tmp_path: Path, tiny_config: TrainConfig):
    data = write_folder(tmp_path / "data", {"train": 3, "val": 2})
    for film in (data / "train" / "Pneumonia").iterdir():
        film.unlink()
    (data / "train" / "Pneumonia").rmdir()
    with pytest.raises(EmptyDataset, match="training split has no Pneumonia film; every class needs some"):
        run_training(tiny_config, data, tmp_path / "out")


def test_a_loss_that_is_no_number_stops_the_run_with_advice(tiny_data: Path, tmp_path: Path):
    config = load_config(
        overrides=[*TINY_SETTINGS, "optimizer.base_learning_rate=1e30", "scheduler.warmup_epochs=0"]
    )
    with pytest.raises(
        TrainingDiverged, match=r"epoch \d, step \d: the training loss is (nan|inf).*base_learning_rate"
    ):
        run_training(config, tiny_data, tmp_path)


def test_one_step_into_the_void_keeps_no_model(tiny_data: Path, tmp_path: Path):
    """The loss of the only step is that of the first weights: validation and the weights tell."""
    settings = ("optimizer.base_learning_rate=1e30", "training.epochs=1", "training.batch_size=64")
    more = ("scheduler.warmup_epochs=0", "training.freeze_backbone_epochs=0")
    config = load_config(overrides=[*TINY_SETTINGS, *settings, *more])
    with pytest.raises(
        TrainingDiverged, match=r"epoch 1: the validation loss is nan.* Epochs before it are kept, this"
    ):
        run_training(config, tiny_data, tmp_path)
    assert list((tmp_path / "models").glob("*.pt")) == []


def spoil(network: torch.nn.Module, *_: object) -> torch.nn.Module:
    next(network.parameters()).data.fill_(float("inf"))
    return network


def test_a_refit_that_is_not_finite_is_not_kept(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hilum.training.run.fit_kind", spoil)
    settings = (*TINY_SETTINGS, "training.epochs=1", "loss.name=two_step", "loss.refit_kind=true")
    with pytest.raises(
        TrainingDiverged,
        match=r"^the refit: the validation loss is nan; .*\(first: .*\)\. The best epoch's"
        r" model is kept, this one is not\. .*base_learning_rate, or with loss\.refit_kind=false\.$",
    ):
        run_training(load_config(overrides=settings), tiny_data, tmp_path)
    folder = RunFolder(tmp_path)
    best, latest = (read_checkpoint(path) for path in (folder.best_model, folder.latest_checkpoint))
    assert "refitted" not in best["provenance"]
    assert state_sha256(best["model_state_dict"]) == state_sha256(latest["model_state_dict"])


def test_an_average_that_is_not_finite_is_not_kept(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    finish = WeightAverage.finish
    monkeypatch.setattr(WeightAverage, "finish", lambda *args, **named: spoil(finish(*args, **named)))
    settings = ("training.epochs=2", "training.stochastic_weight_averaging=true")
    more = ("training.averaging_start_share=0.5",)
    with pytest.raises(
        TrainingDiverged, match=r"^the average of the weights: .* model is kept, .*_weight_averaging=false\.$"
    ):
        run_training(load_config(overrides=[*TINY_SETTINGS, *settings, *more]), tiny_data, tmp_path)
    best = read_checkpoint(RunFolder(tmp_path).best_model)
    assert "averaged" not in best["provenance"]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in best["model_state_dict"].values())


def test_a_disk_that_is_full_from_the_start_claims_no_earlier_checkpoint(
    tiny_data: Path, tiny_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write(checkpoint: dict, path: Path) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        write_checkpoint(checkpoint, path)

    monkeypatch.setattr("hilum.training.run.write_checkpoint", write)
    try:
        with pytest.raises(CheckpointError) as refusal:
            run_training(tiny_config, tiny_data, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    file = tmp_path / "models" / "best_model.pt"
    assert str(refusal.value) == (
        f"{file}: cannot be written (File too large); there is no earlier one. Free disk space and start"
        " again with --resume."
    )
    assert [path.name for path in file.parent.iterdir()] == [".lock"]


def test_a_full_disk_leaves_the_last_epoch_whole(tiny_data: Path, tiny_config: TrainConfig, tmp_path: Path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(history: dict) -> None:
        if len(history["val_f1"]) == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    try:
        with pytest.raises(CheckpointError, match=r"\(File too large\); the previous checkpoint is intact"):
            run_training(tiny_config, tiny_data, tmp_path, on_epoch=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_checkpoint(tmp_path / "models" / "latest_checkpoint.pt")["epoch"] == 2
    assert not list(tmp_path.rglob("*.tmp"))


def test_weights_that_are_not_available_are_said_before_a_film_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = load_config(overrides=[*TINY_SETTINGS, "model.weights=imagenet"])
    monkeypatch.setattr("hilum.training.run.open_dataset", None)
    with pytest.raises(WeightsUnavailable, match="test_efficientnet"):
        run_training(config, tmp_path / "nowhere", tmp_path / "out")
