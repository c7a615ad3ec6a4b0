from pathlib import Path

import pandas as pd
import pytest

from hilum.data.manifest import (
    COLUMNS,
    empty_manifest,
    make_manifest,
    manifest_digest,
    read_manifest,
    usable_films,
    write_manifest,
)
from hilum.domain.errors import DatasetError, EmptyDataset

ROWS = pd.DataFrame(
    {
        "path": ["val/b.png", "train/c.png", "train/a.png"],
        "label": ["Pneumonia", "Normal", "Tuberculosis"],
        "split": ["val", "train", "train"],
        "sha256": ["22", "33", "11"],
        "excluded": [None, "unreadable_image: x", None],
    }
)


def test_rows_are_sorted_typed_and_completed():
    manifest = make_manifest(ROWS)
    assert manifest["path"].tolist() == ["train/a.png", "train/c.png", "val/b.png"]
    assert {name: str(dtype) for name, dtype in manifest.dtypes.items()} == COLUMNS
    assert manifest["source"].tolist() == ["unknown"] * 3
    assert manifest["patient_id"].isna().all()


def test_empty_manifest_has_every_column():
    assert len(empty_manifest()) == 0
    assert list(empty_manifest().columns) == list(COLUMNS)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", "Covid", r"val/b.png: label is 'Covid' \(and 0 more rows\); allowed: Normal, Pneumonia"),
        ("split", "dev", r"val/b.png: split is 'dev' .*allowed: train, val, test, external\."),
        ("age", "062Y", r"val/b.png: age is '062Y' \(and 0 more rows\); expected years as a number"),
    ],
)
def test_values_out_of_range_are_named(column: str, value: str, message: str):
    rows = ROWS.assign(age=None).astype({"age": object})
    rows.loc[0, column] = value
    with pytest.raises(DatasetError, match=message):
        make_manifest(rows)


def test_a_film_listed_twice_is_refused():
    rows = ROWS.assign(path=["a.png", "a.png", "b.png"])
    with pytest.raises(DatasetError, match=r"a.png: listed 2 times; list each film once\."):
        make_manifest(rows)


def test_ages_may_be_numbers_text_or_missing():
    manifest = make_manifest(ROWS.assign(age=["61", 4.5, None]))
    ages = dict(zip(manifest["path"], manifest["age"], strict=True))
    assert ages["val/b.png"] == 61.0
    assert ages["train/c.png"] == 4.5
    assert ages["train/a.png"] is pd.NA


def test_usable_films_leave_out_the_excluded():
    assert usable_films(make_manifest(ROWS), split="train")["path"].tolist() == ["train/a.png"]


def test_empty_split_names_those_that_have_films():
    with pytest.raises(EmptyDataset) as caught:
        usable_films(make_manifest(ROWS), split="test")
    assert str(caught.value) == ("split 'test' has no usable film; splits with films: train (1), val (1).")
    with pytest.raises(EmptyDataset, match="splits with films: none"):
        usable_films(empty_manifest(), split="test")


def test_digest_follows_content_label_and_split_but_not_names():
    digest = manifest_digest(make_manifest(ROWS))
    renamed = ROWS.assign(path=["x.png", "y.png", "z.png"])
    assert manifest_digest(make_manifest(renamed)) == digest
    assert manifest_digest(make_manifest(ROWS.assign(excluded=None))) != digest
    assert manifest_digest(make_manifest(ROWS.assign(sha256=["22", "33", "12"]))) != digest
    assert manifest_digest(make_manifest(ROWS.assign(label="Normal"))) != digest
    assert manifest_digest(make_manifest(ROWS.assign(split="train"))) != digest


def test_parquet_round_trip_leaves_no_temporary(tmp_path: Path):
    path = tmp_path / "run" / "manifest.parquet"
    write_manifest(make_manifest(ROWS.assign(age=[61, None, 3.5])), path)
    pd.testing.assert_frame_equal(read_manifest(path), make_manifest(ROWS.assign(age=[61, None, 3.5])))
    assert [item.name for item in path.parent.iterdir()] == ["manifest.parquet"]


def test_other_files_are_no_manifest(tmp_path: Path):
    path = tmp_path / "x.parquet"
    with pytest.raises(DatasetError, match="is not a readable manifest"):
        read_manifest(path)
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(DatasetError, match="is not a readable manifest"):
        read_manifest(path)
    ROWS.drop(columns="label").to_parquet(path)
    with pytest.raises(DatasetError, match="lacks the columns label, source, patient_id"):
        read_manifest(path)
