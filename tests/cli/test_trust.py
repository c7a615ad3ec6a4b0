import json
from pathlib import Path

import pytest

from hilum import progress
from hilum.robustness import model_test
from hilum.robustness.corruptions import CORRUPTIONS
from tests.cli.conftest import Hilum


@pytest.fixture
def arguments(tiny_data: Path, tiny_run: Path, tmp_path: Path) -> list[object]:
    model = tiny_run / "models/best_model.pt"
    return ["robustness", "--data", tiny_data, "--model", model, "--attacked", 0, "--out", tmp_path / "out"]


def test_robustness_writes_a_report_and_says_where(
    hilum: Hilum, arguments: list[object], tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(model_test, "CORRUPTIONS", {"contrast": CORRUPTIONS["contrast"]})
    monkeypatch.setattr(
        "hilum.robustness.run.draw_figures", lambda *_, **__: {"corruptions": b"", "severities": b""}
    )
    answer = hilum(*arguments)
    lines = answer.out.splitlines()
    assert lines[-1] == f"report: {tmp_path / 'out/robustness.html'}"
    record = json.loads((tmp_path / "out/robustness.json").read_text())
    findings = [f"{finding['severity']}: {finding['sentence']}" for finding in record["findings"]]
    assert lines[:-1] == findings
    assert answer.code == int(any(finding["severity"] == "blocker" for finding in record["findings"]))
    assert json.loads(hilum(*arguments, "--json").out) == record


def test_a_site_that_is_not_there_ends_with_one(hilum: Hilum, arguments: list[object]):
    answer = hilum(*arguments, "--external", "nowhere")
    assert answer.code == 1
    assert "nowhere: does not exist" in answer.err


def test_no_film_cannot_be_asked_for(hilum: Hilum, arguments: list[object]):
    assert hilum(*arguments, "--films", 0).code == 2


def test_safeguard_says_how_far_it_is(
    hilum: Hilum, tiny_data: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 1e-9)
    model = tiny_run / "models/best_model.pt"
    answer = hilum("safeguard", "--data", tiny_data, "--model", model, "--out", tmp_path)
    assert answer.code == 0, answer.err
    for work in ("scoring", "fitting the gate"):
        assert f"{work}: 100%" in answer.err
    assert "picture/s]" in answer.err
