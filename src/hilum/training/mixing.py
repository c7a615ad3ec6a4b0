"""Mixup and CutMix: the report's future work (4.7), off unless a setting asks for them.

Partners are the next films of the same batch. Random numbers come from torch's global generator, which is
reseeded each epoch.

References
----------
Zhang et al., "mixup", ICLR 2018; Yun et al., "CutMix", ICCV 2019.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from hilum.config.schema import Augmentation
from hilum.domain.findings import CLASS_NAMES


def mix_batch(films: Tensor, labels: Tensor, settings: Augmentation) -> tuple[Tensor, Tensor]:
    """Return films float32 (B, 1, H, W) and target probabilities float32 (B, K), mixed when asked.

    Parameters
    ----------
    films
        float32 (B, 1, H, W).
    labels
        int64 (B,).
    """
    targets = functional.one_hot(labels, len(CLASS_NAMES)).float()  # (B,) -> (B, K)
    kinds = [
        (alpha, mix)
        for alpha, mix in ((settings.mixup_alpha, _mixup), (settings.cutmix_alpha, _cutmix))
        if alpha > 0.0
    ]
    if not kinds:
        return films, targets
    alpha, mix = kinds[int(torch.randint(len(kinds), ()))]
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    films, share = mix(films, films.roll(1, dims=0), share)
    return films, share * targets + (1.0 - share) * targets.roll(1, dims=0)


def _mixup(films: Tensor, partners: Tensor, share: float) -> tuple[Tensor, float]:
    return share * films + (1.0 - share) * partners, share


def _cutmix(films: Tensor, partners: Tensor, share: float) -> tuple[Tensor, float]:
    height, width = films.shape[-2:]
    cut = math.sqrt(1.0 - share)
    rows, columns = int(height * cut), int(width * cut)
    top = int(torch.randint(height - rows + 1, ()))
    left = int(torch.randint(width - columns + 1, ()))
    mixed = films.clone()
    mixed[..., top : top + rows, left : left + columns] = partners[
        ..., top : top + rows, left : left + columns
    ]
    return mixed, 1.0 - rows * columns / (height * width)  # the share of pixels really kept
