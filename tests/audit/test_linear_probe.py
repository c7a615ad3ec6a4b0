import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from hilum.audit.linear_probe import (
    clustered_auroc,
    enough_patients,
    folds_by_patient,
    out_of_fold_scores,
    patient_codes,
)


def test_the_auroc_is_that_of_scikit_learn_with_ties():
    generator = np.random.default_rng(3)
    positive = generator.random(200) < 0.4
    scores = np.round(generator.normal(size=200) + positive, 1)
    found = clustered_auroc(scores, positive, np.arange(200))
    assert found.auroc == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert found.low < found.auroc < found.high


def test_the_interval_of_independent_films_is_delongs():
    generator = np.random.default_rng(5)
    positive = np.arange(400) % 2 == 0
    scores = generator.normal(size=400) + positive
    sick, well = scores[positive], scores[~positive]
    above = (sick[:, None] > well[None, :]).astype(float)
    delong = above.mean(axis=1).var(ddof=1) / 200 + above.mean(axis=0).var(ddof=1) / 200
    found = clustered_auroc(scores, positive, np.arange(400))
    expected = norm.sf((found.auroc - 0.5) / np.sqrt(delong))
    assert np.log(found.p_value) == pytest.approx(np.log(expected), rel=0.01)


def test_films_of_one_patient_widen_the_interval():
    generator = np.random.default_rng(7)
    positive = np.repeat(np.arange(40) % 2 == 0, 5)
    scores = np.repeat(generator.normal(size=40), 5) + positive
    alone = clustered_auroc(scores, positive, np.arange(200))
    together = clustered_auroc(scores, positive, np.repeat(np.arange(40), 5))
    assert together.auroc == alone.auroc
    assert together.high - together.low > 1.8 * (alone.high - alone.low)  # sqrt(5) at most


def test_a_perfect_score_is_bounded_by_its_patients():
    positive = np.arange(60) < 20
    found = clustered_auroc(positive.astype(float), positive, np.arange(60))
    assert found.auroc == found.high == 1.0
    assert found.low == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)  # Wilson, 20 of 20


def test_a_film_without_patient_is_its_own():
    rows = pd.DataFrame({"patient_id": pd.array(["a", None, "a", None, "row:1"], "string")})
    codes = patient_codes(rows)
    assert codes[0] == codes[2]
    assert len(set(codes)) == 4


def test_no_patient_is_on_both_sides_of_a_fold():
    patients = np.repeat(np.arange(50), 3)
    positive = patients % 2 == 0
    held_out = []
    for train, test in folds_by_patient(positive, patients, seed=0):
        assert not set(patients[train]) & set(patients[test])
        held_out += list(test)
    assert sorted(held_out) == list(range(150))


def test_memorised_patients_do_not_help():
    generator = np.random.default_rng(11)
    patients = np.repeat(np.arange(60), 4)
    positive = generator.permutation(np.arange(60) % 2 == 0)[patients]
    features = generator.normal(size=(60, 80))[patients]  # tells the patient, nothing else
    scores = out_of_fold_scores(features, positive, folds_by_patient(positive, patients, seed=0))
    assert clustered_auroc(scores, positive, patients).low < 0.5


@pytest.mark.parametrize("columns", [5, 150])
def test_both_solvers_find_a_telling_feature(columns):
    generator = np.random.default_rng(13)
    positive = np.arange(200) % 2 == 0
    features = generator.normal(size=(200, columns))
    features[:, 2] += 2.0 * positive
    scores = out_of_fold_scores(features, positive, folds_by_patient(positive, np.arange(200), seed=0))
    assert roc_auc_score(positive, scores) > 0.7


def test_enough_patients_counts_patients_not_films():
    positive = np.arange(100) < 50
    assert enough_patients(positive, np.arange(100), at_least=50)
    assert not enough_patients(positive, np.arange(100) // 2, at_least=26)
