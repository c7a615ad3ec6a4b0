"""Augmentation of report 3.3, for a whole batch at once.

One epoch's random numbers are drawn together, one row per film, from a generator seeded by (seed, epoch).
A film's augmentation therefore depends on the seed, the epoch and the film alone: not on batch order, not
on the process that loads it, not on where a killed run stopped.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hilum.config.schema import Augmentation

_GREY_MAX = 255.0


@dataclass(frozen=True, slots=True, eq=False)
class EpochDraw:
    """What happens to each of N films in one epoch; every field is float32 (N,)."""

    flip: Tensor  # 1 or -1
    angle: Tensor  # radians
    scale: Tensor
    shift_x: Tensor  # share of the side, -1 to 1 spans the film
    shift_y: Tensor
    brightness: Tensor
    contrast: Tensor


def epoch_generator(seed: int, epoch: int, *, stream: int) -> torch.Generator:
    """Return a private generator for one purpose (`stream`) in one epoch."""
    generator = torch.Generator()
    generator.manual_seed((seed * 1_000_003 + epoch) * 16 + stream)
    return generator


def draw_epoch(count: int, settings: Augmentation, generator: torch.Generator) -> EpochDraw:
    """Draw the augmentation of `count` films.

    The same numbers are consumed whatever the switches say, so turning one off leaves the others alone.
    """
    uniform = torch.rand(7, count, generator=generator)

    def between(row: int, low: float, high: float, *, active: bool, neutral: float) -> Tensor:
        values = low + (high - low) * uniform[row]
        return values if active else torch.full((count,), neutral)

    degrees = settings.rotation_degrees
    shift = 2.0 * settings.translate  # grid coordinates run from -1 to 1
    low, high = settings.scale
    flipped = (uniform[0] < 0.5).float()  # noqa: PLR2004 - a fair coin
    return EpochDraw(
        flip=1.0 - 2.0 * flipped if settings.horizontal_flip else torch.ones(count),
        angle=between(1, -degrees, degrees, active=settings.rotation, neutral=0.0) * (math.pi / 180.0),
        scale=between(2, low, high, active=settings.affine, neutral=1.0),
        shift_x=between(3, -shift, shift, active=settings.affine, neutral=0.0),
        shift_y=between(4, -shift, shift, active=settings.affine, neutral=0.0),
        brightness=between(
            5, 1 - settings.brightness, 1 + settings.brightness, active=settings.color_jitter, neutral=1.0
        ),
        contrast=between(
            6, 1 - settings.contrast, 1 + settings.contrast, active=settings.color_jitter, neutral=1.0
        ),
    )


def augment_batch(films: Tensor, draw: EpochDraw, index: Tensor) -> Tensor:
    """Flip, rotate, scale, shift and jitter a batch in one interpolation.

    Parameters
    ----------
    films
        uint8 (B, 1, H, W).
    draw
        The epoch's numbers.
    index
        int64 (B,), each film's row in `draw`.

    Returns
    -------
    Tensor
        float32 (B, 1, H, W) in [0, 255]; what lies outside the film is 0 (air).
    """
    pixels = films.float()
    pixels = functional.grid_sample(
        pixels,
        functional.affine_grid(_sampling_matrices(draw, index), list(pixels.shape), align_corners=False),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    brightness = draw.brightness[index].view(-1, 1, 1, 1)
    contrast = draw.contrast[index].view(-1, 1, 1, 1)
    pixels = (pixels * brightness).clamp_(0.0, _GREY_MAX)
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)  # (B, 1, 1, 1)
    return ((pixels - mean) * contrast + mean).clamp_(0.0, _GREY_MAX)


def _sampling_matrices(draw: EpochDraw, index: Tensor) -> Tensor:
    """Return float32 (B, 2, 3): where each output pixel is read in the input (the inverse transform)."""
    cos = torch.cos(draw.angle[index]) / draw.scale[index]
    sin = torch.sin(draw.angle[index]) / draw.scale[index]
    flip = draw.flip[index]
    rows = torch.stack(
        [cos * flip, sin * flip, draw.shift_x[index], -sin, cos, draw.shift_y[index]],
        dim=1,
    )
    return rows.view(-1, 2, 3)
