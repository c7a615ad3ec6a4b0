import numpy as np
import pytest

from hilum.domain.scenario import Scenario
from hilum.evaluation.discrimination import DISEASES
from hilum.evaluation.intervals import wilson_interval
from hilum.evaluation.operating_points import (
    UNCONFIRMED,
    Verdict,
    assess_scenarios,
    assess_target,
    call,
    films_needed,
    find_cutoff,
    headline,
    name_called,
)

FILMS = np.array(
    [
        [0.65, 0.30, 0.05],  # screening catches it at exactly 0.3
        [0.20, 0.35, 0.45],  # two diseases in screening: the likelier is named
        [0.10, 0.20, 0.70],  # confirmed at exactly 0.7
        [0.90, 0.05, 0.05],
    ]
)


def test_decisions_by_scenario():
    both = ("Tuberculosis", "Pneumonia")
    assert name_called(FILMS, Scenario.SCREENING) == [("Pneumonia",), both, ("Tuberculosis",), ()]
    assert name_called(FILMS, Scenario.BALANCED) == [(), ("Tuberculosis",), ("Tuberculosis",), ()]
    assert name_called(FILMS, Scenario.CONFIRMATION) == [(), (), ("Tuberculosis",), ()]


def test_what_is_named_is_what_table_15_measures():
    films = np.random.default_rng(4).dirichlet((1, 1, 1), 500)
    for scenario in Scenario:
        named = [[disease in names for disease in DISEASES] for names in name_called(films, scenario)]
        np.testing.assert_array_equal(named, call(films, scenario))


def test_the_headline_names_every_called_disease_and_never_a_sick_film_normal():
    assert headline(("Tuberculosis", "Pneumonia"), "Normal") == "Tuberculosis and Pneumonia"
    assert headline((), "Normal") == "Normal"
    assert headline((), "Tuberculosis") == UNCONFIRMED


def test_screening_may_call_both_diseases():
    assert call(FILMS, Scenario.SCREENING).tolist() == [
        [True, False],
        [True, True],
        [False, True],
        [False, False],
    ]
    assert call(FILMS, Scenario.BALANCED).tolist() == [
        [False, False],
        [False, True],
        [False, True],
        [False, False],
    ]


def test_table_15_by_hand():
    labels = np.array([1, 1, 2, 0])
    rows = {
        (row.scenario, row.disease): row
        for row in assess_scenarios(labels, FILMS, np.arange(4), resamples=0, seed=0)
    }
    screening = rows[Scenario.SCREENING, "Pneumonia"]
    assert (screening.cutoff, screening.sensitivity.value, screening.specificity.value) == (0.3, 1.0, 1.0)
    assert rows[Scenario.BALANCED, "Pneumonia"].sensitivity.value == 0.0
    assert rows[Scenario.BALANCED, "Pneumonia"].cutoff is None
    assert rows[Scenario.BALANCED, "Pneumonia"].precision.reason == "no film is called Pneumonia"
    assert rows[Scenario.BALANCED, "Tuberculosis"].specificity.value == pytest.approx(2 / 3)
    assert rows[Scenario.CONFIRMATION, "Tuberculosis"].precision.value == 1.0


def test_the_cutoff_is_the_highest_that_reaches_the_sensitivity():
    scores = np.arange(1, 11) / 10
    everything = np.ones(10, dtype=bool)
    assert find_cutoff(scores, everything, min_sensitivity=0.9) == 0.2
    assert find_cutoff(scores, everything, min_sensitivity=0.91) == 0.1
    assert find_cutoff(scores, ~everything, min_sensitivity=0.9) is None


def scores_of(positive: np.ndarray, values: np.ndarray):
    labels = np.where(positive, 2, 0)
    return labels, np.stack([1 - values, np.zeros_like(values), values], axis=1)


def judge(validation, test, resamples=200):
    return assess_target(
        "Tuberculosis",
        validation=validation,
        test=test,
        patients=np.arange(len(test[0])),
        resamples=resamples,
        seed=0,
    )


def test_a_model_that_separates_meets_the_target():
    positive = np.arange(400) < 200
    films = scores_of(positive, np.where(positive, 0.9, 0.1))
    result = judge(films, films)
    assert result.verdict is Verdict.MET
    assert (result.cutoff, result.validation_sensitivity, result.validation_specificity) == (0.9, 1.0, 1.0)
    assert result.sensitivity.low == pytest.approx(wilson_interval(200, 200)[0])


def test_few_films_reach_the_target_without_proving_it():
    positive = np.arange(60) < 20
    result = judge(
        scores_of(positive, np.where(positive, 0.9, 0.1)), scores_of(positive, np.where(positive, 0.9, 0.1))
    )
    assert result.verdict is Verdict.NOT_PROVEN
    # Wilson: n / (n + 3.84) >= 0.9 needs 35 films
    assert "about 35 Tuberculosis film(s), there are 20" in result.reason


def test_another_site_can_miss_the_target():
    positive = np.arange(100) < 50
    good = scores_of(positive, np.where(positive, 0.9, 0.1))
    result = judge(good, scores_of(positive, np.full(100, 0.1)))
    assert result.verdict is Verdict.MISSED
    assert result.reason == "sensitivity 0.0 % is below 90 %"


def test_too_few_films_cannot_be_judged():
    positive = np.arange(100) < 50
    good = scores_of(positive, np.where(positive, 0.9, 0.1))
    result = judge(good, scores_of(np.arange(30) < 4, np.full(30, 0.5)))
    assert result.verdict is Verdict.CANNOT_BE_JUDGED
    assert "only 4 Tuberculosis film(s); 10 of each are needed" in result.reason
    few = judge(scores_of(np.arange(30) < 4, np.full(30, 0.5)), good)
    assert few.cutoff is None
    assert "validation has 4 Tuberculosis film(s)" in few.reason
    assert "no validation split" in judge(None, good).reason


def test_only_diseased_validation_films_leave_the_specificity_open():
    positive = np.arange(100) < 50
    result = judge(
        scores_of(np.ones(20, dtype=bool), np.full(20, 0.5)),
        scores_of(positive, np.where(positive, 0.9, 0.1)),
    )
    assert result.validation_specificity is None


@pytest.mark.parametrize("rate", [0.92, 0.95, 1.0])
def test_the_planned_number_of_films_is_the_smallest(rate):
    films = films_needed(rate, 0.9)
    assert wilson_interval(rate * films, films)[0] >= 0.9
    assert wilson_interval(rate * (films - 1), films - 1)[0] < 0.9


def test_no_number_of_films_proves_what_is_not_reached():
    assert films_needed(0.9, 0.9) is None
    assert films_needed(0.9000001, 0.9) is None
