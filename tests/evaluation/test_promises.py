import numpy as np
import pytest

from hilum.evaluation.calibration import scale
from hilum.evaluation.evaluate import evaluate_predictions
from hilum.evaluation.inputs import EvaluationInput, read_scored_films
from hilum.evaluation.promises import ANY_DISEASE, disease_scores, make_promises
from hilum.evaluation.record import to_record
from hilum.evaluation.summary import find_headlines
from tests.evaluation.films import USUAL, make_table


def promises_of(strength: float = 3.0):
    validation = read_scored_films(make_table(USUAL, seed=1, split="val", strength=strength))
    test = read_scored_films(make_table(USUAL, seed=2, strength=strength))
    return make_promises(validation, scale(validation.logits, 1), test.labels, scale(test.logits, 1)), test


def test_rules_cover_each_disease_and_any():
    promises, test = promises_of()
    assert [kept.rule.disease for kept in promises.rules] == ["Pneumonia", "Tuberculosis", ANY_DISEASE]
    pneumonia, _, anything = promises.rules
    scores, sick = disease_scores(scale(test.logits, 1), test.labels, "Pneumonia")
    assert pneumonia.missed == int(((scores < pneumonia.rule.cutoff) & sick).sum())
    assert (anything.films, anything.all_films) == (80, 150)
    assert promises.confounded == (("Pneumonia", "Tuberculosis"),)


def test_more_reading_never_weakens_the_promise():
    anything = promises_of()[0].rules[-1]
    assert list(anything.feasible) == ["0.25", "0.5", "0.75"]
    assert anything.feasible["0.25"] is None  # 80 of 150 are sick
    assert anything.feasible["0.75"] is not None


def test_scores_of_any_disease_are_what_is_not_normal():
    scores, sick = disease_scores(np.array([[0.7, 0.2, 0.1]]), np.array([2]), ANY_DISEASE)
    assert scores[0] == pytest.approx(0.3)
    assert sick.tolist() == [True]


def test_evaluation_carries_promises_and_the_record_for_answers():
    inputs = EvaluationInput(make_table(USUAL, seed=2), make_table(USUAL, seed=1, split="val"))
    record = to_record(evaluate_predictions(inputs, resamples=20))
    assert set(record["referral"]) == {"sets", "rules", "confounded"}
    assert record["referral"]["confounded"] == [["Pneumonia", "Tuberculosis"]]
    assert record["promises"]["coverage"]["Normal"]["films"] == 70


def test_films_that_break_the_promise_are_a_headline():
    moved = make_table(USUAL, seed=2)
    moved["logit_Normal"] += 5.0
    inputs = EvaluationInput(moved, make_table(USUAL, seed=1, split="val"))
    texts = [headline.text for headline in find_headlines(evaluate_predictions(inputs, resamples=20))]
    assert any(text.startswith("Prediction sets miss Tuberculosis in ") for text in texts)
    alike = EvaluationInput(make_table(USUAL, seed=2), make_table(USUAL, seed=1, split="val"))
    texts = [headline.text for headline in find_headlines(evaluate_predictions(alike, resamples=20))]
    assert not any(text.startswith("Prediction sets miss") for text in texts)


def test_without_its_own_validation_nothing_is_promised():
    table = make_table(USUAL)
    alone = evaluate_predictions(EvaluationInput(table, fitted_on_test=True), resamples=20)
    assert alone.promises is None
    assert to_record(alone)["referral"] is None
