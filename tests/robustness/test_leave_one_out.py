import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.config.load import load_config
from hilum.config.schema import TrainConfig
from hilum.domain.errors import DatasetError
from hilum.robustness.leave_one_out import run_leave_one_out
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


def count_films(rows: pd.DataFrame, embeddings: np.ndarray | None) -> dict[str, object]:
    assert embeddings is None or len(embeddings) == len(rows)
    assert rows[["logit_Normal", "logit_Pneumonia", "logit_Tuberculosis"]].notna().all(axis=None)
    return {"films": len(rows), "sources": sorted(rows["source"].unique())}


def train(config: TrainConfig, table: Path, folder: Path) -> Path:
    return run_training(config, table, folder, resume=True).folder.best_model


def test_each_source_is_left_out_once_and_its_test_films_stay_unseen(two_sites: Path, tmp_path: Path):
    config = load_config(overrides=(*TINY_SETTINGS, "training.epochs=1"))
    result = run_leave_one_out(config, two_sites, tmp_path / "out", train=train, measure=count_films)
    films = pd.read_csv(two_sites)
    for source, other in (("east", "west"), ("west", "east")):
        fold = result.folds[source]
        held_out = films[(films["source"] == source) & (films["split"] != "test")]
        assert fold["plain"] == fold["adapted"] == {"films": len(held_out), "sources": [source]}
        learned = pd.read_csv(tmp_path / "out" / f"without-{source}" / "films.csv")
        assert set(learned["source"]) == {other}
    assert result.folds["east"]["missing_classes"] == ["Tuberculosis"]
    assert json.loads(result.file.read_text())["folds"] == result.folds


def test_finished_folds_are_not_run_again(two_sites: Path, tmp_path: Path):
    config = load_config(overrides=(*TINY_SETTINGS, "training.epochs=1"))
    first = run_leave_one_out(config, two_sites, tmp_path / "out", train=train, measure=count_films)

    def refuse(*_: object) -> Path:
        raise AssertionError("trained again")

    again = run_leave_one_out(config, two_sites, tmp_path / "out", train=refuse, measure=count_films)
    assert again.folds == first.folds


def test_single_source_is_refused(tiny_data: Path, tiny_config: TrainConfig, tmp_path: Path):
    with pytest.raises(DatasetError, match="leaving one out needs two or more"):
        run_leave_one_out(tiny_config, tiny_data, tmp_path / "out", train=train, measure=count_films)
