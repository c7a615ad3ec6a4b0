from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.config.schema import DataSettings
from hilum.data.combine import NEW_TEST, CombinedData, combine
from hilum.data.ingest import Dataset
from hilum.data.manifest import make_manifest
from hilum.domain.errors import EmptyDataset
from hilum.domain.findings import CLASS_NAMES

SIDE = 64
Film = tuple[int, str | None, str]  # what it shows, its patient, its split


def make_dataset(root: str, films: list[Film], *, labels: list[str] | None = None) -> Dataset:
    """A data set in memory; films that show the same number are one picture."""
    rows = pd.DataFrame(
        {
            "path": [f"{place:03d}.png" for place in range(len(films))],
            "label": labels or [CLASS_NAMES[shown % 3] for shown, _, _ in films],
            "split": [split for _, _, split in films],
            "patient_id": [patient for _, patient, _ in films],
            "sha256": [f"{shown:064d}" for shown, _, _ in films],
        }
    )
    pixels = np.stack([draw(shown) for shown, _, _ in films])
    return Dataset(Path(root), make_manifest(rows), pixels)


def draw(shown: int) -> np.ndarray:
    return np.random.default_rng(shown).integers(0, 255, (SIDE, SIDE), dtype=np.uint8)


OLD: list[Film] = [
    (1, "anna", "train"), (2, "anna", "train"), (3, "ben", "val"), (4, "carl", "test"), (5, None, "test"),
    (6, "dora", "external"), (7, "eve", "train"), (8, "eve", "test"),
]  # fmt: skip


def put_together(
    new: list[Film], *, stated: bool = False, labels: list[str] | None = None, seed: int = 0
) -> CombinedData:
    return combine(
        make_dataset("/old", OLD),
        make_dataset("/new", new, labels=labels),
        is_split_stated=stated,
        settings=DataSettings(),
        seed=seed,
    )


def split_of(data: CombinedData, film: int) -> str | None:
    found = data.table["split"][data.table["path"] == f"/new/{film:03d}.png"].tolist()
    return found[0] if found else None


def test_old_films_stay_what_they_are_and_external_ones_are_left_out():
    data = put_together([(101, "x", "train")])
    old = data.table[data.table["path"].str.startswith("/old/")]
    assert old["split"].tolist() == ["train", "train", "val", "test", "test", "train", "test"]
    assert data.old == {"train": 3, "val": 1, "test": 3}


@pytest.mark.parametrize("stated", ["train", "val", "test", "external"])
@pytest.mark.parametrize(
    ("patient", "split"),
    [("anna", "train"), ("ben", "val"), ("carl", NEW_TEST), ("dora", NEW_TEST)],
)
def test_a_new_film_goes_where_its_patient_is_whatever_its_table_says(patient: str, split: str, stated: str):
    films = [(101, patient, stated), (102, "x", "train")]
    for is_stated in (True, False):
        data = put_together(films, stated=is_stated)
        assert split_of(data, 0) == split
    assert data.kept_from_training == (split != "train")


def test_a_patient_in_several_old_splits_is_left_out():
    data = put_together([(101, "eve", "train"), (102, "x", "train")])
    assert split_of(data, 0) is None
    assert data.left_out == {"copies": 0, "contradicting": 0, "straddling": 1}


@pytest.mark.parametrize("shown", [1, 3, 4, 5, 6])
def test_a_copy_of_an_old_film_is_no_new_film(shown: int):
    data = put_together([(shown, "somebody else", "train"), (102, "x", "train")])
    assert split_of(data, 0) is None
    assert data.left_out["copies"] == 1
    assert data.left_out["contradicting"] == 0


def test_a_brighter_copy_is_a_copy_and_brings_its_patient_along():
    """Anna's new film is a copy of one of Carl's, who is under test: her other new film must not train."""
    new = make_dataset("/new", [(4, "zoe", "train"), (103, "zoe", "train"), (104, "x", "train")])
    new.pixels[0] = np.clip(new.pixels[0].astype(float) * 0.9, 0, 255).astype(np.uint8)
    data = combine(make_dataset("/old", OLD), new, is_split_stated=True, settings=DataSettings(), seed=0)
    assert split_of(data, 0) is None
    assert split_of(data, 1) == NEW_TEST
    assert split_of(data, 2) == "train"


def test_a_copy_with_another_label_is_told():
    label = next(name for name in CLASS_NAMES if name != CLASS_NAMES[4 % 3])
    data = put_together([(4, "carl", "train"), (102, "x", "train")], labels=[label, "Normal"])
    assert data.left_out == {"copies": 1, "contradicting": 1, "straddling": 0}


def test_a_new_patient_whom_the_table_has_in_two_splits_is_held_out():
    films: list[Film] = [
        (101, "x", "train"), (102, "x", "val"), (103, "y", "train"), (104, "y", "test"), (105, "z", "train"),
    ]  # fmt: skip
    data = put_together(films, stated=True)
    assert [split_of(data, film) for film in range(5)] == ["val", "val", NEW_TEST, NEW_TEST, "train"]


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_in_two_splits_and_nothing_under_test_is_learned_from(seed: int):
    rng = np.random.default_rng(seed)
    patients = ["anna", "ben", "carl", "dora", *(f"p{number}" for number in range(30)), None]
    shown = [int(one) for one in rng.integers(1, 120, 90)]
    films: list[Film] = [(one, patients[int(rng.integers(len(patients)))], "train") for one in shown]
    data = put_together(films, seed=seed)
    table = data.table.assign(
        shown=[
            (OLD if path.startswith("/old/") else films)[int(path[-7:-4])][0] for path in data.table["path"]
        ]
    )
    table = table[~((table["patient_id"] == "eve").fillna(False))].copy()  # already in two old splits
    table["split"] = table["split"].replace({NEW_TEST: "test"})  # both are under test, and neither trains
    for column in ("patient_id", "shown"):
        assert (table.dropna(subset=[column]).groupby(column)["split"].nunique() == 1).all(), column
    assert {"train", "val", NEW_TEST} <= set(data.new)
    assert sum(data.new.values()) + sum(data.left_out.values()) == len(films)
    assert put_together(films, seed=seed).table.equals(data.table)


def test_new_films_that_are_all_copies_are_refused():
    with pytest.raises(EmptyDataset, match="none of 2 usable films is new; 2 are copies of old films"):
        put_together([(1, None, "train"), (4, None, "train")])


def test_the_table_names_films_from_where_it_lies(tmp_path: Path):
    old = make_dataset(str(tmp_path / "old"), OLD)
    new = make_dataset(str(tmp_path / "new"), [(101, "x", "train")])
    data = combine(old, new, is_split_stated=True, settings=DataSettings(), seed=0)
    table = data.write(tmp_path / "out" / "deep" / "combined.csv")
    rows = pd.read_csv(table)
    assert rows["path"].iloc[-1] == "../../new/000.png"
    assert rows["split"].iloc[-1] == "train"
    assert [path.name for path in table.parent.iterdir()] == ["combined.csv"]
