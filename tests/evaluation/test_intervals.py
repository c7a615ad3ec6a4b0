import numpy as np
import pytest
from scipy.stats import binomtest

from hilum.evaluation import intervals
from hilum.evaluation.discrimination import discriminate
from hilum.evaluation.intervals import Basis, measure, rate_basis, resample_weights, wilson_interval


def mean_statistic(values):
    return lambda weights: {"mean": weights @ values / weights.sum(axis=1)}


def test_zero_of_201_has_an_upper_bound():
    low, high = wilson_interval(0, 201)
    assert low == 0.0
    assert high == pytest.approx(0.0188, abs=1e-4)
    assert wilson_interval(201, 201)[1] == 1.0


@pytest.mark.parametrize(("events", "trials"), [(0, 7), (3, 7), (90, 100), (7, 7)])
def test_wilson_equals_scipy(events, trials):
    expected = binomtest(events, trials).proportion_ci(method="wilson")
    assert wilson_interval(events, trials) == pytest.approx((expected.low, expected.high))


def test_a_resample_draws_as_many_patients_as_there_are_and_brings_all_their_films():
    patients = np.array([0, 0, 0, 1, 2, 2])
    weights = np.concatenate(list(resample_weights(patients, resamples=300, seed=1)))
    assert weights.shape == (300, 6)
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert np.array_equal(weights[:, [0, 3, 4]].sum(axis=1), np.full(300, 3.0))
    assert weights[:, 3].mean() == pytest.approx(1.0, abs=0.15)


def test_small_chunks_add_up_to_all_resamples(monkeypatch):
    monkeypatch.setattr(intervals, "_CHUNK_VALUES", 25)
    chunks = list(resample_weights(np.arange(10), resamples=7, seed=0))
    assert [len(chunk) for chunk in chunks] == [2, 2, 2, 1]


def test_films_of_one_patient_widen_the_interval():
    generator = np.random.default_rng(0)
    right = np.repeat(generator.random(40) < 0.8, 10)  # all ten films of a patient agree
    labels = np.zeros(400, dtype=int)
    probabilities = np.where(right[:, None], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1])
    by_patient = discriminate(
        labels, probabilities, np.repeat(np.arange(40), 10), resamples=500, seed=0
    ).accuracy
    by_film = discriminate(labels, probabilities, np.arange(400), resamples=500, seed=0).accuracy
    assert by_patient.value == by_film.value
    assert by_patient.high - by_patient.low > 2 * (by_film.high - by_film.low)


def test_wilson_counts_patients_not_films():
    patients = np.repeat(np.arange(20), 10)
    nothing = np.zeros(200, dtype=bool)
    basis = rate_basis(nothing, ~nothing, patients, reason="none")
    found = measure(mean_statistic(nothing.astype(float)), patients, {"mean": basis}, resamples=10)["mean"]
    assert (found.events, found.films) == (0, 200)
    assert found.high == pytest.approx(wilson_interval(0, 20)[1])
    assert found.method == intervals.WILSON


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(3)
    covered = 0
    for trial in range(150):
        values = (generator.random(80) < 0.7).astype(float)
        found = measure(
            mean_statistic(values), np.arange(80), {"mean": Basis(80, 80)}, resamples=200, seed=trial
        )["mean"]
        covered += found.low <= 0.7 <= found.high
    assert 0.88 <= covered / 150 <= 0.99


def test_undefined_resamples_are_counted_and_left_out():
    labels = np.array([2] + [0] * 20)
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(3), 21)
    area = discriminate(labels, probabilities, np.arange(21), resamples=400, seed=0).row("Tuberculosis").auroc
    assert area.value is not None
    # A patient is missed by a resample of 21 with probability (20/21)^21 = 0.36.
    assert 100 < area.undefined_resamples < 190


def test_a_perfect_auroc_still_has_a_lower_bound():
    labels = np.array([0] * 30 + [1] * 20)
    scores = np.where(labels == 1, 0.9, 0.05)
    probabilities = np.stack([1 - scores - 0.01, scores, np.full(50, 0.01)], axis=1)
    area = discriminate(labels, probabilities, np.arange(50), resamples=50, seed=0).sick_vs_normal
    assert area.value == 1.0
    assert area.low == pytest.approx(wilson_interval(20, 20)[0])
    assert area.method == intervals.PERFECT


def test_the_same_seed_gives_the_same_interval_and_another_does_not():
    values, patients = np.random.default_rng(0).random(50), np.arange(50)
    first, again, other = (
        measure(mean_statistic(values), patients, {"mean": Basis(50, 50)}, resamples=100, seed=seed)["mean"]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first.low != other.low


def test_no_resamples_give_no_interval():
    found = measure(mean_statistic(np.array([0.2, 0.4])), np.arange(2), {"mean": Basis(2, 2)}, resamples=0)[
        "mean"
    ]
    assert (found.low, found.method) == (None, intervals.NOT_ASKED)
