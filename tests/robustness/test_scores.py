from pathlib import Path

import numpy as np
import pytest

from hilum.robustness.scores import ScoreStore

LOGITS = np.arange(6, dtype=np.float32).reshape(2, 3)


def refuse() -> np.ndarray:
    raise AssertionError("computed again")


def test_scores_are_computed_once(tmp_path: Path):
    store = ScoreStore(tmp_path, ["model", 1])
    assert not store.has("noise-1")
    assert np.array_equal(store.get("noise-1", lambda: LOGITS), LOGITS)
    assert np.array_equal(ScoreStore(tmp_path, ["model", 1]).get("noise-1", refuse), LOGITS)


def test_scores_of_another_model_are_not_taken(tmp_path: Path):
    ScoreStore(tmp_path, ["model", 1]).get("noise-1", lambda: LOGITS)
    assert not ScoreStore(tmp_path, ["model", 2]).has("noise-1")


def test_an_interrupted_computation_leaves_no_scores(tmp_path: Path):
    store = ScoreStore(tmp_path, [])

    def interrupt() -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get("noise-1", interrupt)
    assert not store.has("noise-1")
    assert np.array_equal(store.get("noise-1", lambda: LOGITS), LOGITS)


def test_a_finished_run_leaves_nothing(tmp_path: Path):
    store, other = ScoreStore(tmp_path / "scores", [1]), ScoreStore(tmp_path / "scores", [2])
    store.get("noise-1", lambda: LOGITS)
    store.remove()
    store.remove()
    assert not store.folder.exists()
    assert other.folder.exists()
    other.remove()
    assert not (tmp_path / "scores").exists()
