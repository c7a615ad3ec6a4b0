"""The raster on which a chest is drawn, and the few shapes it is drawn with.

Body frame: the origin is the middle of the film, one unit is half a film side, x grows to the image right
(the patient's left), y grows downwards. Maps are float32 (N, N).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatMap = NDArray[np.float32]

BODY_EXTENT = 1.24
"""Units drawn to each side of the origin: a shifted or turned film hardly shows the end of the drawing."""

SIDES = (-1.0, 1.0)
"""Image left (the patient's right), image right."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The pixel raster of the body frame: `x` float32 (1, N), `y` float32 (N, 1), `px_per_unit` pixels."""

    x: FloatMap
    y: FloatMap
    px_per_unit: float

    def to_px(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """Turn (N, 2) body points into cv2 fixed-point pixels (4 fractional bits)."""
        pixels = (points + BODY_EXTENT) * self.px_per_unit - 0.5
        return np.round(pixels * 16).astype(np.int32)


def make_grid(side_px: int) -> Grid:
    """Return the raster of the body frame at the resolution of a film of `side_px` pixels."""
    px_per_unit = side_px / 2
    count = round(2 * BODY_EXTENT * px_per_unit)
    axis = ((np.arange(count) + 0.5) / px_per_unit - BODY_EXTENT).astype(np.float32)
    return Grid(x=axis[None, :], y=axis[:, None], px_per_unit=px_per_unit)


def soft_step(signed: FloatMap, width: float) -> FloatMap:
    """Return 0 to 1 as `signed` (units, positive inside) crosses zero, over about `width` units."""
    ramp = np.clip(signed / width + 0.5, 0.0, 1.0)
    return np.asarray(ramp * ramp * (3.0 - 2.0 * ramp), dtype=np.float32)


def blob(grid: Grid, centre: tuple[float, float], radii: tuple[float, float], turn: float = 0.0) -> FloatMap:
    """Return the squared elliptic radius (1 on the outline) of every pixel: float32 (N, N)."""
    dx, dy = grid.x - np.float32(centre[0]), grid.y - np.float32(centre[1])
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    return np.asarray((along / radii[0]) ** 2 + (across / radii[1]) ** 2, dtype=np.float32)


def chord(square: FloatMap) -> FloatMap:
    """Return the relative thickness of an ellipsoid whose squared elliptic radius is given."""
    return np.asarray(np.sqrt(np.clip(1.0 - square, 0.0, 1.0)), np.float32)


def cloud(shape: tuple[int, int], cell_px: float, rng: np.random.Generator, octaves: int = 4) -> FloatMap:
    """Return smooth fractal noise, zero mean, unit deviation: float32 of `shape`."""
    total = np.zeros(shape, dtype=np.float32)
    weight = 1.0
    for _ in range(octaves):
        cells = max(3, round(shape[0] / cell_px) + 2)
        grains = rng.standard_normal((cells, cells), dtype=np.float32)
        total += np.float32(weight) * cv2.resize(grains, shape[::-1], interpolation=cv2.INTER_CUBIC)
        cell_px, weight = cell_px / 2, weight * 0.62
    return np.asarray((total - total.mean()) / total.std(), dtype=np.float32)
