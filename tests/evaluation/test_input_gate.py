import json

import numpy as np
import pytest

from hilum.data.collimate import collimate, draw_collimation
from hilum.domain.errors import DatasetError
from hilum.evaluation.input_gate import (
    LinearCheck,
    _fit_linear,
    _joint_limits,
    _move_into_gap,
    count_refused,
    fit_gate,
    measure_flatness,
    widen_limit,
)
from hilum.evaluation.packed_array import unpack_array
from hilum.evaluation.wrong_films import WRONG_KINDS
from hilum.imaging.preprocess import prepare_film
from hilum.imaging.structure import STRUCTURE_LENGTH
from tests.phantom_films import TRAIN, VAL, embed, phantom_films, phantom_gate


def test_the_record_is_json_and_says_what_it_was_fitted_on():
    record = phantom_gate()
    assert json.loads(json.dumps(record)) == record
    assert record["fitted_on"] == {"train_films": TRAIN, "val_films": VAL, "further_films": 0, "seed": 1}
    assert set(record["limits"]) == {*WRONG_KINDS, "contrast-out-of-range", "unlike-training-films"}
    assert unpack_array(record["checks"]["inverted"]["weights"]).shape == (STRUCTURE_LENGTH,)
    assert unpack_array(record["mean_film"]).shape == (32, 32)


def test_all_validation_films_pass_when_one_would_be_too_many():
    assert phantom_gate()["val_let_through"] == 1.0  # 1 % of 24 films is none
    for limits in phantom_gate()["limits"].values():
        assert limits["limit"] >= limits["budget_limit"]


def test_the_same_films_and_seed_give_the_same_gate():
    assert phantom_gate.__wrapped__() == phantom_gate()


@pytest.mark.parametrize(("train", "val"), [(9, 12), (12, 9)])
def test_too_few_films_are_refused(train: int, val: int):
    films, more = phantom_films(0, 12)[:train], phantom_films(TRAIN, 12)[:val]
    with pytest.raises(DatasetError, match="9 (training|validation) films with 9 embeddings; at least 10"):
        fit_gate(films, embed(films), more, embed(more), embed=embed)


def test_films_without_their_embeddings_are_refused():
    films = phantom_films(0, 12)
    with pytest.raises(DatasetError, match="12 validation films with 11 embeddings"):
        fit_gate(films, embed(films), films, embed(films)[:11], embed=embed)


def test_joint_limits_keep_to_the_common_budget():
    random = np.random.default_rng(2)
    measures = {name: random.normal(size=500).astype(np.float32) for name in "abcd"}
    limits = _joint_limits(measures)
    refused = np.any([values > limits[name] for name, values in measures.items()], axis=0)
    assert 2 <= refused.sum() <= 5  # floor(0.01 * 501)
    ranks = {int((values > limits[name]).sum()) for name, values in measures.items()}
    assert len(ranks) == 1  # every check gets the same share


def test_joint_limits_of_one_check_are_its_order_statistic():
    values = np.arange(300, dtype=np.float32)
    assert _joint_limits({"only": values}) == {"only": 296.0}  # three of 300 lie above
    assert _joint_limits({"only": values[:50]}) == {"only": 49.0}


def test_limits_move_to_the_middle_of_a_gap_and_never_back():
    wrong = np.linspace(2.0, 3.0, 101)
    assert _move_into_gap(1.0, wrong) == pytest.approx(1.0 + 0.5 * (2.05 - 1.0))
    assert _move_into_gap(2.5, wrong) == 2.5


def test_the_linear_check_parts_two_clouds():
    random = np.random.default_rng(3)
    right = random.normal(0, 1, (300, 5)).astype(np.float32)
    wrong = random.normal(0, 1, (100, 5)).astype(np.float32) + np.float32([4, 0, 0, 0, 0])
    check = _fit_linear(right, wrong)
    assert isinstance(check, LinearCheck)
    assert check.score(right).mean() + check.score(wrong).mean() == pytest.approx(1.0, abs=1e-4)
    assert check.score(right).mean() < 0.25
    assert np.abs(check.weights[1:]).max() < 0.15 * check.weights[0]


def test_flatness_is_of_the_middle():
    film = np.zeros((100, 100), np.uint8)
    assert measure_flatness(film) == 8.0
    film[15:85, 15:50] = 200  # half of the middle
    assert measure_flatness(film) == pytest.approx(7.0)
    film[:15] = np.arange(100)
    assert measure_flatness(film) == pytest.approx(7.0)


def test_collimated_films_pass_once_they_are_cut_to_their_field():
    films = phantom_films(TRAIN + VAL, 16)
    random = np.random.default_rng(11)
    banded = [collimate(film, draw_collimation(random), seed=seed) for seed, film in enumerate(films)]
    whole, cut = np.stack(banded), np.stack([prepare_film(film, films.shape[-1]) for film in banded])
    embeddings = embed(films)
    refused = count_refused(phantom_gate(), whole, embeddings)["any"]
    assert refused >= 8
    assert count_refused(phantom_gate(), cut, embeddings)["any"] <= refused / 3


def test_refused_films_are_counted_by_check():
    films = np.concatenate([phantom_films(TRAIN, 6), 255 - phantom_films(TRAIN, 4)])
    embeddings = embed(np.concatenate([phantom_films(TRAIN, 6), phantom_films(TRAIN, 4)]))
    counts = count_refused(phantom_gate(), films, embeddings)
    assert (counts["inverted"], counts["any"]) == (4, 4)
    assert count_refused(phantom_gate(), films[:6], embeddings[:6]) == {"any": 0}
    assert count_refused(phantom_gate(), films[:6], embeddings[:6], limits={"inverted": -9.0})["any"] == 6


def test_a_limit_is_widened_to_right_films_but_not_to_wrong_ones():
    record = phantom_gate()
    films, before = phantom_films(TRAIN, 20), record["limits"]["cropped"]["limit"]
    assert widen_limit(record, "cropped", films) == before  # they pass already
    tight = {**record, "limits": {**record["limits"], "cropped": {"limit": -1.0}}}
    widened = widen_limit(tight, "cropped", films)
    assert -1.0 < widened < before
    assert count_refused(record, films, embed(films), limits={"cropped": widened})["any"] == 0
    turned = np.ascontiguousarray(films[:, ::-1])
    noticed = widen_limit(record, "not-upright", turned)  # the site's films are all wrong
    assert count_refused(record, turned, embed(turned), limits={"not-upright": noticed})["not-upright"] > 0


def test_only_checks_on_pixels_can_be_widened():
    with pytest.raises(
        DatasetError, match="no limit of 'unlike-training-films' can be widened; possible are"
    ):
        widen_limit(phantom_gate(), "unlike-training-films", phantom_films(TRAIN, 2))


def test_fitting_says_how_far_it_is():
    train, val = phantom_films(0, 12), phantom_films(TRAIN, 10)
    said: list[tuple[int, int]] = []
    fit_gate(train, embed(train), val, embed(val), embed=embed, progress=lambda *state: said.append(state))
    pictures = sum(len(makers) for makers in WRONG_KINDS.values()) * (12 + 10)
    assert said == [(made, pictures) for made in range(1, pictures + 1)]
