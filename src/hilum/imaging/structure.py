"""What a picture shows, apart from its exposure: where edges run, and which places are darker than others.

A histogram of oriented gradients (Dalal and Triggs, CVPR 2005) with signed directions, so that black on white
differs from white on black, and a thumbnail of grey ranks. Any rising change of the grey values leaves the
ranks alone and the gradients nearly so: what is left is anatomy, and how it lies. Knows no labels.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.imaging.appearance import resize_square

_SIDE_PX = 64
_CELLS = 8  # per side
_DIRECTIONS = 8  # over the full turn
_RANK_SIDE_PX = 16
_BLUR_PX = 0.7
_CLIP = 0.6  # of a cell's normalised gradients: no single edge says it all
_QUIET = 0.0005  # share of the film's variance below which a cell's gradients count as noise

STRUCTURE_LENGTH = _DIRECTIONS * _CELLS**2 + _RANK_SIDE_PX**2


def describe_structure(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describe a picture, uint8 (H, W), by float32 (STRUCTURE_LENGTH,), about -1 to 1."""
    return np.concatenate([_gradients(pixels).ravel(), _ranks(pixels).ravel()]).astype(np.float32)


def _gradients(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the normalised gradient of each direction and cell: float32 (8, 8, 8)."""
    film = cv2.GaussianBlur(resize_square(pixels, _SIDE_PX).astype(np.float32), (0, 0), _BLUR_PX)
    right, down = cv2.Sobel(film, cv2.CV_32F, 1, 0), cv2.Sobel(film, cv2.CV_32F, 0, 1)
    strength = np.hypot(right, down)
    direction = (np.arctan2(down, right) / (2 * np.pi) * _DIRECTIONS) % _DIRECTIONS
    share = direction - np.floor(direction)
    lower = np.floor(direction).astype(np.intp) % _DIRECTIONS
    maps = np.zeros((_DIRECTIONS, film.size), np.float32)
    place = np.arange(film.size)
    maps[lower.ravel(), place] = (strength * (1.0 - share)).ravel()
    maps[(lower.ravel() + 1) % _DIRECTIONS, place] = (strength * share).ravel()
    cell_px = _SIDE_PX // _CELLS
    cells = maps.reshape(_DIRECTIONS, _CELLS, cell_px, _CELLS, cell_px).mean(axis=(2, 4))  # (8, 8, 8)
    energy = cv2.GaussianBlur((cells**2).sum(axis=0), (0, 0), 1.0)
    quiet = _QUIET * (float(film.std()) + 0.01) ** 2
    return np.asarray(np.minimum(cells / np.sqrt(energy + quiet), _CLIP), np.float32)


def _ranks(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the rank of each place of a 16 x 16 thumbnail, -1 darkest to 1 brightest; ties share theirs."""
    grey = resize_square(pixels, _RANK_SIDE_PX).ravel()
    ordered = np.sort(grey)
    below = np.searchsorted(ordered, grey, side="left") + np.searchsorted(ordered, grey, side="right")
    return np.asarray(below / grey.size - 1.0, np.float32)
