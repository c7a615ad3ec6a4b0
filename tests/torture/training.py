"""Group D: a training that is killed anywhere and resumed ends with the bytes of one that never was."""

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hilum.config.load import load_config
from hilum.training.run import run_training
from hilum.training.run_folder import RunFolder
from tests.conftest import TINY_SETTINGS, write_folder

from .trial import Finding, trial

STEP_KILLS, WRITE_KILLS, LINE_KILLS = 40, 14, 6
SEED = 20
STEPS = 18  # of a whole run: 6 epochs of 3
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


@trial(
    "D1",
    f"training killed at {STEP_KILLS} steps, {WRITE_KILLS} calls inside checkpoint writes and"
    f" {LINE_KILLS} ends of epochs (the unfreezing, a warm restart, the start of averaging), then resumed",
    target="checkpoint, best model and history are byte for byte those of an uninterrupted run, every time",
    sabotage="a resumed run forgets the optimiser's state",
)
def kill_training(folder: Path, broken: bool) -> Finding:
    """Kill in a child, resume in another, compare files."""
    os.environ["HILUM_CACHE"] = str(folder / "pixels")
    data = write_folder(folder / "films", {"train": 8, "val": 4})
    whole = folder / "whole"
    _in_child(lambda: _train(data, whole, resume=False))
    dice = random.Random(SEED)
    points = [("step", dice.randint(1, STEPS)) for _ in range(STEP_KILLS)]
    points += [(("fsync", "replace")[number % 2], 1 + number // 2 % 7) for number in range(WRITE_KILLS)]
    points += [("epoch", epoch) for epoch in range(1, LINE_KILLS + 1)]
    if broken:
        points = points[:6]
    killed, alike, worst = 0, 0, ""
    for number, (what, count) in enumerate(points):
        out = folder / f"run{number}"
        ended = _in_child(lambda out=out, what=what, count=count: _train_doomed(data, out, what, count))
        killed += ended == signal.SIGKILL
        _in_child(lambda out=out: _train(data, out, resume=True, forgetful=broken))
        if _same(whole, out):
            alike += 1
        else:
            worst = worst or f"; first other: killed at {what} {count}"
    return Finding(
        len(points),
        alike == len(points) and killed >= len(points) - LINE_KILLS,
        f"{alike} of {len(points)} identical, {killed} of them really killed{worst}",
    )


def _in_child(work: Callable[[], object]) -> int:
    """Run in a fork, where torch is imported already; return the signal that ended it."""
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def _train(data: Path, out: Path, *, resume: bool, forgetful: bool = False, **more: Any) -> None:
    if forgetful:
        import torch

        torch.optim.AdamW.load_state_dict = lambda *_: None  # type: ignore[method-assign]
    run_training(load_config(overrides=list(SETTINGS)), data, out, resume=resume, **more)


def _train_doomed(data: Path, out: Path, what: str, count: int) -> None:
    import torch

    left = count

    def doomed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    if what == "step":
        torch.optim.AdamW.step = doomed(torch.optim.AdamW.step)  # type: ignore[method-assign]
    elif what == "fsync":
        os.fsync = doomed(os.fsync)
    elif what == "replace":
        Path.replace = doomed(Path.replace)  # type: ignore[method-assign]
    more = {"on_epoch": doomed(lambda _: None)} if what == "epoch" else {}
    _train(data, out, resume=True, **more)


def _same(first: Path, second: Path) -> bool:
    one, two = RunFolder(first), RunFolder(second)
    pairs = (
        (one.latest_checkpoint, two.latest_checkpoint),
        (one.best_model, two.best_model),
        (one.history, two.history),
    )
    return all(
        path.is_file() and other.is_file() and path.read_bytes() == other.read_bytes()
        for path, other in pairs
    )


if sys.platform != "linux":
    raise SystemExit("these trials fork")
