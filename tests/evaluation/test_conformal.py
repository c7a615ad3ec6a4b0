import numpy as np
import pytest

from hilum.evaluation.conformal import ClassCoverage, fit_conformal, measure_coverage


def films(rng: np.random.Generator, counts: tuple[int, int, int]):
    labels = np.repeat(np.arange(3), counts)
    logits = rng.normal(size=(len(labels), 3))
    logits[np.arange(len(labels)), labels] += 1.5
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True), labels


def test_cut_is_the_order_statistic_worked_by_hand():
    own = np.arange(1, 20) / 20  # 19 films: floor(20 * 0.1) = 2, the second lowest
    probabilities = np.column_stack([own, (1 - own) / 2, (1 - own) / 2])
    sets = fit_conformal(probabilities, np.zeros(19, int), miss_rate=0.1)
    assert sets.cuts["Normal"].cutoff == pytest.approx(0.10)
    assert sets.cuts["Normal"].films == 19


def test_class_with_too_few_films_is_in_every_set():
    own = np.full((8, 3), 1 / 3)
    sets = fit_conformal(own, np.array([0] * 8), miss_rate=0.1)
    assert [cut.cutoff for cut in sets.cuts.values()] == [0.0, 0.0, 0.0]
    assert sets.contains(np.array([[1.0, 0.0, 0.0]])).all()


def test_coverage_is_kept_for_each_class_in_simulation():
    rng = np.random.default_rng(1)
    rates = []
    for _ in range(300):
        sets = fit_conformal(*films(rng, (120, 60, 30)), miss_rate=0.1)
        coverage = measure_coverage(sets, *films(rng, (100, 100, 100)))
        rates.append([coverage[name].rate for name in sets.cuts])
    # Exact expectation: 1 - floor((n + 1) * 0.1) / (n + 1)
    expected = [1 - 12 / 121, 1 - 6 / 61, 1 - 3 / 31]
    np.testing.assert_allclose(np.mean(rates, axis=0), expected, atol=0.01)


def test_band_holds_95_percent_of_simulated_coverages():
    rng = np.random.default_rng(2)
    within = []
    for _ in range(400):
        sets = fit_conformal(*films(rng, (40, 40, 40)), miss_rate=0.1)
        within += [row.is_within_band for row in measure_coverage(sets, *films(rng, (42, 42, 42))).values()]
    assert 0.93 <= np.mean(within) <= 0.99  # the band is of whole films, so it holds a little more


def test_wrong_coverage_lies_outside_the_band():
    rng = np.random.default_rng(3)
    sets = fit_conformal(*films(rng, (300, 300, 300)), miss_rate=0.1)
    probabilities, labels = films(rng, (300, 300, 300))
    moved = measure_coverage(sets, probabilities[:, [1, 0, 2]], labels)
    assert moved["Normal"].is_within_band is False
    assert moved["Tuberculosis"].is_within_band is True


def test_no_test_films_means_no_verdict():
    coverage = ClassCoverage(0, 0, 1.0, 1.0)
    assert coverage.rate is None
    assert coverage.is_within_band is None
