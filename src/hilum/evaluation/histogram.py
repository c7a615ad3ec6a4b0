"""Histograms on fixed grids (`MONITORED_GRIDS`), so that those of two days or sites add up."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import MONITORED_GRIDS
from hilum.evaluation.inputs import FloatArray, IntArray


@cache
def grid_edges(name: str) -> FloatArray:
    """Return the edges of a grid's cells, float64 (cells + 1,), read-only."""
    scale, low, high, cells = MONITORED_GRIDS[name]
    edges = np.geomspace(low, high, cells + 1) if scale == "log" else np.linspace(low, high, cells + 1)
    edges.flags.writeable = False
    return edges


def find_cells(name: str, values: NDArray[np.floating]) -> IntArray:
    """Return the cell of each value, (N,) to int64 (N,); a value on an edge belongs to the cell above it."""
    inner = grid_edges(name)[1:-1]
    return np.searchsorted(inner, np.asarray(values, np.float64), side="right").astype(np.int64)


def count_cells(name: str, values: NDArray[np.floating]) -> IntArray:
    """Return how many values lie in each cell, (N,) to int64 (cells,)."""
    return np.bincount(find_cells(name, values), minlength=len(grid_edges(name)) - 1).astype(np.int64)


def quantile_of(name: str, counts: IntArray, share: float) -> float | None:
    """Return the value below which a share of the counted films lies, linear inside a cell; None of none."""
    total = int(counts.sum())
    if not total:
        return None
    edges = grid_edges(name)
    cumulative = np.concatenate([[0], np.cumsum(counts)]) / total
    cell = int(np.clip(np.searchsorted(cumulative, share, side="left") - 1, 0, len(counts) - 1))
    width = cumulative[cell + 1] - cumulative[cell]
    inside = (share - cumulative[cell]) / width if width > 0 else 0.0
    return float(edges[cell] + inside * (edges[cell + 1] - edges[cell]))
