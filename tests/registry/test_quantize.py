from pathlib import Path

import numpy as np
import pytest

from hilum import progress
from hilum.domain.errors import EmptyDataset
from hilum.domain.findings import CLASS_NAMES
from hilum.registry import quantize
from hilum.registry.bundle import GRAPH_FILE, INT8_GRAPH_FILE
from hilum.registry.graph_files import draw_selftest, run_graph, write_graph
from hilum.registry.scorers import load_model


@pytest.fixture
def folder(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(quantize, "QUANTIZATION_FILMS", 4)
    monkeypatch.setattr(quantize, "BOOTSTRAP_RESAMPLES", 50)
    scorer, _ = load_model(tiny_run / "models" / "best_model.pt")
    write_graph(scorer, tmp_path)
    return tmp_path


def test_eight_bits_are_kept_where_they_rank_as_well(folder: Path, tiny_run: Path, tiny_data: Path, capfd):
    scorer, _ = load_model(tiny_run / "models" / "best_model.pt")
    verdict = quantize.quantize_graph(scorer, tiny_data, folder)
    assert verdict.kept
    assert verdict.reason is None
    assert verdict.films == 8  # twelve for validation less the four that gave the ranges
    assert verdict.bytes == (folder / INT8_GRAPH_FILE).stat().st_size
    assert set(verdict.classes) == set(CLASS_NAMES)
    films = draw_selftest(64)
    full, small = (run_graph(folder / name, films) for name in (GRAPH_FILE, INT8_GRAPH_FILE))
    assert 0 < np.abs(full["logits"] - small["logits"]).max() < 1.0
    assert full["cam"].shape == small["cam"].shape
    assert "Finding optimal threshold" not in capfd.readouterr().out


def test_making_the_8_bit_graph_says_how_far_it_is(
    folder: Path, tiny_run: Path, tiny_data: Path, capsys, monkeypatch
):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 1e-9)
    scorer, _ = load_model(tiny_run / "models" / "best_model.pt")
    quantize.quantize_graph(scorer, tiny_data, folder)
    assert "8-bit graph: 100% 20/20" in capsys.readouterr().err  # 4 for the ranges, 8 with either graph


def test_eight_bits_that_rank_worse_are_dropped(folder: Path, tiny_run: Path, tiny_data: Path, monkeypatch):
    monkeypatch.setattr(quantize, "_overlap", lambda *_: False)
    scorer, _ = load_model(tiny_run / "models" / "best_model.pt")
    verdict = quantize.quantize_graph(scorer, tiny_data, folder)
    assert not verdict.kept
    assert verdict.reason is not None
    assert "falls below its interval" in verdict.reason
    assert not (folder / INT8_GRAPH_FILE).exists()


def test_intervals_overlap_when_the_small_graph_reaches_the_other():
    full = {"value": 0.9, "low": 0.85, "high": 0.95}
    assert quantize._overlap(full, {"value": 0.84, "low": 0.8, "high": 0.86})
    assert not quantize._overlap(full, {"value": 0.8, "low": 0.7, "high": 0.84})
    assert not quantize._overlap(full, {"value": None, "low": None, "high": None})


def test_too_few_films_say_what_to_do(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    scorer, _ = load_model(tiny_run / "models" / "best_model.pt")
    with pytest.raises(EmptyDataset, match="Register without --int8"):
        quantize.quantize_graph(scorer, tiny_data, tmp_path)
