"""Killed at any moment and restarted with --resume, a run ends as one that was never interrupted."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hilum.config.load import load_config
from hilum.config.schema import TrainConfig
from hilum.domain.errors import CheckpointError, RunFolderBusy
from hilum.training.run import TrainingResult, run_training
from hilum.training.run_folder import RunFolder
from tests.conftest import TINY_SETTINGS, write_folder

# Crosses the unfreezing (1), a warm restart (3) and the start of averaging (4), with a last batch of 4 films.
SETTINGS = (
    *TINY_SETTINGS,
    "training.epochs=6",
    "training.batch_size=10",
    "training.stochastic_weight_averaging=true",
    "training.averaging_start_share=0.7",
    "augmentation.mixup_alpha=0.3",
    "training.early_stopping.patience=20",
    "training.early_stopping.convergence_detection=false",
)
STEPS = 3 * 6


def config(*more: str) -> TrainConfig:
    return load_config(overrides=[*SETTINGS, *more])


def same_files(first: Path, second: Path) -> None:
    one, two = RunFolder(first), RunFolder(second)
    for path, other in (
        (one.latest_checkpoint, two.latest_checkpoint),  # optimiser, scheduler and averages are in it
        (one.best_model, two.best_model),
        (one.history, two.history),
    ):
        assert path.read_bytes() == other.read_bytes(), path.name


@pytest.fixture(scope="module")
def uninterrupted(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(tmp_path_factory.getbasetemp() / "pixels"))
        return run_training(config(), tiny_data, tmp_path_factory.mktemp("uninterrupted"))


class Interruption(Exception):
    pass


def test_the_reference_run_averages_and_trains_all_epochs(uninterrupted: TrainingResult):
    assert uninterrupted.epochs == 6
    assert uninterrupted.reasons == ()


def test_interrupted_after_every_epoch(tiny_data: Path, tmp_path: Path, uninterrupted: TrainingResult):
    def interrupt(history: dict) -> None:
        raise Interruption

    for epoch in range(6):
        with pytest.raises(Interruption):
            run_training(config(), tiny_data, tmp_path, resume=epoch > 0, on_epoch=interrupt)
    result = run_training(config(), tiny_data, tmp_path, resume=True)
    assert result.weights_sha256 == uninterrupted.weights_sha256
    same_files(tmp_path, uninterrupted.folder.root)


def test_a_finished_run_resumed_stays_as_it_is(
    tiny_data: Path, tmp_path: Path, uninterrupted: TrainingResult
):
    run_training(config(), tiny_data, tmp_path)
    run_training(config(), tiny_data, tmp_path, resume=True)
    same_files(tmp_path, uninterrupted.folder.root)


def test_resume_without_a_run_starts_one(tiny_data: Path, tmp_path: Path, uninterrupted: TrainingResult):
    run_training(config(), tiny_data, tmp_path, resume=True)
    same_files(tmp_path, uninterrupted.folder.root)


# Runs `hilum ARGUMENTS` and kills itself for good at the n-th call of one function.
_DOOMED = """
import os, signal, sys
from pathlib import Path
import torch
from hilum.cli.main import main

target, remaining = sys.argv[1], int(sys.argv[2])
sys.argv = ["hilum", *sys.argv[3:]]

def doomed(function):
    def call(*args, **keywords):
        global remaining
        remaining -= 1
        if remaining == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **keywords)
    return call

if target == "step":
    torch.optim.AdamW.step = doomed(torch.optim.AdamW.step)
elif target == "fsync":
    os.fsync = doomed(os.fsync)
else:
    Path.replace = doomed(Path.replace)
