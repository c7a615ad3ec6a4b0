"""An audit's blockers travel from its record to bundle and card, and only with the model of the same data."""

import json
from datetime import date
from pathlib import Path

import pytest

from hilum.domain.errors import CheckpointError
from hilum.registry.audited import AUDIT_FILE, read_audit
from hilum.registry.bundle import read_bundle
from hilum.registry.release import write_bundle

DAY = date(2026, 5, 4)


def finding(code: str, severity: str, **figures: object) -> dict[str, object]:
    return {
        "code": code,
        "severity": severity,
        "sentence": f"{code}.",
        "figures": figures,
        "films": ["p1.png"],
    }


def write_audit(folder: Path, data_sha256: str) -> Path:
    findings = [
        finding("letters-tied-to-class", "blocker"),
        finding("patient-across-splits", "warning", accepted="twins"),
        finding("class-imbalance", "warning"),
    ]
    record = {"data_sha256": data_sha256, "hilum_version": "0.2.0", "films": 60, "findings": findings}
    folder.mkdir(parents=True)
    (folder / AUDIT_FILE).write_text(json.dumps(record))
    return folder


def test_blockers_are_read_and_no_name_of_a_film(tmp_path: Path):
    folder = write_audit(tmp_path / "audit", "aa" * 32)
    read = read_audit(folder, data_sha256="aa" * 32)
    assert read["blockers"] == [
        {"code": "letters-tied-to-class", "sentence": "letters-tied-to-class.", "accepted": None},
        {"code": "patient-across-splits", "sentence": "patient-across-splits.", "accepted": "twins"},
    ]
    assert read_audit(folder / AUDIT_FILE, data_sha256="aa" * 32) == read
    assert "p1.png" not in json.dumps(read)


def test_an_audit_of_other_data_and_what_is_none_are_refused(tmp_path: Path):
    folder = write_audit(tmp_path / "audit", "aa" * 32)
    with pytest.raises(
        CheckpointError, match=r"is of other data \(aaaaaaaaaaaa; the model learned from bbbbbbb"
    ):
        read_audit(folder, data_sha256="bb" * 32)
    with pytest.raises(CheckpointError, match=r"is no record of an audit. Run `hilum audit` first"):
        read_audit(tmp_path, data_sha256="bb" * 32)
    for content in (
        "",
        "[]",
        "{}",
        '{"data_sha256": "x", "hilum_version": "0", "films": 1, "findings": [1]}',
    ):
        (folder / AUDIT_FILE).write_text(content)
        with pytest.raises(CheckpointError, match="is no record of an audit"):
            read_audit(folder, data_sha256="x")


@pytest.mark.usefixtures("without_graph")
def test_a_bundle_carries_them_and_keeps_its_own(tiny_run: Path, tiny_evaluation: Path, tmp_path: Path):
    checkpoint, out = tiny_run / "models" / "best_model.pt", tmp_path / "registry"
    data = write_bundle(checkpoint, [tiny_evaluation], tmp_path / "a", version="0.1.0", released=DAY)
    assert data.facts["audit"] is None
    audit = write_audit(tmp_path / "audit", data.facts["provenance"]["data"])
    made = write_bundle(checkpoint, [tiny_evaluation], out, version="0.1.0", released=DAY, audit=audit)
    assert [row["accepted"] for row in made.facts["audit"]["blockers"]] == [None, "twins"]
    assert "**Accepted blocker** `patient-across-splits`" in (made.folder / "card.md").read_text()
    again = write_bundle(made.folder, [], out, version="0.1.1", released=DAY)
    assert read_bundle(again.folder).facts["audit"] == made.facts["audit"]
