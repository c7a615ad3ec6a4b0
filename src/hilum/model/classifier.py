"""Backbone, pooling and the report's head (Table 6) as one network that takes grey films.

BatchNorm, Dropout(0.3), Linear(256), ReLU, BatchNorm, Dropout(0.15), Linear(3). Everything between the
resized film and the backbone (`hilum.model.standardize`, then the backbone's input statistics) is part of the
network, so there is one place where it happens and the exported graph has it inside.
"""

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from hilum.config.schema import ModelSettings, Preprocessing
from hilum.domain.findings import CLASS_NAMES
from hilum.model.attention import class_activation_maps, norm_scale, score_gradients
from hilum.model.backbone import Backbone
from hilum.model.standardize import FilmStandardizer

_GREY_MAX = 255.0
_INPUT_STATISTICS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


class Scores(NamedTuple):
    """One forward pass: `logits` (B, K), `embedding` (B, C), `cam` (B, K, h, w) unscaled Grad-CAM >= 0."""

    logits: Tensor
    embedding: Tensor
    cam: Tensor


class ParameterCounts(NamedTuple):
    """Numbers of learned values, as the report's Table 6 lists them."""

    total: int
    trainable_frozen: int
    trainable_unfrozen: int


class FilmClassifier(nn.Module):
    """Grey films (B, 1, H, W) in [0, 255], any real dtype, to logits (B, K)."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, settings: ModelSettings, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.backbone = backbone.network
        self.head = nn.Sequential(
            nn.BatchNorm1d(backbone.feature_dim),
            nn.Dropout(settings.dropout),
            nn.Linear(backbone.feature_dim, settings.hidden_features),
            nn.ReLU(),
            nn.BatchNorm1d(settings.hidden_features),
            nn.Dropout(settings.dropout / 2),
            nn.Linear(settings.hidden_features, len(CLASS_NAMES)),
        )
        self.standardizer = FilmStandardizer(preprocessing)
        mean, std = _INPUT_STATISTICS.get(preprocessing.normalization, (backbone.mean, backbone.std))
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.is_backbone_frozen = False

    def forward(self, films: Tensor) -> Tensor:
        """Return logits, float (B, K)."""
        return self.head(self.extract_features(films).mean(dim=(2, 3)))  # type: ignore[no-any-return]

    def extract_features(self, films: Tensor) -> Tensor:
        """Return the last feature map (B, C, h, w); without gradient while the backbone is frozen."""
        grey = self.standardizer(films.float()) / _GREY_MAX
        inputs = (grey - self.mean) / self.std  # (B, 1, H, W) -> (B, 3, H, W)
        # A frozen backbone is run without gradient rather than by requires_grad: DDP fixes at construction
        # which parameters take part.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_backbone_frozen):
            return self.backbone(inputs.contiguous(memory_format=torch.channels_last))  # type: ignore[no-any-return]

    def score(self, films: Tensor) -> Scores:
        """Return logits, embedding and class activation maps of one forward pass.

        The maps hold for inference: call `eval()` first.
        """
        features = self.extract_features(films)
        pooled = features.mean(dim=(2, 3))  # (B, C, h, w) -> (B, C)
        layers: tuple[Any, ...] = tuple(self.head)
        norm, _, hidden, _, second_norm, _, last = layers
        out = last.weight * norm_scale(second_norm)  # (K, D)
        gradients = score_gradients(pooled, norm, hidden, out)
        return Scores(self.head(pooled), pooled, class_activation_maps(features, gradients))

    def set_backbone_frozen(self, frozen: bool) -> None:  # noqa: FBT001 - a setter of one flag
        """Freeze or free the backbone, its batch normalisation statistics included (report 4.5)."""
        self.is_backbone_frozen = frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch to training; a frozen backbone stays in inference mode: its statistics stand still."""
        super().train(mode)
        if self.is_backbone_frozen:
            self.backbone.eval()
        return self

    def count_parameters(self) -> ParameterCounts:
        """Return the parameter counts of the report's Table 6, counted instead of estimated."""
        head = sum(parameter.numel() for parameter in self.head.parameters())
        total = head + sum(parameter.numel() for parameter in self.backbone.parameters())
        return ParameterCounts(total, head, total)
