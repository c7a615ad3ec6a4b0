"""Bands that a collimator, a shutter or a scanner leaves around a film, drawn to fit and to test with.

Knows nothing about how a field is found (`hilum.imaging.exposed_field`).
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

_MAX_BAND = 0.5
_MAX_TILT_DEGREES = 6.0
_MIN_FIELD = 0.5  # of a side, between two drawn bands
_MAX_NOISE_GREY = 2.0


@dataclass(frozen=True, slots=True)
class Collimation:
    """Bands as shares of the picture's sides, the grey of the border, and how far the field is turned.

    `noise` is the deviation of the border's grey.
    """

    top: float = 0.0
    bottom: float = 0.0
    left: float = 0.0
    right: float = 0.0
    tilt_degrees: float = 0.0
    grey: float = 0.0
    noise: float = 0.0


def collimate(film: Grey, bands: Collimation, *, fit: bool = True, seed: int = 0) -> Grey:
    """Draw bands around a film, uint8 (H, W) in and out.

    Parameters
    ----------
    fit
        Shrink the film into the field, so that nothing of it is hidden; else the bands lie over it.
    seed
        Of the border's noise.
    """
    height, width = film.shape
    if fit:
        corners = _corners(bands, width, height)
        from_corners = np.array([[0, 0], [width, 0], [0, height]], np.float32) - 0.5
        shrunk = _shrink_to(film, corners)
        scale = np.array([[shrunk.shape[1] / width, shrunk.shape[0] / height]], np.float32)
        affine = cv2.getAffineTransform(
            ((from_corners + 0.5) * scale - 0.5).astype(np.float32), corners[:3].astype(np.float32)
        )
        film = cv2.warpAffine(
            shrunk, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ).astype(np.uint8)
    field = _field_mask(bands, width, height)
    random = np.random.default_rng(seed)
    border = bands.grey + random.normal(0, bands.noise, film.shape) if bands.noise else bands.grey
    return np.asarray(np.clip(np.rint(field * film + (1 - field) * border), 0, 255), np.uint8)


def draw_collimation(random: np.random.Generator) -> Collimation:
    """Draw bands at random: one to four sides, up to half the picture, any grey, turned or not."""
    sides = random.permutation(["top", "bottom", "left", "right"])[: random.integers(1, 5)]
    shares: dict[str, Any] = {str(side): float(random.uniform(0.02, _MAX_BAND)) for side in sides}
    for pair in (("top", "bottom"), ("left", "right")):
        total = sum(shares.get(side, 0.0) for side in pair)
        for side in pair:
            if side in shares and total > 1 - _MIN_FIELD:
                shares[side] *= (1 - _MIN_FIELD) / total
    grey = float(random.choice([0.0, 255.0, random.uniform(0, 255)], p=[0.6, 0.2, 0.2]))
    tilt = float(random.uniform(-_MAX_TILT_DEGREES, _MAX_TILT_DEGREES)) if random.integers(2) else 0.0
    return Collimation(
        **shares, tilt_degrees=tilt, grey=grey, noise=float(random.uniform(0, _MAX_NOISE_GREY))
    )


def _corners(bands: Collimation, width: int, height: int) -> NDArray[np.float64]:
    """Return top left, top right, bottom left and bottom right of the field, px (4, 2) as x, y."""
    left, right = bands.left * width, (1 - bands.right) * width
    top, bottom = bands.top * height, (1 - bands.bottom) * height
    corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]]) - 0.5
    centre = corners.mean(axis=0)
    angle = np.deg2rad(bands.tilt_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray((corners - centre) @ turn.T + centre)


def _shrink_to(film: Grey, corners: NDArray[np.float64]) -> Grey:
    """Average the film down to about the field's size, so that warping it needs no further smoothing."""
    across, down = (float(np.linalg.norm(corners[to] - corners[0])) for to in (1, 2))
    size = (max(1, min(film.shape[1], round(across))), max(1, min(film.shape[0], round(down))))
    return np.asarray(cv2.resize(film, size, interpolation=cv2.INTER_AREA), np.uint8)


def _field_mask(bands: Collimation, width: int, height: int) -> NDArray[np.float32]:
    """Return the share of each pixel that lies inside the field, float32 (H, W)."""
    corners = _corners(bands, width, height)
    centre, across, down = corners.mean(axis=0), corners[1] - corners[0], corners[2] - corners[0]
    from_centre = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1) - centre  # (H, W, 2)
    mask = np.ones((height, width))
    for edge in (across, down):
        length = float(np.linalg.norm(edge))
        inside = length / 2 - np.abs(from_centre @ (edge / length))  # px from the nearer edge
        mask *= np.clip(inside + 0.5, 0, 1)
    return np.asarray(mask, np.float32)
