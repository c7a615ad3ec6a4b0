"""Batch normalisation statistics brought towards those of a site's own films, without their labels.

The statistics of the training films centre features for the hospitals they came from; those of a new site's
films centre them for that site, but of few films, and of whatever mixture of findings they hold. The mean of
both ranks films best at sources left out of training (`benchmarks/remedies.py`, docs/results.md).

References
----------
Li et al., "Revisiting batch normalization for practical domain adaptation", 2016 (AdaBN); Schneider et al.,
"Improving robustness against common corruptions by covariate shift adaptation", NeurIPS 2020, eq. 1.
"""

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hilum.domain.errors import CheckpointError
from hilum.domain.thresholds import ADAPTATION_SHARE
from hilum.model.classifier import FilmClassifier

_BATCH_FILMS = 64
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@torch.no_grad()
def adapt_statistics(
    network: FilmClassifier,
    films: NDArray[np.uint8],
    *,
    share: float = ADAPTATION_SHARE,
    on_films: Callable[[int], object] | None = None,
) -> FilmClassifier:
    """Return a copy of a network whose normalisation statistics are brought towards those of `films`.

    Films pass in batches, each normalised by its own statistics as in training; a layer's new statistics are
    the mean over the batches, and enter with `share` beside those of training.

    Parameters
    ----------
    films
        uint8 (N, side, side), at least 2, in no particular order of findings.
    share
        In [0, 1]; 1 forgets the statistics of training.
    on_films
        Called with the number of films of each batch that has passed.
    """
    learned = read_statistics(network)
    device = next(network.parameters()).device
    adapted = copy.deepcopy(network).eval()
    norms = [module for module in adapted.modules() if isinstance(module, _NORMS)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over batches
        norm.train()
    parts = np.array_split(films, max(1, round(len(films) / _BATCH_FILMS)))  # equal, so that the mean is fair
    for part in parts:
        adapted(torch.from_numpy(part.copy()).unsqueeze(1).to(device))
        if on_films is not None:
            on_films(len(part))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    own = read_statistics(adapted)
    mixed = {
        name: torch.lerp(learned[name], value, share) if value.is_floating_point() else learned[name]
        for name, value in own.items()
    }
    return place_statistics(adapted, mixed).eval()


def read_statistics(network: FilmClassifier) -> dict[str, Tensor]:
    """Return the normalisation statistics of a network by the names of its state."""
    names = _statistics_names(network)
    return {name: value for name, value in network.state_dict().items() if name in names}


def place_statistics(network: FilmClassifier, statistics: Mapping[str, Tensor]) -> FilmClassifier:
    """Return a copy of a network with the statistics that `read_statistics` gave of another copy.

    Raises
    ------
    CheckpointError
        If they are of another network.
    """
    placed = copy.deepcopy(network)
    state = placed.state_dict()
    fits = {name: value.shape for name, value in statistics.items()} == {
        name: state[name].shape for name in _statistics_names(network)
    }
    if not fits:
        raise CheckpointError("the site's statistics are of another network. Commission the site again.")
    placed.load_state_dict({**state, **statistics})
    return placed


def _statistics_names(network: FilmClassifier) -> set[str]:
    norms = (name for name, module in network.named_modules() if isinstance(module, _NORMS))
    kinds = ("running_mean", "running_var", "num_batches_tracked")
    return {f"{norm}.{kind}" for norm in norms for kind in kinds}
