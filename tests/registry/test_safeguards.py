import json
from datetime import date
from pathlib import Path

import pytest

from hilum.domain.errors import CheckpointError
from hilum.registry.bundle import read_bundle
from hilum.registry.release import write_bundle
from hilum.registry.safeguards import SAFEGUARDS_FILE, read_safeguards

RECORD = {
    "weights_sha256": "a" * 64,
    "input_gate": {"val_let_through": 0.99},
    "explanations": {"findings": {}},
}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    (tmp_path / SAFEGUARDS_FILE).write_text(json.dumps(RECORD))
    return tmp_path


def test_parts_are_read_from_the_folder_or_the_file(record: Path):
    expected = {"input_gate": {"val_let_through": 0.99}, "explanations": {"findings": {}}}
    assert read_safeguards(record, weights_sha256="a" * 64) == expected
    assert read_safeguards(record / SAFEGUARDS_FILE, weights_sha256="a" * 64) == expected


def test_record_of_another_model_is_refused(record: Path):
    with pytest.raises(CheckpointError, match=r"weights aaaaaaaaaaaa, this one has bbbbbbbbbbbb"):
        read_safeguards(record, weights_sha256="b" * 64)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weights_sha256": "x"}'])
def test_what_is_no_record_is_refused(record: Path, content: str):
    (record / SAFEGUARDS_FILE).write_text(content)
    with pytest.raises(CheckpointError, match="is no record of safeguards"):
        read_safeguards(record, weights_sha256="x")
    with pytest.raises(CheckpointError, match="is no record of safeguards"):
        read_safeguards(record / "missing", weights_sha256="x")


@pytest.mark.usefixtures("without_graph")
def test_bundle_carries_the_parts(tiny_run: Path, tiny_evaluation: Path, tiny_bundle: Path, tmp_path: Path):
    weights = read_bundle(tiny_bundle).facts["weights_sha256"]
    (tmp_path / SAFEGUARDS_FILE).write_text(json.dumps({**RECORD, "weights_sha256": weights}))
    checkpoint = tiny_run / "models" / "best_model.pt"
    released = {"version": "0.2.0", "released": date(2026, 5, 4), "safeguards": tmp_path}
    facts = write_bundle(checkpoint, [tiny_evaluation], tmp_path / "registry", **released).facts
    assert facts["input_gate"] == {"val_let_through": 0.99}
    assert facts["explanations"] == {"findings": {}}
    assert "input_gate" not in read_bundle(tiny_bundle).facts
