import json
from datetime import date
from pathlib import Path

import pytest

from hilum.registry.bundle import read_bundle
from tests.cli.conftest import Hilum
from tests.conftest import TINY_SETTINGS

SETTINGS = [item for setting in TINY_SETTINGS for item in ("--set", setting)]
QUICK = [*SETTINGS, "--set", "training.epochs=1"]


def test_train_prints_where_the_model_is(hilum: Hilum, tiny_data: Path, tmp_path: Path):
    answer = hilum("train", "--data", tiny_data, "--out", tmp_path, *QUICK)
    assert answer.code == 0
    facts = dict(line.split(maxsplit=1) for line in answer.out.splitlines())
    assert facts["best_model"] == str(tmp_path / "models/best_model.pt")
    assert Path(facts["curves"]).is_file()
    assert len(facts["weights_sha256"]) == 64


def test_train_prints_json_and_reads_yaml(hilum: Hilum, tiny_data: Path, tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text("training:\n  epochs: 7\nreproducibility:\n  seed: 5\n")
    arguments = [
        "train",
        "--data",
        tiny_data,
        "--out",
        tmp_path / "run",
        "--config",
        config,
        "--json",
        *QUICK,
    ]
    facts = json.loads(hilum(*arguments).out)
    assert set(facts) == {
        "best_model", "best_epoch", "best_val_f1", "epochs", "stopping", "weights_sha256", "curves",
    }  # fmt: skip
    assert facts["epochs"] == 1  # --set is stronger than the file
    record = json.loads((tmp_path / "run/models/training_history.json").read_text())
    assert record["settings"]["reproducibility"]["seed"] == 5
    assert record["weights_sha256"] == facts["weights_sha256"]
    again = hilum(*arguments)
    assert again.code == 2
    assert "already holds a training run. Go on with --resume" in again.err
    assert json.loads(hilum(*arguments, "--resume").out) == facts


def test_tune_prints_settings_for_set(hilum: Hilum, tiny_data: Path, tmp_path: Path):
    answer = hilum("tune", "--data", tiny_data, "--out", tmp_path, "--trials", "1", "--json", *QUICK)
    assert answer.code == 0
    facts = json.loads(answer.out)
    assert (facts["completed"], facts["pruned"]) == (1, 0)
    assert facts["storage"] == str(tmp_path / "study.log")
    assert "--set optimizer.base_learning_rate=" in facts["best"]


def test_evaluate_writes_and_prints_its_report(hilum: Hilum, tiny_data: Path, tiny_run: Path, tmp_path: Path):
    arguments = ["evaluate", "--data", tiny_data, "--model", tiny_run / "models/best_model.pt"]
    answer = hilum(*arguments, "--out", tmp_path / "text")
    assert answer.code == 0
    assert answer.out.splitlines()[-1] == f"report: {tmp_path / 'text' / 'evaluation.html'}"
    assert (tmp_path / "text/evaluation.html").stat().st_size > 10_000
    answer = hilum(*arguments, "--out", tmp_path / "json", "--split", "val", "--json")
    report = json.loads(answer.out)
    assert report == json.loads((tmp_path / "json/evaluation.json").read_text())
    assert report["discrimination"]["films"] == 12


def test_evaluate_goes_to_reports_by_default(
    hilum: Hilum, tiny_data, tiny_bundle, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    answer = hilum("evaluate", "--data", tiny_data, "--model", tiny_bundle)
    assert answer.code == 0
    assert (tmp_path / "reports/evaluation-test/evaluation.json").is_file()
    assert (tmp_path / "reports/evaluation-test/predictions.parquet").is_file()


@pytest.fixture
def second_model(tiny_run: Path, tmp_path: Path) -> Path:
    """Another checkpoint of the run's settings: its last layer shifted, trained on other films."""
    import torch

    checkpoint = torch.load(tiny_run / "models/best_model.pt", weights_only=True)
    name = [key for key in checkpoint["model_state_dict"] if key.endswith("bias")][-1]
    checkpoint["model_state_dict"][name] += torch.tensor([0.5, 0.0, -0.5])
    checkpoint["provenance"]["data"] = "0" * 64
    torch.save(checkpoint, tmp_path / "second.pt")
    return tmp_path / "second.pt"


def test_several_models_are_measured_and_asked_as_one(
    hilum: Hilum, tiny_data: Path, tiny_run: Path, second_model: Path, tmp_path: Path
):
    first = tiny_run / "models/best_model.pt"
    both = ["--model", first, "--model", second_model]
    answer = hilum("evaluate", "--data", tiny_data, *both, "--out", tmp_path / "both", "--json")
    assert answer.code == 0
    report = json.loads(answer.out)
    assert report["model"]["name"] == "ensemble of 2: best_model.pt, second.pt"
    assert list(report["model"]["members"]) == [str(first), str(second_model)]
    assert "trained on different data sets" in answer.err
    film = tiny_data / "test/Normal/film_000.png"
    found = {}
    for name, models in {"first": both[:2], "second": both[2:], "both": both}.items():
        answer = hilum("predict", film, "--json", "--no-gate", *models)
        found[name] = json.loads(answer.out)["probabilities"]
    for finding, value in found["both"].items():
        assert value == pytest.approx((found["first"][finding] + found["second"][finding]) / 2, abs=2e-5)
    assert "best_model.pt, second.pt is an ensemble: its probabilities are not calibrated" in answer.err
    refused = hilum("predict", film, *both, "--site", tmp_path)
    assert refused.code == 2
    assert "a site profile belongs to one model" in refused.err
    twice = hilum("predict", film, "--model", first, "--model", first)
    assert "the same --model is named twice" in twice.err


def test_register_prints_the_bundle(hilum: Hilum, tiny_run: Path, tiny_evaluation: Path, tmp_path: Path):
    arguments = ["register", "--model", tiny_run / "models/best_model.pt", "--evaluation", tiny_evaluation]
    answer = hilum(*arguments, "--out", tmp_path, "--version", "2.0.1")
    assert answer.code == 0
    folder = Path(answer.out.strip())
    assert folder == tmp_path / f"test_efficientnet_v2.0.1_{date.today():%Y%m%d}"
    assert read_bundle(folder).facts["version"] == "2.0.1"
    again = hilum(*arguments, "--out", tmp_path, "--version", "2.0.1")
    assert again.code == 1
    assert again.err.strip().endswith("exists; a release is never overwritten. Raise the version.")
