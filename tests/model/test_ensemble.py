"""Several networks as one: the mean of their probabilities, and only of networks that see films alike."""

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from hilum.config.schema import TrainConfig
from hilum.domain.errors import CheckpointError
from hilum.model.ensemble import Ensemble
from hilum.model.scoring import FilmScores, Scorer
from tests.model.test_scoring import scorer_with

LOGITS = {"a": [[2.0, 0.0, -1.0]], "b": [[-300.0, 0.0, 4.0]]}


class FixedScorer:
    """Gives the logits it was made with, whatever the films are."""

    def __init__(self, name: str, *, grid: int = 2, **preprocessing: Any) -> None:
        self.config = TrainConfig.model_validate({"preprocessing": preprocessing})
        self.side_px, self.weights_sha256, self.provenance = 96, name * 8, {}
        self._scores = FilmScores(
            np.array(LOGITS[name], np.float32),
            np.full((1, 3), ord(name), np.float32),
            np.full((1, 3, grid, grid), ord(name), np.float32),
        )

    def score(self, films: Any, *, on_films: Any = None) -> FilmScores:
        if on_films is not None:
            on_films(len(films))
        return self._scores


def ensemble_of(*members: FixedScorer, temperature: float = 1.0) -> Ensemble:
    named = {f"model-{number}": member for number, member in enumerate(members)}
    return Ensemble(named, dict.fromkeys(named, temperature))  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_probabilities_are_the_mean_of_the_members_at_their_temperatures(temperature: float):
    seen: list[int] = []
    made = ensemble_of(FixedScorer("a"), FixedScorer("b"), temperature=temperature)
    scores = made.score(np.zeros((1, 96, 96), np.uint8), on_films=seen.append)
    expected = np.mean([softmax(np.array(LOGITS[name]) / temperature, axis=1) for name in "ab"], axis=0)
    assert softmax(scores.logits, axis=1) == pytest.approx(expected, abs=1e-6)
    assert np.isfinite(scores.logits).all()  # also where a member is as good as certain
    assert scores.embedding.tolist() == [[97.0] * 3 + [98.0] * 3]
    assert scores.cam.tolist() == np.full((1, 3, 2, 2), 97.5).tolist()
    assert seen == [1]  # a film counts once, not once for each member


def test_two_real_networks_give_their_mean():
    films = np.random.default_rng(0).integers(0, 256, (2, 96, 96), np.uint8)
    first = scorer_with()
    other = np.random.default_rng(7).integers(0, 90, (8, 96, 96), np.uint8)
    second = first.adapt_to(other, share=1.0)
    made = Ensemble({"first": first, "second": second}, {"first": 1.0, "second": 1.0})
    expected = np.mean([softmax(one.score(films).logits, axis=1) for one in (first, second)], axis=0)
    assert softmax(made.score(films).logits, axis=1) == pytest.approx(expected, abs=1e-6)
    assert made.provenance["members"] == {"first": first.weights_sha256, "second": second.weights_sha256}
    swapped = Ensemble({"second": second, "first": first}, {"first": 1.0, "second": 1.0})
    assert swapped.weights_sha256 == made.weights_sha256 != first.weights_sha256
    assert isinstance(first, Scorer)
    assert made.config.model.architecture == "test_efficientnet + test_efficientnet"


def test_what_differs_in_preprocessing_is_named_with_both_values():
    with pytest.raises(
        CheckpointError, match=r"model-1: its preprocessing differs from that of model-0: "
    ) as refusal:
        ensemble_of(FixedScorer("a"), FixedScorer("b", image_size=128, lung_crop=True))
    assert "image_size is 128 against 224; lung_crop is True against False" in str(refusal.value)


def test_one_model_or_one_twice_is_no_ensemble():
    with pytest.raises(CheckpointError, match="needs two models at least"):
        ensemble_of(FixedScorer("a"))
    with pytest.raises(CheckpointError, match="model-1: has the same weights as model-0"):
        ensemble_of(FixedScorer("a"), FixedScorer("a"))


def test_maps_of_different_sizes_are_refused_with_the_sizes():
    made = ensemble_of(FixedScorer("a"), FixedScorer("b", grid=3))
    with pytest.raises(CheckpointError, match=r"differ in size \(model-0 2x2, model-1 3x3\)"):
        made.score(np.zeros((1, 96, 96), np.uint8))
