"""What a film loses before the backbone sees it: the border, its sharpness, its exposure.

Each tells the source of a film, and with it the label, without the lungs. All are off by default (report
Table 5). No learned values; runs inside the network, after augmentation, so that what augmentation does to
exposure is evened out as it is at a new site.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hilum.config.schema import Preprocessing

_MIDDLE_GREY = 127.5
_DEVIATION_GREY = 50.0
"""Deviation that films are brought to: about 95 % of a normal distribution fits into [0, 255]."""
_FLAT_GREY = 4.0
"""Added to the deviation, so that an even patch is not blown up into noise."""
_GREY_MAX = 255.0
_NEIGHBOURHOOD_SHARE = 1 / 8
"""Deviation of the Gaussian neighbourhood of `local`, as a share of the side: wider than a rib, narrower
than a lung."""


class FilmStandardizer(nn.Module):
    """Films float32 (B, 1, H, W) in [0, 255] to the same shape and range."""

    def __init__(self, settings: Preprocessing) -> None:
        super().__init__()
        self.border_crop = settings.border_crop
        self.resolution_px = settings.effective_resolution
        self.standardization = settings.standardization

    def forward(self, films: Tensor) -> Tensor:
        """Crop, coarsen and standardise, in this order."""
        side = films.shape[-1]
        if self.border_crop:
            cut = round(self.border_crop * films.shape[-1])
            films = films[..., cut : films.shape[-2] - cut, cut : films.shape[-1] - cut]
        if 0 < self.resolution_px < films.shape[-1]:
            films = functional.interpolate(films, size=(self.resolution_px,) * 2, mode="area")
        if self.standardization == "local":
            films = _standardize_locally(films)
        elif self.standardization == "film":
            mean = films.mean(dim=(2, 3), keepdim=True)  # (B, 1, 1, 1)
            films = _to_grey(films - mean, _deviation((films - mean).square().mean(dim=(2, 3), keepdim=True)))
        if films.shape[-1] != side:
            films = functional.interpolate(films, size=(side, side), mode="bilinear", align_corners=False)
        return films


def _standardize_locally(films: Tensor) -> Tensor:
    """Bring each pixel's neighbourhood to one mean and deviation (local contrast normalisation).

    References
    ----------
    Jarrett et al., "What is the best multi-stage architecture for object recognition?", ICCV 2009, 2.1.
    """
    kernel = _gaussian(films.shape[-1] * _NEIGHBOURHOOD_SHARE, films)
    difference = films - _blur(films, kernel)
    return _to_grey(difference, _deviation(_blur(difference.square(), kernel)))


def _deviation(variance: Tensor) -> Tensor:
    return variance.clamp_min(0.0).sqrt() + _FLAT_GREY


def _to_grey(difference: Tensor, deviation: Tensor) -> Tensor:
    return (_MIDDLE_GREY + _DEVIATION_GREY * difference / deviation).clamp(0.0, _GREY_MAX)


def _gaussian(deviation_px: float, like: Tensor) -> Tensor:
    """Return a kernel (1, 1, 1, 2r + 1) that sums to 1, cut at two deviations."""
    radius = round(2.0 * deviation_px)
    offsets = torch.arange(-radius, radius + 1, device=like.device, dtype=like.dtype)
    weights = torch.exp(-0.5 * (offsets / deviation_px).square())
    return (weights / weights.sum()).view(1, 1, 1, -1)


def _blur(films: Tensor, kernel: Tensor) -> Tensor:
    radius = kernel.shape[-1] // 2
    padded = functional.pad(films, (radius, radius, radius, radius), mode="reflect")
    return functional.conv2d(functional.conv2d(padded, kernel), kernel.transpose(2, 3))
