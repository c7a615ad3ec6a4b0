import numpy as np
import pandas as pd
import pytest

from hilum.domain.errors import DatasetError, EmptyDataset
from hilum.evaluation.inputs import check_separate, read_scored_films
from tests.evaluation.films import USUAL, make_table


def test_a_table_becomes_arrays_in_class_order():
    table = make_table({("east", "Tuberculosis"): 1, ("west", "Normal"): 2}, films_per_patient=2)
    films = read_scored_films(table)
    assert films.labels.tolist() == [2, 0, 0]
    assert films.patients.tolist() == [0, 1, 1]
    assert films.sources.tolist() == ["east", "west", "west"]
    assert (
        films.logits[1].tolist()
        == table.loc[1, ["logit_Normal", "logit_Pneumonia", "logit_Tuberculosis"]].tolist()
    )
    assert (len(films), films.n_patients, films.films_without_patient) == (3, 2, 0)


def test_a_film_without_a_patient_is_a_patient_of_its_own():
    table = make_table(USUAL)
    table.loc[:9, "patient_id"] = None
    assert read_scored_films(table).films_without_patient == 10
    assert read_scored_films(table).n_patients == len(table)
    assert read_scored_films(table.drop(columns="patient_id")).films_without_patient == len(table)


def test_selected_films_keep_their_patients_together_under_new_codes():
    films = read_scored_films(make_table(USUAL, films_per_patient=5))
    west = films.select(films.sources == "west")
    assert len(west) == 60
    assert sorted(set(west.patients.tolist())) == list(range(12))


def test_a_missing_source_is_unknown_and_an_alias_is_a_label():
    table = make_table(USUAL).drop(columns="source")
    table["label"] = table["label"].str.upper()
    films = read_scored_films(table)
    assert set(films.sources) == {"unknown"}
    assert films.labels.max() == 2


def test_ages_fall_into_bands_and_an_empty_column_makes_no_group():
    table = make_table({("east", "Normal"): 6})
    table["age"] = [0, 4.9, 17, 40, 99, None]
    table["sex"] = None
    table["view"] = ["PA", None, "AP", "PA", "PA", "PA"]
    films = read_scored_films(table)
    bands = ["0-4 years", "0-4 years", "5-17 years", "40-64 years", "65+ years", "unknown"]
    assert films.groups["age_band"].tolist() == bands
    assert films.groups["view"].tolist()[1] == "unknown"
    assert "sex" not in films.groups


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.drop(columns="logit_Normal"), "column.s. logit_Normal missing"),
        (lambda table: pd.concat([table, table[:2]]), r"2 row\(s\) repeat a path"),
        (lambda table: table.assign(logit_Normal=np.nan), r"150 row\(s\) have a logit .* \(first at row 0\)"),
        (lambda table: table.assign(label="Covid"), "class 'Covid' is unknown"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(spoil, message):
    with pytest.raises(DatasetError, match=message):
        read_scored_films(spoil(make_table(USUAL)))


def test_an_empty_table_is_refused():
    with pytest.raises(EmptyDataset, match="no rows"):
        read_scored_films(make_table(USUAL)[:0])


def test_films_under_test_may_not_be_in_validation():
    test, validation = make_table(USUAL), make_table(USUAL, split="val")
    assert check_separate(test, validation) == 0
    with pytest.raises(DatasetError, match=r"150 film\(s\) are in the split under test and in validation"):
        check_separate(test, test)


def test_shared_patients_are_counted():
    test, validation = make_table(USUAL), make_table(USUAL, split="val")
    validation.loc[:4, "patient_id"] = test.loc[:4, "patient_id"]
    assert check_separate(test, validation) == 5
    assert check_separate(test.drop(columns="patient_id"), validation) == 0
