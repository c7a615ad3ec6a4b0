import numpy as np
import pytest

from hilum.domain.errors import DatasetError
from hilum.domain.thresholds import WORST_CONFUSED_FILMS
from hilum.evaluation.calibration import Temperature
from hilum.evaluation.evaluate import GivenAnswers, evaluate_predictions, find_worst_films
from hilum.evaluation.inputs import EvaluationInput, read_scored_films
from hilum.evaluation.promises import GivenPromises
from hilum.evaluation.record import to_plain
from tests.evaluation.films import USUAL, make_table


def test_temperature_is_fitted_on_validation_and_used_on_test():
    validation = make_table(USUAL, split="val", seed=1)
    columns = [name for name in validation.columns if name.startswith("logit_")]
    sharp = validation.assign(**{name: 3 * validation[name] for name in columns})
    plain, sharpened = (
        evaluate_predictions(EvaluationInput(make_table(USUAL), table), resamples=0)
        for table in (validation, sharp)
    )
    assert sharpened.temperature.value == pytest.approx(3 * plain.temperature.value, rel=1e-4)
    assert plain.uncalibrated == sharpened.uncalibrated
    assert plain.calibrated != sharpened.calibrated
    assert plain.targets[0].disease == "Tuberculosis"
    assert plain.targets[0].cutoff is not None


def test_without_validation_nothing_is_fitted():
    evaluation = evaluate_predictions(EvaluationInput(make_table(USUAL)), resamples=0)
    assert evaluation.temperature.value == 1.0
    assert evaluation.calibrated == evaluation.uncalibrated
    assert [target.cutoff for target in evaluation.targets] == [None, None]


def test_fitting_on_the_films_under_test_must_be_said():
    table = make_table(USUAL)
    with pytest.raises(DatasetError, match="fitted_on_test=True"):
        evaluate_predictions(EvaluationInput(table, table), resamples=0)
    allowed = evaluate_predictions(EvaluationInput(table, table, fitted_on_test=True), resamples=0)
    assert allowed.validation_films == len(table)


def test_the_same_input_and_seed_give_the_same_figures():
    inputs = EvaluationInput(make_table(USUAL), make_table(USUAL, split="val", seed=1))
    first, second = (evaluate_predictions(inputs, resamples=30, seed=4) for _ in range(2))
    assert first.discrimination == second.discrimination
    assert first.subgroups == second.subgroups


def test_the_worst_films_are_the_surest_mistakes_and_show_every_kind():
    # 20 tuberculosis films called Pneumonia at 0.9, one Normal film called Tuberculosis at 0.6
    table = make_table({("east", "Tuberculosis"): 20, ("east", "Normal"): 2})
    films = read_scored_films(table)
    probabilities = np.tile([0.05, 0.9, 0.05], (22, 1))
    probabilities[20] = [0.3, 0.1, 0.6]
    probabilities[21] = [0.9, 0.05, 0.05]
    worst = find_worst_films(films, probabilities)
    assert len(worst) == WORST_CONFUSED_FILMS
    assert (worst[0].true, worst[0].called, worst[0].confidence) == ("Tuberculosis", "Pneumonia", 0.9)
    assert (worst[-1].true, worst[-1].called) == ("Normal", "Tuberculosis")
    assert worst[-1].path == films.paths[20]


GIVEN = Temperature(4.0, films=0, reason="that of the bundle")


def test_a_given_temperature_is_used_and_cut_offs_are_fitted_with_it():
    inputs = EvaluationInput(make_table(USUAL), make_table(USUAL, split="val", seed=1))
    fitted = evaluate_predictions(inputs, resamples=0)
    given = evaluate_predictions(inputs, resamples=0, given=GivenAnswers(GIVEN))
    assert given.temperature == GIVEN
    assert given.uncalibrated == fitted.uncalibrated
    assert given.probabilities.max() < fitted.probabilities.max()
    assert given.promises is not None
    assert fitted.promises is not None
    assert given.promises.sets != fitted.promises.sets
    again = evaluate_predictions(inputs, resamples=0, given=GivenAnswers(fitted.temperature))
    assert again.promises == fitted.promises


def test_given_promises_are_looked_at_on_the_films_under_test_and_not_fitted():
    inputs = EvaluationInput(make_table(USUAL), make_table(USUAL, split="val", seed=1))
    other = EvaluationInput(make_table(USUAL), make_table(USUAL, split="val", seed=2, strength=1.0))
    released = evaluate_predictions(inputs, resamples=0)
    assert released.promises is not None
    record = to_plain(released.promises.to_answer_record())
    own = GivenAnswers(released.temperature, GivenPromises.from_record(record))
    again = evaluate_predictions(other, resamples=0, given=own)
    assert again.promises is not None
    assert again.promises.sets == released.promises.sets
    for kept, before in zip(again.promises.rules, released.promises.rules, strict=True):
        assert (kept.rule, kept.missed, kept.referred) == (before.rule, before.missed, before.referred)
    refitted = evaluate_predictions(other, resamples=0)
    assert refitted.promises is not None
    assert refitted.promises.rules[0].rule != released.promises.rules[0].rule
