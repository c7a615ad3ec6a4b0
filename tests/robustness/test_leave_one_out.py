import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.config.load import load_config
from hilum.config.schema import TrainConfig
from hilum.domain.errors import DatasetError
from hilum.robustness.bench_page import render_bench
from hilum.robustness.counterfactuals import COUNTERFACTUALS, change_films
from hilum.robustness.leave_one_out import BenchMeasures, LeaveOneOut, run_leave_one_out
from hilum.training.run import run_training
from tests.conftest import TINY_SETTINGS


@pytest.fixture
def two_sites(tiny_data: Path, tmp_path: Path) -> Path:
    paths = sorted(tiny_data.glob("*/*/*.png"))
    rows = [(str(path), path.parent.name, path.parent.parent.name) for path in paths]
    table = pd.DataFrame(rows, columns=["path", "label", "split"])
    table["source"] = ["east" if index % 2 else "west" for index in range(len(table))]
    table = table[(table["source"] == "east") | (table["label"] != "Tuberculosis")]  # the west has none
    table.to_csv(tmp_path / "films.csv", index=False)
    return tmp_path / "films.csv"


def count_films(
    rows: pd.DataFrame, embeddings: np.ndarray | None, validation: pd.DataFrame
) -> dict[str, object]:
    assert embeddings is None or len(embeddings) == len(rows)
    for table in (rows, validation):
        assert table[["logit_Normal", "logit_Pneumonia", "logit_Tuberculosis"]].notna().all(axis=None)
    assert set(validation["split"]) == {"val"}
    return {
        "films": len(rows),
        "sources": sorted(rows["source"].unique()),
        "validation": sorted(validation["source"].unique()),
    }


def compare(clean: pd.DataFrame, changed: pd.DataFrame) -> dict[str, object]:
    assert list(clean["path"]) == list(changed["path"])
    columns = ["logit_Normal", "logit_Pneumonia", "logit_Tuberculosis"]
    return {"figures": {"films": len(clean)}, "same": bool(np.array_equal(clean[columns], changed[columns]))}


COUNT = BenchMeasures(site=count_films, change=compare)


def train(config: TrainConfig, table: Path, folder: Path) -> Path:
    return run_training(config, table, folder, resume=True).folder.best_model


def test_each_source_is_left_out_once_and_its_test_films_stay_unseen(two_sites: Path, tmp_path: Path):
    config = load_config(overrides=(*TINY_SETTINGS, "training.epochs=1"))
    result = run_leave_one_out(config, two_sites, tmp_path / "out", train=train, measures=COUNT)
    films = pd.read_csv(two_sites)
    for source, other in (("east", "west"), ("west", "east")):
        fold = result.folds[source]
        held_out = films[(films["source"] == source) & (films["split"] != "test")]
        expected = {"films": len(held_out), "sources": [source], "validation": [other]}
        assert fold["plain"] == fold["adapted"] == expected
        learned = pd.read_csv(tmp_path / "out" / f"without-{source}" / "films.csv")
        assert set(learned["source"]) == {other}
    assert result.folds["east"]["missing_classes"] == ["Tuberculosis"]
    assert json.loads(result.file.read_text())["folds"] == result.folds
    validation = films[films["split"] == "val"]
    assert result.whole["validation"] == {"films": len(validation)}
    assert set(result.whole["counterfactuals"]) == set(COUNTERFACTUALS)
    assert not result.whole["counterfactuals"]["blur 0.01 of the side"]["same"]
    assert result.whole["external"] == {}


