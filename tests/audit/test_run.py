import json
import re
import shutil
from pathlib import Path

import pytest

from hilum.audit.outcome import Audit, to_plain
from hilum.audit.page import FILMS_SHOWN, record_tables
from hilum.audit.record import Severity
from hilum.audit.report import render_text
from hilum.audit.run import run_audit
from hilum.data.manifest import read_manifest
from hilum.data.phantom.files import encode_png
from hilum.data.phantom.film import draw_film
from hilum.domain.findings import CLASS_NAMES
from tests.audit.make_films import CONFIG


@pytest.fixture(scope="module")
def audit(faulty_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    out = tmp_path_factory.mktemp("audited")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(tmp_path_factory.getbasetemp() / "pixels"))
        return run_audit(faulty_folder, out, config=CONFIG, deep=False)


def test_three_whole_files_are_written(audit: Audit):
    assert sorted(path.name for path in audit.folder.iterdir()) == [
        "audit.html",
        "audit.json",
        "manifest.parquet",
    ]
    assert len(read_manifest(audit.folder / "manifest.parquet")) == audit.inventory.films


def test_the_record_holds_tables_findings_and_time(audit: Audit):
    record = json.loads((audit.folder / "audit.json").read_text())
    assert record["films"] == audit.inventory.films == 60 + 18 + 2 + 2 + 4 + 2 + 3 + 2 + 2
    assert [finding["severity"] for finding in record["findings"]] == sorted(
        (finding["severity"] for finding in record["findings"]), key=[*Severity].index
    )
    assert record["counts"]["blocker"] == 4
    assert record["inventory"]["excluded"] == {"unreadable": 3, "undersized": 2, "extreme_aspect": 2}
    assert set(record["seconds_of"]) == {
        "reading",
        "measuring",
        "counting",
        "quality",
        "duplicates",
        "leakage",
    }
    assert record["films_per_second"] == pytest.approx(record["films"] / record["seconds"])
    assert not [finding for finding in record["findings"] if finding["code"] == "tables-disagree"]


def test_the_page_is_one_file_that_asks_nothing_of_the_network(audit: Audit):
    page = (audit.folder / "audit.html").read_text()
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", page)
    assert "<script" not in page
    assert page.index("blocker") < page.index("Table 2.")
    shown = sum(min(len(finding.films), FILMS_SHOWN) for finding in audit.findings)
    pictures = page.count("data:image/jpeg;base64,")
    assert pictures == shown - 3  # the unreadable ones cannot be shown
    assert "cannot be shown" in page
    for finding in audit.findings:
        assert finding.code in page


def test_a_file_name_cannot_become_markup(tmp_path: Path):
    for place, label in enumerate(CLASS_NAMES):
        folder = tmp_path / "films" / "train" / label
        folder.mkdir(parents=True)
        (folder / "<img src=x onerror=alert(1)>.png").write_bytes(
            encode_png(draw_film(place, side_px=112).pixels)
        )
        (folder / "<b>.png").write_bytes(b"text")
    result = run_audit(tmp_path / "films", tmp_path / "out", config=CONFIG, deep=False)
    page = (tmp_path / "out" / "audit.html").read_text()
    assert {finding.code for finding in result.findings} >= {"unreadable", "no-patient-ids"}
    assert "&lt;b&gt;.png" in page
    assert "<b>.png" not in page
    assert "<img src=x" not in page


def test_patients_named_by_a_pattern_are_checked_and_kept_in_the_manifest(
    faulty_folder: Path, tmp_path: Path
):
    folder = tmp_path / "films"
    for split in ("train", "val", "test"):
        shutil.copytree(faulty_folder / split, folder / split)
    result = run_audit(
        folder, tmp_path / "out", config=CONFIG, patient_pattern=r"phantom_(\w*?)\d*\.png", deep=False
    )
    codes = {finding.code for finding in result.findings}
    assert "patient-across-splits" in codes  # "copy_" is in val and test
    assert "no-patient-ids" not in codes
    assert read_manifest(tmp_path / "out" / "manifest.parquet")["patient_id"].notna().all()


def test_the_terminal_names_the_worst_first_and_three_films_each(audit: Audit):
    lines = render_text(audit).splitlines()
    assert lines[0].startswith("blocker")
    assert lines[2].endswith(" and 1 more")
    assert lines[2].count(".png") == 3
    assert lines[-2].startswith("4 blockers, ")
    assert lines[-1].endswith("audit.html")


def test_a_probes_record_becomes_tables():
    facts, rows = record_tables({"films": 1200, "probes": [{"name": "border", "score": {"auroc": 0.8123}}]})
    assert facts.rows == (("films", "1,200"),)
    assert rows.columns == ("name", "score auroc")
    assert rows.rows == (("border", "0.812"),)


def test_plain_values_hold_no_arrays_and_no_nan():
    import numpy as np

    value = {"a": np.array([1.0, np.nan]), "b": (Severity.NOTE, None, True), "c": Path("x")}
    assert to_plain(value) == {"a": [1.0, None], "b": ["note", None, True], "c": "x"}
