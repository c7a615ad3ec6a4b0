import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from hilum.config.schema import Reproducibility
from hilum.training.determinism import make_deterministic, seed_epoch
from tests.conftest import TINY_SETTINGS


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_an_epoch_seeds_every_generator():
    seed_epoch(42, 3)
    first = draws()
    draws()
    seed_epoch(42, 3)
    assert draws() == first
    for other in ({"epoch": 4}, {"seed": 43}, {"rank": 1}):
        arguments = {"seed": 42, "epoch": 3, "rank": 0} | other
        seed_epoch(arguments["seed"], arguments["epoch"], rank=arguments["rank"])
        assert not set(draws()) & set(first)


def test_settings_of_table_16_are_in_force():
    make_deterministic(Reproducibility(threads=1, seed=7))
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
    assert torch.get_num_threads() == 1
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]


def train(data: Path, out: Path, *, seed: int, hash_seed: str) -> dict:
    command = [sys.executable, "-m", "hilum", "train", "--data", str(data), "--out", str(out), "--json"]
    for setting in (*TINY_SETTINGS, f"reproducibility.seed={seed}", "training.epochs=3"):
        command += ["--set", setting]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "HILUM_CACHE": str(out / "cache")}
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(answer.stdout)


def test_equal_seeds_give_equal_bytes_in_fresh_processes(tiny_data: Path, tmp_path: Path):
    first = train(tiny_data, tmp_path / "a", seed=42, hash_seed="1")
    second = train(tiny_data, tmp_path / "b", seed=42, hash_seed="2")
    other = train(tiny_data, tmp_path / "c", seed=43, hash_seed="1")
    assert first["weights_sha256"] == second["weights_sha256"] != other["weights_sha256"]
    for name in ("best_model.pt", "latest_checkpoint.pt", "training_history.json"):
        files = [(tmp_path / run / "models" / name).read_bytes() for run in "abc"]
        assert files[0] == files[1]
        assert files[0] != files[2]
