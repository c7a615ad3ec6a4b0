import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from hilum.domain.thresholds import MAX_TEMPERATURE
from hilum.evaluation.calibration import calibrate, fit_temperature, reliability_bins, scale
from tests.evaluation.films import random_scores


def measured(labels, probabilities, resamples=0):
    return calibrate(labels, probabilities, np.arange(len(labels)), resamples=resamples, seed=0)


def draw_labels(probabilities, seed):
    cumulative = probabilities.cumsum(axis=1)
    draws = np.random.default_rng(seed).random((len(probabilities), 1))
    return np.minimum((draws > cumulative).sum(axis=1), 2)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature):
    logits = np.random.default_rng(1).normal(scale=2.0, size=(20_000, 3))
    fitted = fit_temperature(logits, draw_labels(scale(logits, temperature), seed=2))
    assert fitted.value == pytest.approx(temperature, rel=0.05)
    assert fitted.nll_after <= fitted.nll_before
    assert fitted.reason is None


def test_the_fit_equals_scikit_learn():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 600)
    features = generator.normal(size=(600, 4)) + np.eye(3, 4)[labels]
    model = LogisticRegression(C=100).fit(features[:300], labels[:300])
    peer = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(
        features[300:], labels[300:]
    )
    beta = peer.calibrated_classifiers_[0].calibrators[0].beta_
    ours = fit_temperature(model.decision_function(features[300:]), labels[300:])
    assert ours.value == pytest.approx(1 / float(np.squeeze(beta)), abs=1e-3)


def test_validation_without_a_mistake_fits_nothing_and_says_so():
    labels = np.array([0, 1, 2] * 10)
    fitted = fit_temperature(10 * np.eye(3)[labels], labels)
    assert fitted.value == 1.0
    assert fitted.reason == "not fitted: no validation film is named wrong"


def test_scores_that_mislead_end_at_a_bound_and_say_so():
    labels = np.array([0, 1, 2] * 10)
    fitted = fit_temperature(-10 * np.eye(3)[labels], labels)
    assert fitted.value == pytest.approx(MAX_TEMPERATURE, rel=1e-3)
    assert "bound" in fitted.reason


def test_one_class_fits_nothing():
    fitted = fit_temperature(np.zeros((5, 3)), np.zeros(5, dtype=int))
    assert (fitted.value, fitted.nll_after) == (1.0, None)
    assert "fewer than two classes" in fitted.reason


def test_ece_worked_by_hand():
    # Four films at 0.9, half right: gap 0.4. Four at 0.5, half right: gap 0. ECE = 0.2.
    probabilities = np.array([[0.9, 0.05, 0.05]] * 4 + [[0.5, 0.3, 0.2]] * 4)
    labels = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    ours = measured(labels, probabilities)
    assert ours.ece.value == pytest.approx(0.2)
    assert ours.slope.value == pytest.approx(0.0, abs=1e-12)
    assert ours.classwise_ece["Normal"].value == pytest.approx(0.2)
    filled = [point for point in ours.bins if point.films]
    assert [(point.films, point.observed_rate) for point in filled] == [(4, 0.5), (4, 0.5)]
    # Tuberculosis: 0.05 and 0.2 claimed, nothing seen: (0.05 + 0.2) / 2
    assert ours.classwise_ece["Tuberculosis"].value == pytest.approx(0.125)
    # Pneumonia: |0.05 - 0.5| and |0.3 - 0.5|
    assert ours.classwise_ece["Pneumonia"].value == pytest.approx((0.45 + 0.2) / 2)
    assert ours.classwise_mean.value == pytest.approx((0.2 + 0.125 + 0.325) / 3)


def test_brier_and_nll_equal_scikit_learn():
    labels, probabilities = random_scores(3)
    ours = measured(labels, probabilities)
    assert ours.nll.value == pytest.approx(log_loss(labels, probabilities))
    assert ours.brier.value == pytest.approx(brier_score_loss(labels, probabilities, scale_by_half=False))


def test_honest_probabilities_have_a_small_error_and_slope_one():
    probabilities = scale(np.random.default_rng(5).normal(scale=1.5, size=(20_000, 3)), 1.0)
    ours = measured(draw_labels(probabilities, seed=6), probabilities)
    assert ours.ece.value < 0.02
    assert ours.slope.value == pytest.approx(1.0, abs=0.06)


def test_the_interval_of_ece_holds_the_value_though_resamples_are_biased():
    probabilities = scale(np.random.default_rng(5).normal(scale=1.5, size=(400, 3)), 1.0)
    ece = measured(draw_labels(probabilities, seed=6), probabilities, resamples=300).ece
    assert 0 <= ece.low < ece.value < ece.high


def test_one_bin_has_no_slope():
    ours = measured(np.array([0, 1, 0]), np.tile([0.6, 0.3, 0.1], (3, 1)))
    assert ours.slope.value is None
    assert "one bin" in ours.slope.reason


def test_bins_take_their_upper_edge_and_the_ends():
    probabilities = np.array([[1.0, 0.0, 0.0], [0.4, 0.3, 0.3]])  # 0.4 = 6 / 15 closes the sixth bin
    filled = [
        number
        for number, point in enumerate(reliability_bins(np.array([0, 0]), probabilities))
        if point.films
    ]
    assert filled == [5, 14]


def test_scaling_stands_large_logits():
    values = scale(np.array([[1000.0, 0.0, -1000.0], [3.0, 3.0, 3.0]]), 0.5)
    assert values[0].tolist() == [1.0, 0.0, 0.0]
    assert values[1].tolist() == pytest.approx([1 / 3] * 3)
    assert values.dtype == np.float64
