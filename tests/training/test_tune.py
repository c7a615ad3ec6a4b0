import json
import subprocess
import sys
from pathlib import Path

import cv2
import optuna
import pytest
from optuna.trial import TrialState

from hilum.config.load import load_config
from hilum.config.schema import TrainConfig
from hilum.domain.errors import ConfigError, TrainingDiverged
from hilum.training import tune
from hilum.training.run import run_training
from hilum.training.tune import STUDY_NAME, run_search
from tests.conftest import TINY_SETTINGS

SETTINGS = (*TINY_SETTINGS, "training.epochs=2", "search.unfreeze_epoch=[0, 1]")


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def config() -> TrainConfig:
    return load_config(overrides=SETTINGS)


def load_study(storage: str) -> optuna.Study:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    backend = storage if "://" in storage else JournalStorage(JournalFileBackend(storage))
    return optuna.load_study(study_name=STUDY_NAME, storage=backend)


def test_trials_search_table_11_and_are_resumed_from_the_journal(config, tiny_data: Path, tmp_path: Path):
    first = run_search(config, tiny_data, tmp_path, trials=2)
    assert (first.completed, first.pruned, first.importance_plot) == (2, 0, None)
    assert first.to_facts()["importance_plot"] == "needs more trials"
    second = run_search(config, tiny_data, tmp_path, trials=2)
    assert second.storage == str(tmp_path / "study.log")
    assert second.completed == 4
    trials = load_study(second.storage).trials
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    for trial in trials:
        assert trial.params["learning_rate"] in (1e-4, 5e-4, 1e-3, 3e-3)
        assert trial.params["weight_decay"] in (0.001, 0.01, 0.1)
        assert trial.params["dropout"] in (0.2, 0.3, 0.5)
        assert trial.params["unfreeze_epoch"] in (0, 1)
        assert trial.params["label_smoothing"] in (0.0, 0.1, 0.2)
        record = json.loads(
            (tmp_path / f"trials/{trial.number:04d}/models/training_history.json").read_text()
        )
        assert record["best_val_f1"] == trial.value
        assert record["settings"]["optimizer"]["base_learning_rate"] == trial.params["learning_rate"]
        assert record["settings"]["model"]["dropout"] == trial.params["dropout"]
        assert record["settings"]["training"]["freeze_backbone_epochs"] == trial.params["unfreeze_epoch"]
        assert trial.intermediate_values == dict(enumerate(record["history"]["val_f1"], start=1))
    assert second.best_val_f1 == max(trial.value for trial in trials)


def test_the_best_settings_can_be_given_to_set(config: TrainConfig, tiny_data: Path, tmp_path: Path):
    result = run_search(config, tiny_data, tmp_path / "study", trials=1)
    words = str(result.to_facts()["best"]).split(" ")
    assert words[::2] == ["--set"] * 5
    again = run_training(load_config(overrides=[*SETTINGS, *words[1::2]]), tiny_data, tmp_path / "again")
    assert again.best_val_f1 == result.best_val_f1


def test_equal_seeds_start_with_equal_trials(config: TrainConfig, tiny_data: Path, tmp_path: Path):
    params = []
    for name in ("a", "b"):
        run_search(config, tiny_data, tmp_path / name, trials=1)
        params.append(load_study(str(tmp_path / name / "study.log")).trials[0].params)
    assert params[0] == params[1]


