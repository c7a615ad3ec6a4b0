"""The retraining drill of `benchmarks/retraining_drill.py` with films and a network that take seconds."""

import importlib.util
import json
from contextlib import closing
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.evaluate import evaluate_predictions
from hilum.explain.explanation_tests import check_explanations
from hilum.monitoring.decision import Decision
from hilum.registry.bundle import read_bundle
from hilum.registry.store import ModelStore
from tests.conftest import TINY_SETTINGS

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "retraining_drill.py"
SETTINGS = (
    *TINY_SETTINGS,
    "training.epochs=6",
    "loss.label_smoothing=0",
    "augmentation.horizontal_flip=false",
    "data.train_share=0.6",
    "data.val_share=0.1",
    "data.test_share=0.3",
)
DOUBTFUL_SHARE = 0.08  # normal films that look sick: without an error there is no interval to resample


def load_drill() -> ModuleType:
    spec = importlib.util.spec_from_file_location("retraining_drill", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draw(number: int, is_new_scanner: bool) -> tuple[np.ndarray, str, str]:
    """A cloudy film whose bright half tells the class; the new scanner is paler."""
    label = CLASS_NAMES[number % 3]
    rng = np.random.default_rng(number)
    clouds = cv2.resize(rng.normal(0, 14, (6, 6)), (120, 120), interpolation=cv2.INTER_CUBIC)
    film = 75 + clouds + rng.normal(0, 12, (120, 120))
    seems = "Pneumonia" if label == "Normal" and rng.random() < DOUBTFUL_SHARE else label
    half = {"Pneumonia": slice(60, None), "Tuberculosis": slice(None, 60), "Normal": slice(0, 0)}[seems]
    film[half] += 80
    film = 60 + 0.75 * film if is_new_scanner else film
    return np.clip(film, 0, 255).astype(np.uint8), label, f"p-{number}"


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer resamples and fewer films under the tests of maps: both have tests of their own."""
    monkeypatch.setitem(evaluate_predictions.__kwdefaults__, "resamples", 200)
    monkeypatch.setitem(check_explanations.__kwdefaults__, "films_per_finding", 10)


@pytest.mark.usefixtures("coarse")
def test_from_drift_to_a_candidate_in_production_and_back(tmp_path: Path):
    drill, lines = load_drill(), []
    plan = drill.Plan(
        draw, {"train": 150, "val": 90, "test": 111}, new=150, in_use=120, labelled_every=0, settings=SETTINGS
    )
    decision = drill.run_drill(plan, tmp_path, say=lines.append)
    days = [line for line in lines if "scanner  over:" in line]
    assert [line.partition("over: ")[2] for line in days] == ["nothing"] * 4 + ["embedding"] * 8
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
    assert codes == [
        "alert-opened", "retraining-triggered", "retraining-building", "retraining-judged",
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
