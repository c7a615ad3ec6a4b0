import numpy as np

from hilum.audit.contrasts import ALL_SOURCES, SICK_OR_NORMAL, list_contrasts
from hilum.audit.linear_probe import patient_codes
from tests.audit.make_rows import make_rows


def contrasts_of(rows, at_least=10):
    found, skipped = list_contrasts(rows, patient_codes(rows), at_least=at_least)
    return {(contrast.scope, contrast.name): contrast for contrast in found}, skipped


def test_each_source_and_all_together():
    labels = ["Normal"] * 20 + ["Pneumonia"] * 20 + ["Normal"] * 20 + ["Tuberculosis"] * 20
    found, skipped = contrasts_of(make_rows(labels, source=["a"] * 40 + ["b"] * 40))
    assert set(found) == {
        ("a", SICK_OR_NORMAL),
        ("b", SICK_OR_NORMAL),
        (ALL_SOURCES, SICK_OR_NORMAL),
        (ALL_SOURCES, "Pneumonia"),
        (ALL_SOURCES, "Tuberculosis"),
    }
    assert skipped == []
    assert found["b", SICK_OR_NORMAL].films.tolist() == list(range(40, 80))
    assert found["b", SICK_OR_NORMAL].positive.tolist() == [False] * 20 + [True] * 20


def test_one_source_is_not_said_twice():
    found, _ = contrasts_of(make_rows(["Normal", "Tuberculosis"] * 20))
    assert set(found) == {("one", SICK_OR_NORMAL)}


def test_without_normal_films_the_diseases_are_held_against_each_other():
    found, _ = contrasts_of(make_rows(["Pneumonia", "Tuberculosis"] * 20))
    assert set(found) == {("one", "Tuberculosis")}


def test_a_contrast_with_few_patients_is_skipped_and_named():
    labels = ["Normal", "Tuberculosis"] * 20
    rows = make_rows(labels, patients=[f"p{row % 4}" for row in range(40)])
    found, skipped = contrasts_of(rows)
    assert found == {}
    assert skipped == ["one, sick or normal: fewer than 10 patients on one side"]


def test_features_of_other_sources_are_not_looked_at():
    rows = make_rows(["Normal", "Tuberculosis"] * 40, source=["a"] * 40 + ["b"] * 40)
    found, _ = contrasts_of(rows)
    tells_only_a = np.where(np.arange(80) < 40, np.arange(80) % 2, 0.0)[:, None]
    assert found["a", SICK_OR_NORMAL].score(tells_only_a).auroc == 1.0
    assert found["b", SICK_OR_NORMAL].score(tells_only_a).auroc == 0.5
