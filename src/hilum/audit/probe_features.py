"""What the shortcut probes look at: a table of numbers per film for each way of not seeing the lungs.

Pixels are uint8 (N, side, side), MONOCHROME2. Every function returns float64 (N, F). Blacking the lungs out
leaves the box they lay in, so the size of the lungs is still told; the border and the corners tell nothing
of them on a well-collimated film. Knows nothing about classes.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.audit.linear_probe import BoolArray, FloatArray, IntArray
from hilum.domain.thresholds import BORDER_SHARE, PATCH_GRID
from hilum.imaging.lungs import estimate_lungs

Films = NDArray[np.uint8]

_BORDER_CELLS = 36  # cells per side of the shrunken film: 4 of 36 are the border
_WHOLE_PX = 32
_THUMBNAIL_PX = 8
_CORNER_CELLS = 5  # of 36, per side of each corner
_HISTOGRAM_BINS = 16
_HOG_PX, _HOG_CELL_PX, _HOG_ANGLES = 64, 8, 8
_PATCH_CELLS = 4  # cells per side of one patch of the map
_THREADS = 2
_FIXED_LUNGS = (0.10, 0.10, 0.85, 0.90)  # top, left, bottom, right as shares, where no lungs are believed


def shrink(pixels: Films, side_px: int) -> NDArray[np.float32]:
    """Shrink films to float32 (N, side_px, side_px) by area averaging."""
    size = (side_px, side_px)
    films = [cv2.resize(film, size, interpolation=cv2.INTER_AREA) for film in pixels]
    return np.asarray(films, np.float32).reshape(len(pixels), side_px, side_px)


def border(pixels: Films) -> FloatArray:
    """Return the outer `BORDER_SHARE` of each film in 36 x 36 cells: (N, 512)."""
    width = round(BORDER_SHARE * _BORDER_CELLS)
    ring = np.ones((_BORDER_CELLS, _BORDER_CELLS), np.bool_)
    ring[width:-width, width:-width] = False
    return np.asarray(shrink(pixels, _BORDER_CELLS)[:, ring], np.float64)


def corners(pixels: Films) -> FloatArray:
    """Return the four corners of each film, 14 % of the side each: (N, 100)."""
    small, cells = shrink(pixels, _BORDER_CELLS), _CORNER_CELLS
    parts = [
        small[:, rows, columns].reshape(len(pixels), -1)
        for rows in (slice(None, cells), slice(-cells, None))
        for columns in (slice(None, cells), slice(-cells, None))
    ]
    return np.asarray(np.hstack(parts), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class LungBoxes:
    """Where the lungs of N films are.

    Parameters
    ----------
    boxes
        int64 (N, 4): top, left, bottom, right in pixels, half open; a fixed box where none are believed.
    shares
        float64 (grid, grid), grid = `PATCH_GRID`: mean share of lung in each cell of the map.
    believed
        bool (N,).
    """

    boxes: IntArray
    shares: FloatArray
    believed: BoolArray


def lung_boxes(pixels: Films) -> LungBoxes:
    """Find the lungs of every film; about 13 ms a film."""
    side = pixels.shape[1]
    fixed = np.round(np.asarray(_FIXED_LUNGS) * side).astype(np.int64)

    def find(film: Films) -> tuple[IntArray, NDArray[np.float32], bool]:
        lungs = estimate_lungs(film)
        size = (PATCH_GRID, PATCH_GRID)
        share = cv2.resize(lungs.mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        if not lungs.is_believed:
            return fixed, np.asarray(share, np.float32), False
        rows, columns = (np.flatnonzero(lungs.mask.any(axis=axis)) for axis in (1, 0))
        box = np.asarray([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], np.int64)
        return box, np.asarray(share, np.float32), True

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(find, pixels))
    boxes, shares, believed = zip(*found, strict=True)
    return LungBoxes(
        np.stack(boxes), np.mean(np.stack(shares), axis=0, dtype=np.float64), np.asarray(believed)
    )


def without_lungs(pixels: Films, boxes: IntArray) -> FloatArray:
    """Return films with the box of their lungs in black, in 32 x 32 cells: (N, 1024)."""
    blacked = pixels.copy()
    for film, (top, left, bottom, right) in zip(blacked, boxes, strict=True):
        film[top:bottom, left:right] = 0
    return np.asarray(shrink(blacked, _WHOLE_PX).reshape(len(pixels), -1), np.float64)


def thumbnails(pixels: Films) -> FloatArray:
    """Return films of 8 x 8 pixels: (N, 64). Too coarse for any finding but a white lung."""
    return np.asarray(shrink(pixels, _THUMBNAIL_PX).reshape(len(pixels), -1), np.float64)


def histogram(pixels: Films) -> FloatArray:
    """Return the share of each of 16 grey bands: (N, 16). Knows how much, not where."""
    bands = (pixels >> 4).reshape(len(pixels), -1)
    counts = np.stack([np.bincount(film, minlength=_HISTOGRAM_BINS) for film in bands])
    return np.asarray(counts / bands.shape[1], np.float64)


def whole_film(pixels: Films) -> FloatArray:
    """Return what a simple look at the whole film gives: (N, 1536).

    32 x 32 grey values, and in 8 x 8 cells the strength of edges in 8 directions, scaled per cell (Dalal and
    Triggs, CVPR 2005, without overlap).
    """
    grey = shrink(pixels, _WHOLE_PX).reshape(len(pixels), -1)
    down, across = np.gradient(shrink(pixels, _HOG_PX), axis=(1, 2))  # (N, 64, 64)
    strength = np.hypot(across, down)
    angle = np.minimum((np.arctan2(down, across) % np.pi) / np.pi * _HOG_ANGLES, _HOG_ANGLES - 1).astype(
        np.int8
    )
    cells = _HOG_PX // _HOG_CELL_PX
    blocks = (len(pixels), cells, _HOG_CELL_PX, cells, _HOG_CELL_PX)
    edges = np.stack(
        [(strength * (angle == step)).reshape(blocks).mean(axis=(2, 4)) for step in range(_HOG_ANGLES)],
        axis=-1,
    )  # (N, 8, 8, 8)
    edges /= np.linalg.norm(edges, axis=-1, keepdims=True) + 1.0
    return np.asarray(np.hstack([grey, edges.reshape(len(pixels), -1)]), np.float64)


def patches(pixels: Films) -> FloatArray:
    """Return the map's cells, each as 4 x 4 grey values and their spread: (N, grid, grid, 17)."""
    side = PATCH_GRID * _PATCH_CELLS
    blocks = shrink(pixels, side).reshape(len(pixels), PATCH_GRID, _PATCH_CELLS, PATCH_GRID, _PATCH_CELLS)
    cells = blocks.transpose(0, 1, 3, 2, 4).reshape(len(pixels), PATCH_GRID, PATCH_GRID, -1)
    return np.asarray(np.concatenate([cells, cells.std(axis=-1, keepdims=True)], axis=-1), np.float64)


def file_facts(rows: pd.DataFrame) -> FloatArray:
    """Return what the file tells without its picture: (N, F).

    Width, height, pixels and aspect ratio (logarithms), and one column per file format. Unknown values
    become the median.
    """
    width, height = _sides(rows)
    formats = rows["format"].astype("string").fillna("").to_numpy(dtype=object)
    columns = [np.log(width), np.log(height), np.log(width * height), np.log(width / height)]
    columns += [(formats == name).astype(np.float64) for name in sorted(set(formats))[1:]]
    return np.stack([_fill_unknown(column) for column in columns], axis=1)


def bytes_per_pixel(rows: pd.DataFrame, file_bytes: FloatArray) -> FloatArray:
    """Return the logarithm of file size, (N,), by pixels: (N, 1).

    Compression, but also how much there is to see in the picture, lungs included.
    """
    width, height = _sides(rows)
    return _fill_unknown(np.log(np.maximum(file_bytes, 1.0) / (width * height)))[:, None]


def _sides(rows: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    width, height = (
        rows[name].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        for name in ("width", "height")
    )
    return np.asarray(width, np.float64), np.asarray(height, np.float64)


def _fill_unknown(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    return np.where(known, values, np.median(values[known]) if known.any() else 0.0)
