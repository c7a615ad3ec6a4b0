import json
import sys
from pathlib import Path

import pytest

from hilum.config.load import load_config
from hilum.config.schema import Tracking
from hilum.domain.errors import ConfigError
from hilum.training.run import run_training
from hilum.training.tracking import make_tracker
from tests.conftest import TINY_SETTINGS


class Interruption(Exception):
    pass


@pytest.fixture
def mlflow_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.chdir(tmp_path)  # mlflow puts its artifact folder where it is started


def test_without_a_tracker_nothing_is_written(tmp_path: Path):
    tracker = make_tracker(Tracking(), tmp_path)
    tracker.log_settings({"a": 1})
    tracker.log_metrics({"val_f1": 0.5}, 1)
    tracker.finish()
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_can_be_read_back(tiny_data: Path, tmp_path: Path):
    from tensorboardX.proto.event_pb2 import Event

    overrides = [
        *TINY_SETTINGS,
        "tracking.backend=tensorboard",
        "tracking.experiment=tiny",
        "training.epochs=2",
    ]
    result = run_training(load_config(overrides=overrides), tiny_data, tmp_path)
    (file,) = (tmp_path / "tensorboard" / "tiny").iterdir()
    content = file.read_bytes()
    scalars, texts, place = {}, "", 0
    while place < len(content):  # TFRecord: length (8), its CRC (4), data, CRC (4)
        length = int.from_bytes(content[place : place + 8], "little")
        event = Event.FromString(content[place + 12 : place + 12 + length])
        place += 16 + length
        for value in event.summary.value:
            if value.HasField("simple_value"):
                scalars[value.tag, event.step] = value.simple_value
            else:
                texts += value.tensor.string_val[0].decode()
    history = json.loads(result.folder.history.read_text())["history"]
    for name, values in history.items():
        assert [scalars[name, 1], scalars[name, 2]] == pytest.approx(values, rel=1e-6)
    assert {step for _, step in scalars} == {1, 2}
    assert {name for name, _ in scalars} >= {"train_loss", "val_loss", "val_f1", "learning_rate"}
    assert "model.architecture: test_efficientnet" in texts


@pytest.mark.usefixtures("mlflow_here")
def test_mlflow_can_be_read_back(tiny_data: Path, tmp_path: Path):
    import mlflow

    overrides = [*TINY_SETTINGS, "tracking.backend=mlflow", "tracking.experiment=tiny", "training.epochs=2"]
    config = load_config(overrides=overrides)

    def interrupt(history: dict) -> None:
        raise Interruption

    with pytest.raises(Interruption):
        run_training(config, tiny_data, tmp_path / "out", on_epoch=interrupt)
    assert mlflow.active_run() is None
    result = run_training(config, tiny_data, tmp_path / "out", resume=True)
    assert mlflow.active_run() is None
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'out' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tiny")
    last, first = client.search_runs([experiment.experiment_id])
    assert [len(client.get_metric_history(run.info.run_id, "val_f1")) for run in (first, last)] == [1, 1]
    (point,) = client.get_metric_history(last.info.run_id, "val_f1")
    assert point.step == 2
    assert max(point.value, first.data.metrics["val_f1"]) == result.best_val_f1
    assert last.data.params["model.architecture"] == "test_efficientnet"
    assert last.data.params["training.batch_size"] == "8"
    assert {run.info.status for run in (first, last)} == {"FINISHED"}


@pytest.mark.usefixtures("mlflow_here")
def test_mlflow_follows_its_own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import mlflow

    uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    mlflow.set_tracking_uri(uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracker = make_tracker(Tracking(backend="mlflow"), tmp_path / "out")
    tracker.log_metrics({"val_f1": 0.25}, 3)
    tracker.finish()
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("hilum").experiment_id])
    assert run.data.metrics == {"val_f1": 0.25}
    assert not (tmp_path / "out").exists()


class FakeWandb:
    """Stands in for the wandb module: same calls, no network."""

    def __init__(self) -> None:
        self.started: dict = {}
        self.settings: dict = {}
        self.points: list = []
        self.is_finished = False

    def init(self, **keywords: object) -> "FakeWandb":
        self.started = keywords
        return self

    @property
    def config(self) -> dict:
        return self.settings

    def log(self, metrics: dict, *, step: int) -> None:
        self.points.append((step, metrics))

    def finish(self) -> None:
        self.is_finished = True


def test_wandb_gets_settings_metrics_and_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    tracker = make_tracker(Tracking(backend="wandb", experiment="tiny"), tmp_path)
    tracker.log_settings({"model.dropout": 0.3})
    tracker.log_metrics({"val_f1": 0.5}, 1)
    tracker.finish()
    assert fake.started == {"project": "tiny", "dir": str(tmp_path)}
    assert fake.settings == {"model.dropout": 0.3}
    assert fake.points == [(1, {"val_f1": 0.5})]
    assert fake.is_finished


@pytest.mark.parametrize(
    ("backend", "module"), [("mlflow", "mlflow"), ("tensorboard", "tensorboardX"), ("wandb", "wandb")]
)
def test_a_missing_library_is_a_config_error(tmp_path: Path, monkeypatch, backend: str, module: str):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError) as caught:
        make_tracker(Tracking(backend=backend), tmp_path)
    assert str(caught.value) == (
        f"tracking.backend is '{backend}' but {module} is not installed;"
        " pip install 'hilum[mlops]', or set tracking.backend=none."
    )
