"""Networks with their weights lost from the head down, to ask whether a map depends on what was learned.

Every parameter is replaced by its own values in another order, so that a layer keeps its scale and nothing
that was learned. Normalisation statistics are then taken anew from films, else the signal of a shuffled
network dies on the way and its maps are blank for no good reason.

References
----------
Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, section 4.1 (cascading randomisation).
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hilum.model.classifier import FilmClassifier
from hilum.model.scoring import Scorer


def randomize(scorer: Scorer, films: NDArray[np.uint8], *, share: float, seed: int) -> Scorer:
    """Return a scorer whose head, and the last `share` of whose backbone layers, have shuffled weights.

    Parameters
    ----------
    films
        uint8 (N, side, side), at least 2, for the normalisation statistics.
    share
        Of the backbone's layers, from the last one, in [0, 1]; 1 leaves nothing that was learned.
    """
    shuffled = shuffle_weights(scorer.network, share=share, seed=seed)
    return Scorer(shuffled, scorer.config).adapt_to(films, share=1.0)


@torch.no_grad()
def shuffle_weights(network: FilmClassifier, *, share: float, seed: int) -> FilmClassifier:
    """Return a copy as `randomize` says, its normalisation statistics as they were."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = copy.deepcopy(network)
    layers = [module for module in shuffled.backbone.modules() if _own_parameters(module)]
    lost = layers[len(layers) - round(share * len(layers)) :]
    for module in (*lost, *shuffled.head.modules()):
        for parameter in _own_parameters(module):
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return shuffled


def _own_parameters(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters(recurse=False))
