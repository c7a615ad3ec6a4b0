import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.discrimination import describe_auroc, discriminate, weighted_auroc
from tests.evaluation.films import random_scores


def measured(labels, probabilities, resamples=0):
    return discriminate(labels, probabilities, np.arange(len(labels)), resamples=resamples, seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_every_figure_equals_scikit_learn(seed):
    labels, probabilities = random_scores(seed)
    called = probabilities.argmax(axis=1)
    ours = measured(labels, probabilities)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(labels, called)
    for k, row in enumerate(ours.classes):
        assert row.precision.value == pytest.approx(precision[k])
        assert row.recall.value == pytest.approx(recall[k])
        assert row.f1.value == pytest.approx(f1[k])
        assert row.support == support[k]
        assert row.specificity.value == pytest.approx(metrics.recall_score(labels != k, called != k))
        assert row.auroc.value == pytest.approx(metrics.roc_auc_score(labels == k, probabilities[:, k]))
    for average in ("macro", "weighted"):
        row = getattr(ours, average)
        expected = metrics.precision_recall_fscore_support(labels, called, average=average)
        assert [row.precision.value, row.recall.value, row.f1.value] == pytest.approx(list(expected[:3]))
        assert row.auroc.value == pytest.approx(
            metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average=average)
        )
    assert ours.accuracy.value == pytest.approx(metrics.accuracy_score(labels, called))
    assert np.array_equal(ours.confusion, metrics.confusion_matrix(labels, called))
    normalised = metrics.confusion_matrix(labels, called, normalize="true")
    assert np.allclose(np.array(ours.confusion_rates, dtype=float), normalised)
    assert ours.sick_vs_normal.value == pytest.approx(metrics.roc_auc_score(labels > 0, -probabilities[:, 0]))
    pair = labels != 1
    odds = np.log(probabilities[pair, 2]) - np.log(probabilities[pair, 0])
    assert ours.disease_vs_normal["Tuberculosis"].value == pytest.approx(
        metrics.roc_auc_score(labels[pair] == 2, odds)
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=2, max_size=30).filter(
        lambda films: len({positive for _, positive, weight in films if weight}) == 2
    )
)
def test_weighted_auroc_equals_scikit_learn_with_ties_and_repeats(films):
    scores, positive, weights = (np.array(column) for column in zip(*films, strict=True))
    ours = weighted_auroc(scores.astype(float), positive, weights[None].astype(float))
    assert ours[0] == pytest.approx(metrics.roc_auc_score(positive, scores, sample_weight=weights))


def test_case_worked_by_hand():
    # 4 Normal (3 right, 1 called TB), 2 Pneumonia (1 right, 1 called Normal), 4 TB (all right)
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2])
    called = np.array([0, 0, 0, 2, 1, 0, 2, 2, 2, 2])
    ours = measured(labels, np.eye(3)[called] * 0.7 + 0.1)
    normal, pneumonia, tuberculosis = ours.classes
    assert (normal.precision.value, normal.recall.value) == (0.75, 0.75)
    assert normal.specificity.value == pytest.approx(5 / 6)
    assert pneumonia.f1.value == pytest.approx(2 / 3)
    assert tuberculosis.precision.value == 0.8
    assert ours.macro.recall.value == pytest.approx((0.75 + 0.5 + 1) / 3)
    assert ours.weighted.recall.value == ours.accuracy.value == 0.8
    assert (pneumonia.recall.events, pneumonia.recall.films) == (1, 2)
    # one-vs-rest AUROC of Pneumonia: one positive above all 8 negatives, one tied with all: (8 + 4) / 16
    assert pneumonia.auroc.value == 0.75


def test_an_absent_class_is_undefined_with_a_reason_and_averages_say_what_they_cover():
    labels, probabilities = random_scores(1)
    keep = labels != 1
    ours = measured(labels[keep], probabilities[keep], resamples=20)
    row = ours.row("Pneumonia")
    assert row.recall.value is None
    assert row.recall.reason == "there are no Pneumonia films"
    assert row.auroc.reason == "one class only: there are no Pneumonia films"
    assert row.f1.value is None
    assert ours.macro.recall.note == "over 2 of 3 classes"
    others = [ours.row(name).recall.value for name in CLASS_NAMES if name != "Pneumonia"]
    assert ours.macro.recall.value == pytest.approx(sum(others) / 2)
    assert ours.confusion_rates[1] == (None, None, None)
    assert ours.disease_vs_normal["Pneumonia"].value is None


def test_one_class_only_leaves_nothing_to_rank():
    ours = measured(np.zeros(12, dtype=int), np.tile([0.6, 0.3, 0.1], (12, 1)), resamples=10)
    assert ours.sick_vs_normal.reason == "one class only: there are no films with a disease"
    assert ours.macro.auroc.reason == "no class has this metric"
    assert ours.macro.auroc.note == "over 0 of 3 classes"
    assert ours.row("Normal").specificity.reason == "all films are Normal"
    assert ours.row("Tuberculosis").precision.reason == "no film was called Tuberculosis"
    assert ours.accuracy.value == 1.0
    assert ours.macro.recall.value == 1.0


def test_a_class_that_is_never_called_has_f1_zero_and_no_precision():
    labels = np.array([0] * 12 + [2] * 12)
    ours = measured(labels, np.tile([0.6, 0.3, 0.1], (24, 1)), resamples=50)
    row = ours.row("Tuberculosis")
    assert row.precision.value is None
    assert row.f1.value == 0.0
    assert row.f1.method == "none: every resample gives the same value"
    assert row.auroc.value == 0.5


@pytest.mark.parametrize(
    ("area", "words"),
    [(0.987, "excellent"), (0.897, "very good"), (0.84, "good"), (0.7, "fair"), (0.6, "poor")],
)
def test_words_are_those_of_table_14(area, words):
    assert describe_auroc(area) == words
