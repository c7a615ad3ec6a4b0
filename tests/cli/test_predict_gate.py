import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum.inference import graphs
from hilum.inference.gate import InputGate, Refusal
from tests.cli.conftest import Hilum

REFUSAL = Refusal("cropped", "It is cut.", "Give all of it.", 0.9, 0.5)


class CutGate:
    """Refuses what is white at the top left."""

    def judge_pixels(self, pixels: np.ndarray) -> Refusal | None:
        return REFUSAL if pixels[0, 0] == 255 else None

    def judge_embedding(self, embedding: np.ndarray) -> None:
        assert embedding.ndim == 1


@pytest.fixture
def films(tiny_data: Path, tmp_path: Path) -> list[Path]:
    """A film that passes and one that does not."""
    cut = tmp_path / "cut.png"
    cv2.imwrite(str(cut), np.full((120, 120), 255, np.uint8))
    return [next(iter(sorted((tiny_data / "test").rglob("*.png")))), cut]


@pytest.fixture(autouse=True)
def model_with_a_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = graphs.read_graph

    def with_gate(*which: Path | None) -> graphs.ServedGraph:
        model = kept(*which)
        return replace(model, facts={**model.facts, "input_gate": {"version": 1}})

    monkeypatch.setattr(graphs, "read_graph", with_gate)
    monkeypatch.setattr(InputGate, "from_record", lambda _: CutGate())


def test_a_refused_film_sets_exit_code_1_and_names_the_code(hilum: Hilum, films, tiny_bundle: Path):
    answer = hilum("predict", *films, "--json", "--model", tiny_bundle)
    assert answer.code == 1
    passed, refused = (json.loads(line) for line in answer.out.splitlines())
    assert (passed["refusal"], passed["gate_overruled"], passed["reason"]) == (None, False, "")
    assert (refused["refusal"], refused["gate_overruled"]) == ("cropped", False)
    assert refused["reason"] == "cropped: It is cut. Give all of it."
    assert refused["probabilities"] is None
    assert "carries no input gate" not in answer.err
    text = hilum("predict", films[1], "--model", tiny_bundle)
    assert text.out == f"{films[1]}: not classified. cropped: It is cut. Give all of it.\n"


def test_no_gate_answers_with_a_note(hilum: Hilum, films, tiny_bundle: Path):
    answer = hilum("predict", *films, "--no-gate", "--json", "--model", tiny_bundle)
    assert answer.code == 0
    passed, overruled = (json.loads(line) for line in answer.out.splitlines())
    assert (passed["refusal"], passed["gate_overruled"]) == (None, False)
    assert (overruled["refusal"], overruled["gate_overruled"]) == ("cropped", True)
    assert sum(overruled["probabilities"].values()) == pytest.approx(1.0)
    text = hilum("predict", films[1], "--no-gate", "--model", tiny_bundle)
    assert "  the input gate was overruled. cropped: It is cut. Give all of it." in text.out.splitlines()


def test_csv_has_the_code_in_its_column(hilum: Hilum, films, tiny_bundle: Path):
    answer = hilum("predict", *films, "--csv", "--model", tiny_bundle)
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert [row["refusal"] for row in rows] == ["", "cropped"]
    assert rows[1]["Normal"] == ""


def test_a_model_without_a_gate_says_so(hilum: Hilum, films, tiny_run: Path, monkeypatch):
    monkeypatch.undo()
    answer = hilum("predict", films[1], "--model", tiny_run / "models/best_model.pt")
    assert "hilum: this model carries no input gate" in answer.err.splitlines()
    assert answer.code == 0
