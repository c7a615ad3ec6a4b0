from pathlib import Path

import pandas as pd
import pytest

from hilum.data.reviewed import is_reviewed_table, write_reviewed
from hilum.domain.errors import DatasetError, EmptyDataset

LABELS = {"r-1": "Normal", "r-3": "Tuberculosis"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "answers.csv"
    path.write_text("film,request_id,patient_id,note\na.png,r-1,007,x\nb.png,r-2,8,y\nc/d.png,r-3,9,z\n")
    return path


def test_films_get_the_labels_of_their_answers_and_others_are_left_out(table: Path, tmp_path: Path):
    done = write_reviewed(table, LABELS, tmp_path / "out" / "reviewed.csv")
    assert (done.labelled, done.unlabelled) == (2, 1)
    rows = pd.read_csv(done.table, dtype="string")
    assert rows["label"].tolist() == ["Normal", "Tuberculosis"]
    assert rows["path"].tolist() == [str(tmp_path / "a.png"), str(tmp_path / "c/d.png")]
    assert rows["patient_id"].tolist() == ["007", "9"]
    assert "note" not in rows


def test_a_table_of_answers_is_known_by_its_columns(table: Path, tmp_path: Path):
    assert is_reviewed_table(table)
    (tmp_path / "other.csv").write_text("path,label\na.png,Normal\n")
    (tmp_path / "empty.csv").write_text("")
    for other in (tmp_path, tmp_path / "other.csv", tmp_path / "empty.csv", tmp_path / "missing.csv"):
        assert not is_reviewed_table(other)


def test_without_a_label_or_with_a_film_named_twice_it_is_refused(table: Path, tmp_path: Path):
    with pytest.raises(EmptyDataset, match="none of 3 requests has a label in the journal"):
        write_reviewed(table, {}, tmp_path / "out.csv")
    table.write_text("film,request_id\na.png,r-1\na.png,r-3\n")
    with pytest.raises(DatasetError, match=r"1 film\(s\) are named twice"):
        write_reviewed(table, LABELS, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