def test_each_model_that_looks_at_an_external_site_is_counted(two_sites: Path, tmp_path: Path):
    films = pd.read_csv(two_sites)
    away = films.groupby("label").head(2).assign(split="external", source="away")
    rest = films[~films["path"].isin(away["path"])]
    away.to_csv(tmp_path / "away.csv", index=False)
    rest.to_csv(two_sites, index=False)
    config = load_config(overrides=(*TINY_SETTINGS, "training.epochs=1"))
    looks = []
    for number in range(2):
        recipe = config.model_copy(
            update={"reproducibility": config.reproducibility.model_copy(update={"seed": number})}
        )
        for _ in range(2):  # a run that is taken up again looks at nothing new
            result = run_leave_one_out(
                recipe, two_sites, tmp_path / "runs" / str(number), train=train, measures=COUNT,
                external=[tmp_path / "away.csv"],
            )  # fmt: skip
            (site,) = result.whole["external"].values()
            looks.append(site["look"])
            assert site["plain"]["films"] == len(away)
    assert looks == [1, 1, 2, 2]


def test_a_source_of_one_kind_of_film_is_never_left_out(two_sites: Path, tmp_path: Path):
    films = pd.read_csv(two_sites)
    films.loc[films.groupby("label").head(1).index, "source"] = "north"
    films = films[(films["source"] != "north") | (films["label"] == "Pneumonia")]
    films.to_csv(two_sites, index=False)
    config = load_config(overrides=(*TINY_SETTINGS, "training.epochs=1"))
    result = run_leave_one_out(config, two_sites, tmp_path / "out", train=train, measures=COUNT)
    assert set(result.folds) == {"east", "west"}


@pytest.mark.parametrize("name", COUNTERFACTUALS)
def test_a_counterfactual_changes_the_film_and_keeps_its_shape(name: str):
    rng = np.random.default_rng(0)
    films = np.clip(rng.normal(120, 40, (2, 160, 160)), 0, 255).astype(np.uint8)
    changed = change_films(films, name, seed=1)
    assert (changed.shape, changed.dtype) == (films.shape, films.dtype)
    assert np.array_equal(changed, change_films(films, name, seed=1))
    assert name == "letters masked" or not np.array_equal(changed, films)
    assert name != "mirrored" or np.array_equal(changed[:, :, ::-1], films)


def test_the_page_puts_left_out_sources_first_and_says_how_often_a_site_was_looked_at(tmp_path: Path):
    figure = {"value": 0.75, "low": 0.7, "high": 0.8, "reason": None}
    plain = {"films": 10, "sick": 4, "auroc": figure, "sensitivity": figure, "specificity": figure}
    plain["carried_over"] = {"sensitivity": figure, "specificity": figure, "ece": figure}
    absent = {"value": None, "low": None, "high": None, "reason": "one kind only"}
    site = {"plain": plain, "adapted": {**plain, "auroc": absent}}
    change = {"figures": {"accuracy": figure}, "drops": {"accuracy": figure}, "flipped": figure}
    whole = {
        "validation": {"films": 9, "accuracy": figure, "macro_auroc": figure, "sick_vs_normal": figure},
        "counterfactuals": {"64 px": change},
        "external": {"away": {"look": 3, **site}},
    }
    page = render_bench(LeaveOneOut({"east": site}, whole, tmp_path))
    assert page.index("| east | 10 | 4 | 0.750 (0.700 to 0.800) |") < page.index("| away | 10 |")
    assert "Mean AUROC of sick against normal: 0.750." in page
    assert "n/a: one kind only" in page
    assert "away by 3 model(s)" in page


def test_finished_folds_are_not_run_again(two_sites: Path, tmp_path: Path):
    config = load_config(overrides=(*TINY_SETTINGS, "training.epochs=1"))
    first = run_leave_one_out(config, two_sites, tmp_path / "out", train=train, measures=COUNT)

    def refuse(*_: object) -> Path:
        raise AssertionError("trained again")

    again = run_leave_one_out(config, two_sites, tmp_path / "out", train=refuse, measures=COUNT)
    assert again.folds == first.folds


def test_single_source_is_refused(tiny_data: Path, tiny_config: TrainConfig, tmp_path: Path):
    with pytest.raises(DatasetError, match="leaving one out needs two or more"):
        run_leave_one_out(tiny_config, tiny_data, tmp_path / "out", train=train, measures=COUNT)
