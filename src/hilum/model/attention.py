"""Grad-CAM in closed form through the head: no backward pass, no hooks.

The head after global average pooling is BatchNorm, Linear, ReLU, BatchNorm, Linear (dropout does nothing at
inference), so the gradient of a class score by the pooled vector is a product of two matrices and a
0/1 mask. Averaging the gradient over space, as Grad-CAM does, divides it by h * w: the pooled mean.

References
----------
Selvaraju et al., "Grad-CAM", ICCV 2017, equations 1 and 2. Report 11.1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def score_gradients(pooled: Tensor, norm: nn.BatchNorm1d, hidden: nn.Linear, out: Tensor) -> Tensor:
    """Return d score_k / d pooled_c as float32 (B, K, C).

    Parameters
    ----------
    pooled
        float32 (B, C), the pooled features.
    norm, hidden
        The head's first normalisation (C) and first linear layer (C to D).
    out
        float32 (K, D): the last linear layer's weights times the second normalisation's scale.
    """
    active = (hidden(norm(pooled)) > 0).to(pooled.dtype)  # (B, D), where ReLU passes the gradient
    inward = hidden.weight * norm_scale(norm)  # (D, C)
    return torch.einsum("kd,bd,dc->bkc", out, active, inward)


def norm_scale(norm: nn.BatchNorm1d) -> Tensor:
    """Return the factor (C,) that a batch normalisation multiplies by at inference."""
    assert norm.running_var is not None  # our head always tracks statistics
    return norm.weight / torch.sqrt(norm.running_var + norm.eps)


def class_activation_maps(features: Tensor, gradients: Tensor) -> Tensor:
    """Return Grad-CAM maps, float32 (B, K, h, w) >= 0, unscaled.

    Parameters
    ----------
    features
        float32 (B, C, h, w), the last feature map.
    gradients
        float32 (B, K, C), the gradient of each class score by the pooled features.
    """
    height, width = features.shape[-2:]
    weights = gradients / (height * width)  # pooling is the mean of h * w values
    return functional.relu(torch.einsum("bkc,bchw->bkhw", weights, features))
