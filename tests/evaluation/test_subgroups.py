import pytest

from hilum.evaluation.calibration import scale
from hilum.evaluation.inputs import read_scored_films
from hilum.evaluation.subgroups import measure_confounding, measure_subgroups
from tests.evaluation.films import USUAL, make_table


def test_each_source_is_measured_alone_largest_first():
    films = read_scored_films(make_table(USUAL))
    east, west = measure_subgroups(films, scale(films.logits, 1.0), resamples=20, seed=0)
    assert (east.value, east.films, west.value, west.films) == ("east", 90, "west", 60)
    assert east.support == {"Normal": 40, "Pneumonia": 50, "Tuberculosis": 0}
    assert east.discrimination.row("Tuberculosis").recall.value is None
    assert west.discrimination.row("Tuberculosis").support == 30
    assert west.discrimination.sick_vs_normal.films == 30


def test_other_columns_make_groups_and_ages_come_in_order():
    table = make_table(USUAL)
    table["age"] = [70, 3, 20] * 50
    table["sex"] = ["F", "M"] * 75
    films = read_scored_films(table)
    groups = measure_subgroups(films, scale(films.logits, 1.0), resamples=0, seed=0)
    assert [(group.column, group.value) for group in groups] == [
        ("source", "east"),
        ("source", "west"),
        ("sex", "F"),
        ("sex", "M"),
        ("age_band", "0-4 years"),
        ("age_band", "18-39 years"),
        ("age_band", "65+ years"),
    ]


def test_confounding_worked_by_hand():
    found = measure_confounding(read_scored_films(make_table(USUAL)))
    assert found.never_together == (("Pneumonia", "Tuberculosis"),)
    # east: 50 of 90 are Pneumonia; west: 30 of 60 either way
    assert found.accuracy == pytest.approx(80 / 150)
    # Pneumonia: all 50 in east, 40 of the 100 others too: 0.6 won, 0.4 tied
    assert found.auroc["Pneumonia"] == pytest.approx(0.6 + 0.4 / 2)
    assert found.one_class_sources == ()


def test_diseases_of_one_source_are_together_and_a_source_of_one_class_is_named():
    counts = {("a", "Pneumonia"): 5, ("a", "Tuberculosis"): 5, ("b", "Pneumonia"): 5}
    found = measure_confounding(read_scored_films(make_table(counts)))
    assert found.never_together == ()
    assert found.one_class_sources == ("b",)
    assert found.auroc["Normal"] is None
