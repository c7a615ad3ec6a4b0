"""Films to scores with a trained network: one function for evaluation, prediction and explanation.

Always float32 and in inference mode, in batches: a film's scores do not depend on how it was trained or, up
to rounding, on its neighbours in the batch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hilum.config.schema import TrainConfig
from hilum.domain.errors import EngineFailed
from hilum.domain.thresholds import ADAPTATION_SHARE
from hilum.imaging.placement import place_maps
from hilum.imaging.remedies import apply_remedies
from hilum.model.adaptation import adapt_statistics, place_statistics, read_statistics
from hilum.model.checkpoint import gap_history, load_classifier, read_checkpoint, state_sha256
from hilum.model.classifier import FilmClassifier
from hilum.model.device import pick_device

BATCH_FILMS = 32


@dataclass(frozen=True, slots=True, eq=False)
class FilmScores:
    """N films: `logits` float32 (N, K), `embedding` (N, C), `cam` (N, K, h, w) unscaled Grad-CAM >= 0.

    Maps cover the whole film, also where the model cuts it.
    """

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    cam: NDArray[np.float32]


class Scorer:
    """A network ready to score, on the device at hand."""

    def __init__(
        self,
        network: FilmClassifier,
        config: TrainConfig,
        *,
        provenance: dict[str, Any] | None = None,
        history: dict[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.provenance = provenance or {}
        self.history = history
        self.side_px = config.preprocessing.image_size
        self.weights_sha256 = state_sha256(network.state_dict())
        self._device = pick_device()
        self._network: FilmClassifier = network.to(self._device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @classmethod
    def from_checkpoint(cls, path: Path) -> "Scorer":
        """Load a checkpoint written by `hilum train`.

        Raises
        ------
        CheckpointError
            If it is not one, or does not fit.
        """
        checkpoint = read_checkpoint(path)
        network, config = load_classifier(checkpoint, name=str(path))
        history = gap_history(checkpoint)
        return cls(network, config, provenance=checkpoint["provenance"], history=history)

    @property
    def network(self) -> FilmClassifier:
        """The network in inference mode, for what needs its gradient; films enter it after remedies."""
        return self._network

    def adapt_to(
        self,
        films: NDArray[np.uint8],
        *,
        share: float = ADAPTATION_SHARE,
        on_films: Callable[[int], object] | None = None,
    ) -> "Scorer":
        """Return a scorer adapted to the normalisation of a site's films, uint8 (N, side, side).

        See `hilum.model.adaptation` for what the films must be like.
        """
        films = apply_remedies(films, self.config.preprocessing)
        return self._with(adapt_statistics(self._network, films, share=share, on_films=on_films))

    def statistics(self) -> dict[str, NDArray[Any]]:
        """Return the normalisation statistics by name, for `with_statistics` of the same model."""
        return {name: value.cpu().numpy() for name, value in read_statistics(self._network).items()}

    def with_statistics(self, statistics: Mapping[str, NDArray[Any]]) -> "Scorer":
        """Return a scorer with statistics kept from `adapt_to`.

        Raises
        ------
        CheckpointError
            If they are of another model.
        """
        tensors = {name: torch.tensor(value, device=self._device) for name, value in statistics.items()}
        return self._with(place_statistics(self._network, tensors))

    def _with(self, network: FilmClassifier) -> "Scorer":
        return Scorer(network, self.config, provenance=self.provenance, history=self.history)

    @torch.inference_mode()
    def score(
        self, films: NDArray[np.uint8], *, on_films: Callable[[int], object] | None = None
    ) -> FilmScores:
        """Score films, uint8 (N, side, side).

        Raises
        ------
        EngineFailed
            If a score is NaN or infinite: nothing of them may be shown.
        """
        seen = apply_remedies(films, self.config.preprocessing)
        parts: list[list[NDArray[np.float32]]] = []
        for start in range(0, len(seen), BATCH_FILMS):
            batch = torch.from_numpy(seen[start : start + BATCH_FILMS].copy()).unsqueeze(1)
            scores = self._network.score(batch.to(self._device))
            parts.append([value.cpu().numpy() for value in scores])
            if on_films is not None:
                on_films(len(batch))
        logits, embedding, cam = (np.concatenate(column) for column in zip(*parts, strict=True))
        if not all(np.isfinite(values).all() for values in (logits, embedding, cam)):
            raise EngineFailed("the network's scores are NaN or infinite; nothing of them is shown or kept.")
        return FilmScores(logits, embedding, place_maps(cam, films, self.config.preprocessing))
