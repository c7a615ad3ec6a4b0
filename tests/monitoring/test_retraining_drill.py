"""The retraining drill of `benchmarks/retraining_drill.py`, with fewer resamples and no figures."""

import importlib.util
import json
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from hilum.evaluation.evaluate import evaluate_predictions
from hilum.explain.explanation_tests import check_explanations
from hilum.monitoring.decision import Decision
from hilum.registry.bundle import read_bundle
from hilum.registry.store import ModelStore

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "retraining_drill.py"


def load_drill() -> ModuleType:
    spec = importlib.util.spec_from_file_location("retraining_drill", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer resamples, fewer films under the tests of maps, no figures: all have tests of their own."""
    monkeypatch.setitem(evaluate_predictions.__kwdefaults__, "resamples", 200)
    monkeypatch.setitem(check_explanations.__kwdefaults__, "films_per_finding", 10)
    monkeypatch.setattr("hilum.evaluation.report.draw_figures", lambda _: {})
    monkeypatch.setattr("hilum.evaluation.report.render_page", lambda *_: "")


@pytest.mark.usefixtures("coarse")
def test_from_drift_to_a_candidate_in_production_and_back(tmp_path: Path):
    drill, lines = load_drill(), []
    decision = drill.run_drill(drill.CLOUDS, tmp_path, say=lines.append)
    days = [line for line in lines if "scanner  over:" in line]
    over = [line.partition("over: ")[2].split(", ") for line in days]
    assert over[:4] == [["nothing"]] * 4
    assert ["embedding" in signals for signals in over[4:]] == [True] * 8
    asked = [lines.index(line) for line in lines if line.endswith("is open")]
    assert asked == [lines.index(days[-1]) + 1], "the decision is asked for on the eighth day"
    assert decision.state == "rolled-back"
    assert decision.causes == ("drift",)
    assert decision.record["triggers"][0]["evidence"]["days"] == 8
    assert decision.record["verdict"]["refusals"] == []
    assert [one["label"] for one in decision.record["evaluations"]] == ["test", "new-test"]
    steps = [step["state"] for step in decision.record["steps"]]
    assert steps == ["open", "building", "judged", "promoted", "rolled-back"]
    assert lines[-1].splitlines()[0] == f"Decision {decision.id}: rolled-back"
    check_registry(tmp_path, decision)
    with closing(drill.open_service(tmp_path / "service")) as journal:
        codes = [record.code for record in journal.read(kinds=["monitor"], limit=1_000)]
    decided = codes.index("retraining-triggered")
    assert set(codes[:decided]) == {"alert-opened"}
    assert codes[decided:] == [
        "retraining-triggered", "retraining-building", "retraining-judged",
        "retraining-promoted", "retraining-rolled-back",
    ]  # fmt: skip


def check_registry(folder: Path, decision: Decision) -> None:
    store = ModelStore(folder / "registry")
    assert store.production() == decision.record["model"]
    kinds = [(event.kind, event.name) for event in store.history() if event.kind != "register"]
    first, second = decision.record["model"], decision.candidate
    assert kinds == [("promote", first), ("promote", second), ("rollback", first)]
    facts = read_bundle(folder / "registry" / str(second)).facts
    assert facts["version"] == "1.1.0"
    assert facts["against"]["name"] == first
    assert facts["against"]["evaluations"] == ["test", "new-test"]
    for one in facts["evaluations"]:  # both on the same films, production by its own temperature
        ours, theirs = (
            json.loads((folder / "registry" / str(second) / f"{kind}-{one}.json").read_text())
            for kind in ("evaluation", "against")
        )
        assert ours["provenance"] == theirs["provenance"]
        assert theirs["temperature"]["value"] == read_bundle(folder / "registry" / first).temperature
