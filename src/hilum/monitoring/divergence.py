"""How far one histogram is from another: PSI and KL, and what of it chance alone explains.

Both are 0 for equal distributions and grow with the difference: an alarm is raised ABOVE a threshold. For n
films of the reference's own distribution held against m reference films, 1 / (1/n + 1/m) times the index
follows about a chi-squared distribution with (cells - 1) degrees of freedom, so a threshold asks for a number
of films below which it is crossed by chance (Yurdakul and Naranjo, J. Risk Model Validation 14(4), 2020).
"""

import math

import numpy as np
from scipy.special import chdtri

from hilum.domain.thresholds import DRIFT_BINS
from hilum.evaluation.inputs import FloatArray, IntArray

_SMOOTHING = 0.5  # films added to each cell (Jeffreys), so that an empty one has a logarithm


def population_stability_index(new: FloatArray, reference: FloatArray) -> float:
    """Return the sum of (p - q) ln(p / q) over the cells of two distributions (cells,), all cells above 0."""
    return float(((new - reference) * np.log(new / reference)).sum())


def kl_divergence(new: FloatArray, reference: FloatArray) -> float:
    """Return the sum of p ln(p / q), nats, p new and q the reference, all cells above 0."""
    return float((new * np.log(new / reference)).sum())


def to_distribution(counts: IntArray) -> FloatArray:
    """Return the shares of counts (cells,), half a film added to each cell."""
    padded = counts + _SMOOTHING
    return np.asarray(padded / padded.sum(), np.float64)


def group_cells(reference: IntArray, bins: int = DRIFT_BINS) -> IntArray:
    """Return the bin of each grid cell, int64 (cells,): neighbours together, about equal reference mass."""
    total = int(reference.sum())
    middle = np.cumsum(reference) - reference / 2
    ranks = np.floor(bins * middle / max(total, 1)).astype(np.int64)
    return np.unique(np.clip(ranks, 0, bins - 1), return_inverse=True)[1].astype(np.int64)


def regroup(counts: IntArray, bins: IntArray) -> IntArray:
    """Return the counts of each bin, (cells,) to (bins,)."""
    return np.bincount(bins, weights=counts, minlength=int(bins.max()) + 1).astype(np.int64)


def chance_index(bins: int, films: int, reference_films: int, alpha: float) -> float:
    """Return the index that films of the reference's own distribution exceed with probability `alpha`."""
    return float(chdtri(bins - 1, alpha)) * (1 / films + 1 / reference_films)


def films_needed(bins: int, reference_films: int, threshold: float, alpha: float) -> int | None:
    """Return how many films make chance exceed a threshold at most at a rate `alpha`; None if none do."""
    if bins < 2:  # noqa: PLR2004 - one cell cannot differ
        return None
    room = threshold / float(chdtri(bins - 1, alpha)) - 1 / max(reference_films, 1)
    return math.ceil(1 / room) if room > 0 else None
