"""Losses of the report's section 4.2 (weighted cross-entropy, focal) and a two-step loss for split sources.

The two-step loss asks apart what the data can answer apart: whether a film is abnormal, which every source
contrasts within itself, and which disease it is, which here goes with the source.

Both return a sum and its normaliser rather than a mean, so that several processes can divide by the
normaliser of the whole batch; the quotient of one process equals torch's weighted mean.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hilum.config.schema import LossSettings
from hilum.domain.errors import EmptyDataset
from hilum.domain.findings import CLASS_NAMES, Finding


class LossSum(NamedTuple):
    """`total / normalizer` is the mean loss; both are scalars."""

    total: Tensor
    normalizer: Tensor


def inverse_frequency_weights(class_counts: NDArray[np.int64]) -> Tensor:
    """Return N / (C * n_c) per class, float32 (K,): report Table 7.

    Raises
    ------
    EmptyDataset
        If a class has no film: its weight would be infinite.
    """
    absent = [name for name, count in zip(CLASS_NAMES, class_counts, strict=True) if count == 0]
    if absent:
        raise EmptyDataset(
            f"training split has no {' and no '.join(absent)} film; every class needs some to be learned."
        )
    return torch.tensor(class_counts.sum() / (len(class_counts) * class_counts), dtype=torch.float32)


class ClassificationLoss:
    """The loss of one run; targets are probabilities (B, K), so that Mixup fits."""

    def __init__(self, settings: LossSettings, class_counts: NDArray[np.int64]) -> None:
        self.label_smoothing = settings.label_smoothing
        self.focal_gamma = settings.focal_gamma if settings.name == "focal" else 0.0
        self.kind_weight = settings.kind_weight if settings.name == "two_step" else None
        if settings.class_weights == "inverse_frequency":
            self.weights = inverse_frequency_weights(class_counts)
        else:
            self.weights = torch.ones(len(class_counts))

    def __call__(self, logits: Tensor, targets: Tensor) -> LossSum:
        """Return the loss sum of a batch and its normaliser, the class weight of its films.

        Parameters
        ----------
        logits
            float (B, K).
        targets
            float32 (B, K), rows sum to 1.
        """
        if self.kind_weight is not None:
            return self._two_steps(logits.float(), targets, self.kind_weight)
        weights = self.weights.to(logits.device)
        log_p = functional.log_softmax(logits.float(), dim=1)  # (B, K)
        smoothed = targets * (1.0 - self.label_smoothing) + self.label_smoothing / targets.shape[1]
        per_class = -weights * smoothed * log_p
        if self.focal_gamma > 0.0:
            per_class = per_class * (1.0 - log_p.exp()) ** self.focal_gamma  # Lin et al., ICCV 2017, eq. 5
        return LossSum(per_class.sum(), (targets * weights).sum())

    def _two_steps(self, logits: Tensor, targets: Tensor, kind_weight: float) -> LossSum:
        """Return cross-entropy of normal against the rest, plus that of the disease among the abnormal.

        Both are read off the K logits (log-sum-exp of the diseases against Normal, and the diseases among
        themselves), so softmax over K stays the answer and the head stays the report's. Class weights do not
        apply: `training.sampling` balances.
        """
        normal, diseases = (
            CLASS_NAMES.index(Finding.NORMAL),
            [index for index, name in enumerate(CLASS_NAMES) if name != Finding.NORMAL],
        )
        log_p = functional.log_softmax(logits, dim=1)  # (B, K)
        log_abnormal = torch.logsumexp(log_p[:, diseases], dim=1)  # (B,)
        smooth = self.label_smoothing
        is_normal = targets[:, normal] * (1.0 - smooth) + smooth / 2
        whether = -(is_normal * log_p[:, normal] + (1.0 - is_normal) * log_abnormal)
        log_kind = log_p[:, diseases] - log_abnormal[:, None]  # (B, K - 1), sums to 1 over diseases
        share = targets[:, diseases]
        kind = share * (1.0 - smooth) + share.sum(dim=1, keepdim=True) * smooth / len(diseases)
        which = -(kind * log_kind).sum(dim=1)
        return LossSum((whether + kind_weight * which).sum(), targets.sum())