main()
"""


def hilum_train(data: Path, out: Path, *, doom: tuple[str, int] | None = None) -> subprocess.CompletedProcess:
    arguments = ["train", "--data", str(data), "--out", str(out), "--resume"]
    for setting in SETTINGS:
        arguments += ["--set", setting]
    start: Sequence[str] = ["-m", "hilum"] if doom is None else ["-c", _DOOMED, doom[0], str(doom[1])]
    return subprocess.run([sys.executable, *start, *arguments], capture_output=True, text=True, check=False)


def test_killed_inside_epochs_and_inside_checkpoint_writes(
    tiny_data: Path, tmp_path: Path, uninterrupted: TrainingResult
):
    draw = random.Random(20)
    dooms = [
        ("step", draw.randint(1, STEPS // 3)),  # inside one of the first epochs
        ("fsync", draw.randint(1, 4)),  # a checkpoint is written, not yet in its place
        ("step", draw.randint(1, STEPS // 3)),
        ("replace", draw.randint(2, 5)),  # between the best model and the latest checkpoint
    ]
    for doom in dooms:
        answer = hilum_train(tiny_data, tmp_path, doom=doom)
        assert answer.returncode == -signal.SIGKILL, answer.stderr
    answer = hilum_train(tiny_data, tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "resumed after epoch" in answer.stderr
    same_files(tmp_path, uninterrupted.folder.root)


def test_interrupted_by_a_person_it_ends_at_once_and_keeps_what_it_has(
    tiny_data: Path, tmp_path: Path, uninterrupted
):
    arguments = ["train", "--data", str(tiny_data), "--out", str(tmp_path), "--set", "training.epochs=5000"]
    for setting in TINY_SETTINGS:
        arguments += [] if setting.startswith("training.epochs") else ["--set", setting]
    arguments += ["--set", "training.early_stopping.patience=5000"]
    for name in ("convergence", "overfitting", "optimal_point"):
        arguments += ["--set", f"training.early_stopping.{name}_detection=false"]
    command = [sys.executable, "-m", "hilum", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as trainer:
        assert trainer.stderr is not None
        for line in trainer.stderr:
            if line.startswith("epoch 2/5000"):
                break
        # the folder is held: a second trainer is refused
        with pytest.raises(RunFolderBusy, match="another process is training into this folder"):
            run_training(config(), tiny_data, tmp_path, resume=True)
        os.kill(trainer.pid, signal.SIGINT)
        rest = trainer.stderr.read()
        assert trainer.wait(timeout=20) == 130
    assert rest.splitlines()[-1] == "hilum: interrupted; finished work is kept"
    assert "Traceback" not in rest
    assert RunFolder(tmp_path).latest_checkpoint.exists()


def test_other_settings_are_refused_all_at_once(tiny_data: Path, uninterrupted: TrainingResult):
    other = config("training.batch_size=12", "loss.label_smoothing=0", "model.architecture=test_resnet")
    with pytest.raises(CheckpointError) as caught:
        run_training(other, tiny_data, uninterrupted.folder.root, resume=True)
    assert str(caught.value) == (
        f"{uninterrupted.folder.latest_checkpoint}: the run was started with other settings:"
        " loss.label_smoothing was 0.1, is 0.0; model.architecture was 'test_efficientnet', is 'test_resnet';"
        " training.batch_size was 10, is 12. Resume with the same ones, or train into another --out."
    )


def test_settings_that_change_no_weight_may_change(tiny_data: Path, uninterrupted: TrainingResult):
    other = config("tracking.experiment=again", "search.dropout=[0.1]")
    result = run_training(other, tiny_data, uninterrupted.folder.root, resume=True)
    assert result.weights_sha256 == uninterrupted.weights_sha256
    run_training(config(), tiny_data, uninterrupted.folder.root, resume=True)  # as it was


def test_other_films_are_refused(tmp_path: Path, uninterrupted: TrainingResult):
    data = write_folder(tmp_path / "data", {"train": 8, "val": 5})
    with pytest.raises(
        CheckpointError, match=r"started on other films \(data digest \w{12}, now \w{12}\)\. Resume"
    ):
        run_training(config(), data, uninterrupted.folder.root, resume=True)


def test_the_same_films_elsewhere_are_the_same(
    tiny_data: Path, tmp_path: Path, uninterrupted: TrainingResult
):
    (tmp_path / "moved").symlink_to(tiny_data)
    result = run_training(config(), tmp_path / "moved", uninterrupted.folder.root, resume=True)
    assert result.weights_sha256 == uninterrupted.weights_sha256
