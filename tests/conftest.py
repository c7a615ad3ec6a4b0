"""Fixtures shared by all tests: a clean environment and a tiny data set that trains in a second."""

import os
import signal
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum.config.load import load_config
from hilum.config.schema import TrainConfig
from hilum.domain.findings import CLASS_NAMES

# Threads that wait for each other spin: on a busy machine two of them take 50 times as long as one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts jobs in the background with SIGINT ignored, and what tests interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TINY_SIDE = 64
TINY_SETTINGS = (
    "model.architecture=test_efficientnet",
    "model.weights=none",
    "preprocessing.image_size=64",
    "training.batch_size=8",
    "training.epochs=4",
    "training.freeze_backbone_epochs=1",
    "scheduler.warmup_epochs=1",
    "scheduler.restart_epochs=2",
    "reproducibility.threads=1",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests first: those are the long ones, and one at the end leaves other cores idle."""
    size = Counter(item.path for item in items)
    items.sort(key=lambda item: size[item.path])


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("HILUM_DEVICE", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path_factory.getbasetemp() / "pixels"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def draw_blob(seed: int, label: str, side: int = 120) -> np.ndarray:
    """A noisy grey film whose bright quarter tells the class: top, bottom or none."""
    rng = np.random.default_rng(seed)
    film = rng.integers(40, 90, (side, side), dtype=np.uint8)
    half = side // 2
    if label == "Pneumonia":
        film[half:] += np.uint8(80)
    elif label == "Tuberculosis":
        film[:half] += np.uint8(80)
    return film


def write_folder(root: Path, counts: dict[str, int]) -> Path:
    seed = 0
    for split, count in counts.items():
        for label in CLASS_NAMES:
            folder = root / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                seed += 1
                cv2.imwrite(str(folder / f"film_{index:03d}.png"), draw_blob(seed, label))
    return root


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("tiny"), {"train": 8, "val": 4, "test": 4})


@pytest.fixture
def tiny_config() -> TrainConfig:
    return load_config(overrides=TINY_SETTINGS)


@pytest.fixture(scope="session")
def tiny_run(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished training on `tiny_data` with TINY_SETTINGS."""
    from hilum.training.run import run_training

    out = tmp_path_factory.mktemp("tiny_run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(tmp_path_factory.getbasetemp() / "pixels"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        run_training(load_config(overrides=TINY_SETTINGS), tiny_data, out)
    return out


@pytest.fixture(scope="session")
def tiny_evaluation(tiny_run: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `hilum evaluate` made of `tiny_run` on the test split of `tiny_data`."""
    from hilum.evaluation.run import run_evaluation
    from hilum.explain.attention_summary import summarize_attention
    from hilum.registry.scorers import load_model

    out = tmp_path_factory.mktemp("reports") / "evaluation-test"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(tmp_path_factory.getbasetemp() / "pixels"))
        scorer, facts = load_model(tiny_run / "models" / "best_model.pt")
        run_evaluation(scorer, facts["name"], tiny_data, out, split="test", attention=summarize_attention)
    return out


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Path, tiny_evaluation: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released model made of `tiny_run` and `tiny_evaluation`."""
    from datetime import date

    from hilum.registry.release import write_bundle

    checkpoint = tiny_run / "models" / "best_model.pt"
    out = tmp_path_factory.mktemp("registry")
    return write_bundle(checkpoint, [tiny_evaluation], out, version="0.1.0", released=date(2026, 5, 4)).folder


@pytest.fixture
def without_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases write no graph: exporting one takes seconds and has its own tests."""
    from hilum.registry import release

    monkeypatch.setattr(release, "_write_graphs", lambda *_: {"int8": None})
