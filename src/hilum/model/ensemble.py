"""Several networks as one (report 13): the mean of their probabilities, as a deep ensemble has it.

Lakshminarayanan et al., NeurIPS 2017. The mean comes as logits, so that whatever takes the scores of one
network takes these. Members must see a film alike: where their preprocessing differs they are refused.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from hilum.config.schema import TrainConfig
from hilum.domain.errors import CheckpointError
from hilum.model.scoring import FilmScores, Scorer


class Ensemble:
    """Scores films by the mean of its members' probabilities.

    Parameters
    ----------
    members
        By name; two at least.
    temperatures
        By name: what a member's logits are divided by before they become probabilities.

    Raises
    ------
    CheckpointError
        If there are fewer than two, two have the same weights, or their preprocessing differs.
    """

    history: Mapping[str, Any] | None = None
    """Of training: members have one each, an ensemble none."""

    def __init__(self, members: Mapping[str, Scorer], temperatures: Mapping[str, float]) -> None:
        _check(members)
        self.members = dict(members)
        self._temperatures = temperatures
        first = next(iter(self.members.values()))
        self.side_px = first.side_px
        self.config = _describe(first.config, [one.config.model.architecture for one in members.values()])
        self.provenance = {"members": {name: one.weights_sha256 for name, one in members.items()}}
        joined = "\n".join(sorted(one.weights_sha256 for one in members.values()))
        self.weights_sha256 = hashlib.sha256(joined.encode()).hexdigest()

    def score(
        self, films: NDArray[np.uint8], *, on_films: Callable[[int], object] | None = None
    ) -> FilmScores:
        """Score films, uint8 (N, side, side): log of the mean probability, mean map, embeddings side by side.

        Raises
        ------
        EngineFailed
            If a score of a member is NaN or infinite.
        CheckpointError
            If the members' maps have different sizes.
        """
        *others, last = self.members.items()
        scores = {name: one.score(films) for name, one in others}
        scores[last[0]] = last[1].score(films, on_films=on_films)  # a film is done when the last has seen it
        shapes = {one.cam.shape[2:] for one in scores.values()}
        if len(shapes) > 1:
            sizes = ", ".join(
                f"{name} {'x'.join(map(str, one.cam.shape[2:]))}" for name, one in scores.items()
            )
            raise CheckpointError(
                f"the members' heatmaps differ in size ({sizes}). Give members of one size."
            )
        logs = [log_softmax(one.logits / self._temperatures[name], axis=1) for name, one in scores.items()]
        mean = logsumexp(np.stack(logs), axis=0) - np.log(len(logs))  # (M, N, K) -> (N, K)
        return FilmScores(
            mean.astype(np.float32),
            np.concatenate([one.embedding for one in scores.values()], axis=1),
            np.mean([one.cam for one in scores.values()], axis=0, dtype=np.float32),
        )


def _check(members: Mapping[str, Scorer]) -> None:
    if len(members) < 2:  # noqa: PLR2004 - what the word means
        raise CheckpointError("an ensemble needs two models at least; repeat --model, each with another one.")
    by_weights: dict[str, str] = {}
    (first, reference), *others = members.items()
    for name, member in members.items():
        same = by_weights.setdefault(member.weights_sha256, name)
        if same != name:
            raise CheckpointError(f"{name}: has the same weights as {same}. Name each model once.")
    expected = reference.config.preprocessing.model_dump()
    for name, member in others:
        found = member.config.preprocessing.model_dump()
        differences = [
            f"{key} is {found[key]} against {value}" for key, value in expected.items() if found[key] != value
        ]
        if differences:
            raise CheckpointError(
                f"{name}: its preprocessing differs from that of {first}: {'; '.join(differences)}."
                " Members of an ensemble need the same; leave it out or train it again."
            )


def _describe(config: TrainConfig, architectures: Sequence[str]) -> TrainConfig:
    """Return a member's settings with the architectures of all."""
    model = config.model.model_copy(update={"architecture": " + ".join(architectures)})
    return config.model_copy(update={"model": model})