def test_workers_of_one_storage_share_the_study(config: TrainConfig, tiny_data: Path, tmp_path: Path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    command = [sys.executable, "-m", "hilum", "tune", "--data", str(tiny_data), "--trials", "2", "--json"]
    command += ["--storage", storage]
    for setting in SETTINGS:
        command += ["--set", setting]
    workers = [
        subprocess.Popen(
            [*command, "--out", str(tmp_path / name)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name in ("one", "two")
    ]
    answers = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], answers
    trials = load_study(storage).trials
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    folders = [
        sorted(path.name for path in (tmp_path / name / "trials").iterdir()) for name in ("one", "two")
    ]
    assert [len(names) for names in folders] == [2, 2]
    assert sorted(folders[0] + folders[1]) == ["0000", "0001", "0002", "0003"]
    assert len({tuple(sorted(trial.params.items())) for trial in trials}) > 1
    assert max(json.loads(output)["completed"] for output, _ in answers) == 4
    # a third worker, with the same URL, goes on
    assert run_search(config, tiny_data, tmp_path / "three", trials=1, storage=storage).completed == 5


def test_hopeless_trials_are_pruned_and_the_rest_explained(
    config: TrainConfig, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Outcome:
        def __init__(self, score: float) -> None:
            self.best_val_f1 = score

    def act(trained: TrainConfig, data: Path, out: Path, *, on_epoch, tracking_folder: Path) -> Outcome:
        assert tracking_folder == tmp_path
        hopeless = out.name == "0006"
        score = 0.1 if hopeless else 0.5 + 100 * trained.optimizer.base_learning_rate + int(out.name) / 1000
        for epoch in range(1, 7):
            on_epoch({"val_f1": [score] * epoch})
        assert not hopeless, "it should have been pruned"
        return Outcome(score)

    monkeypatch.setattr(tune, "run_training", act)
    result = run_search(config, tiny_data, tmp_path, trials=8)
    trials = load_study(result.storage).trials
    assert trials[6].state == TrialState.PRUNED
    assert len(trials[6].intermediate_values) == 3  # the epochs of grace
    states = [trial.state for trial in trials]
    assert result.pruned == states.count(TrialState.PRUNED)
    assert result.completed == states.count(TrialState.COMPLETE) == 8 - result.pruned
    assert result.importance_plot == tmp_path / "importance.png"
    assert cv2.imread(str(result.importance_plot)).std() > 10


@pytest.mark.parametrize(
    "storage", ["sqlite:////no/such/folder/study.db", "nonsense://x", "/no/such/folder/log"]
)
def test_a_storage_that_cannot_be_opened_is_a_config_error(
    config, tiny_data: Path, tmp_path: Path, storage: str
):
    with pytest.raises(
        ConfigError, match=r"study storage '.*': cannot be opened \(.*\)\. Give a database URL"
    ) as caught:
        run_search(config, tiny_data, tmp_path, trials=1, storage=storage)
    assert "\n" not in str(caught.value)


def test_a_worker_that_loses_the_race_for_a_new_database_tries_again(tmp_path: Path, monkeypatch):
    tried: list[str] = []
    opened = tune._try_to_open_study

    def lose_once(storage: str, *, first_seed: int | None):
        tried.append(storage)
        if len(tried) == 1:
            raise ConfigError("table studies already exists")
        return opened(storage, first_seed=first_seed)

    monkeypatch.setattr(tune, "_try_to_open_study", lose_once)
    monkeypatch.setattr(tune, "_OPENING_PAUSE_S", 0.0)
    study = tune._open_study(f"sqlite:///{tmp_path / 'study.db'}", first_seed=1)
    assert study.study_name == tune.STUDY_NAME
    assert len(tried) == 2


def test_trials_stand_in_one_experiment(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    config = load_config(overrides=[*SETTINGS, "training.epochs=1", "tracking.backend=mlflow"])
    run_search(config, tiny_data, tmp_path, trials=2)
    assert [path.name for path in tmp_path.rglob("mlflow.db")] == ["mlflow.db"]
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "hilum"]
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_a_trial_that_diverges_does_not_end_the_search(
    config: TrainConfig, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def diverge(*_: object, **__: object) -> None:
        raise TrainingDiverged("epoch 1: the validation loss is nan.")

    monkeypatch.setattr(tune, "run_training", diverge)
    result = run_search(config, tiny_data, tmp_path, trials=2)
    assert (result.completed, result.best_val_f1) == (0, None)
    assert [trial.state for trial in load_study(result.storage).trials] == [TrialState.FAIL] * 2
