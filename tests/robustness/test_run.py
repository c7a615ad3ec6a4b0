import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from hilum.cli.trust import evaluation_measures
from hilum.domain import thresholds
from hilum.domain.findings import CLASS_NAMES
from hilum.registry.scorers import load_model
from hilum.robustness import model_test
from hilum.robustness.corruptions import CORRUPTIONS
from hilum.robustness.model_test import Measures, Plan
from hilum.robustness.run import RobustnessResult, run_robustness
from tests.conftest import draw_blob

FEW = ("jpeg", "crop")

Run = Callable[..., RobustnessResult]


@pytest.fixture
def run(tiny_run: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run with two corruptions and one epsilon, and figures that cost nothing."""
    monkeypatch.setattr(model_test, "CORRUPTIONS", {name: CORRUPTIONS[name] for name in FEW})
    monkeypatch.setattr(model_test, "ATTACK_EPSILONS_GREY", (1.0,))
    monkeypatch.setattr(
        "hilum.robustness.run.draw_figures",
        lambda *_, **__: {"corruptions": b"", "attacks": b"", "severities": b""},
    )

    def start(
        out: str = "out",
        *,
        models: int = 1,
        data: Path = tiny_data,
        measures: Measures | None = None,
        **plan: object,
    ) -> RobustnessResult:
        model = load_model(tiny_run / "models" / "best_model.pt")
        made = Plan(**{"attacked_films": 3, **plan})  # type: ignore[arg-type]
        return run_robustness(
            [model] * models, data, tmp_path / out, plan=made, measures=measures or evaluation_measures()
        )

    return start


def test_the_record_holds_every_change_and_is_what_is_written(run: Run, tmp_path: Path):
    result = run()
    assert json.loads((tmp_path / "out/robustness.json").read_text()) == result.record
    (model,) = result.record["models"]
    assert list(model["corruptions"]) == list(FEW)
    for corruption in model["corruptions"].values():
        assert [level["severity"] for level in corruption["levels"]] == [1, 2, 3, 4, 5]
    assert [(level["attack"], level["epsilon"]) for level in model["attacks"]["levels"]] == [
        ("FGSM", 1.0),
        ("PGD", 1.0),
    ]
    assert model["attacks"]["films"] == 3
    assert model["unknown_columns"] == ["sex", "age", "view"]
    assert result.record["method"]["films"] == 12
    clean = model["clean"]["accuracy"]["value"]
    for level in model["corruptions"]["crop"]["levels"]:
        assert level["figures"]["accuracy"]["value"] + level["drops"]["accuracy"]["value"] == pytest.approx(
            clean
        )


def test_an_interrupted_run_ends_as_an_uninterrupted_one(run: Run, tmp_path: Path, monkeypatch):
    whole = run("whole").record
    scored: list[int] = []
    measures = evaluation_measures()

    def interrupt(clean: pd.DataFrame, changed: pd.DataFrame) -> dict[str, object]:
        scored.append(len(scored))
        if len(scored) == 8:
            raise KeyboardInterrupt
        return measures.change(clean, changed)

    with pytest.raises(KeyboardInterrupt):
        run("cut", measures=Measures(interrupt, measures.elsewhere, measures.groups))
    assert not (tmp_path / "cut/robustness.json").exists()
    kept = sorted(path.stem for path in (tmp_path / "cut/scores").rglob("*.npy"))
    assert kept == ["clean", "crop-1", "crop-2", *(f"jpeg-{severity}" for severity in range(1, 6))]
    corrupted: list[str] = []
    original = model_test.corrupt_films

    def count(films: np.ndarray, name: str, severity: int, *, seed: int) -> np.ndarray:
        corrupted.append(name)
        return original(films, name, severity, seed=seed)

    monkeypatch.setattr(model_test, "corrupt_films", count)
    assert run("cut").record == whole
    assert corrupted == ["crop"] * 3
    assert not (tmp_path / "cut/scores").exists()


def test_another_site_without_a_class_has_its_figures_and_falls(run: Run, tmp_path: Path):
    clinic = tmp_path / "clinic"
    for index in range(24):
        label, look = (("Normal", "Normal"), ("Pneumonia", "Tuberculosis"))[index % 2]  # sick, but otherwise
        (clinic / label).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(clinic / label / f"{index}.png"), draw_blob(1000 + index, look))
    (model,) = run(external=(clinic,), attacked_films=0).record["models"]
    (site,) = model["external"]
    assert (site["name"], site["films"], site["seen"]) == ("clinic", 24, 0)
    assert site["support"] == {"Normal": 12, "Pneumonia": 12, "Tuberculosis": 0}
    assert site["figures"]["recall_Tuberculosis"]["reason"] == "there are no Tuberculosis films"
    assert site["figures"]["recall_Pneumonia"]["value"] < model["clean"]["accuracy"]["value"]
    assert site["drops"]["accuracy"]["low"] <= site["drops"]["accuracy"]["value"]
    assert model["attacks"] is None


def test_groups_that_the_table_tells_are_measured_and_small_ones_make_no_claim(
    run: Run, tiny_data: Path, tmp_path: Path
):
    paths = sorted(tiny_data.glob("test/*/*.png"))
    rows = [(path, path.parent.name, "test", "F" if index < 11 else "M") for index, path in enumerate(paths)]
    table = pd.DataFrame(rows, columns=["path", "label", "split", "sex"]).assign(age=50.0, view="PA")
    table.to_csv(tmp_path / "films.csv", index=False)
    (model,) = run(data=tmp_path / "films.csv", attacked_films=0).record["models"]
    accuracy = {group["value"]: group["figures"]["accuracy"] for group in model["groups"]}
    assert set(accuracy) == {"unknown", "F", "M", "40-64 years", "PA"}
    assert accuracy["F"]["films"] == 11
    assert accuracy["M"] == {"value": None, "reason": "1 film: no claim below 10", "undefined_resamples": 0}
    assert model["unknown_columns"] == []


def test_a_second_model_is_in_the_same_record(run: Run):
    record = run(models=2, attacked_films=0, films=6).record
    first, second = record["models"]
    assert first == second
    assert record["method"]["films"] == 6
    assert record["method"]["films_asked_for"] == 6


def test_probabilities_are_calibrated_before_they_are_compared(
    run: Run, tiny_run: Path, tiny_data: Path, tmp_path: Path
):
    seen: list[pd.DataFrame] = []
    measures = evaluation_measures()

    def keep(table: pd.DataFrame) -> list[dict[str, object]]:
        seen.append(table)
        return measures.groups(table)

    scorer, facts = load_model(tiny_run / "models" / "best_model.pt")
    for temperature in (1.0, 4.0):
        run_robustness(
            [(scorer, {**facts, "temperature": temperature})],
            tiny_data,
            tmp_path / f"at-{temperature}",
            plan=Plan(attacked_films=0),
            measures=Measures(measures.change, measures.elsewhere, keep),
        )
    logits = [table[[f"logit_{name}" for name in CLASS_NAMES]].to_numpy() for table in seen]
    assert logits[0] == pytest.approx(4 * logits[1])


def test_the_plan_names_what_is_attacked_by_default():
    assert Plan().split == "test"
    assert thresholds.ATTACK_EPSILONS_GREY == (0.5, 1.0, 2.0, 4.0)
