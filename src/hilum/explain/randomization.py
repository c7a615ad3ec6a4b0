"""Whether a map depends on what the network learned: it must not survive the loss of the weights.

The maps of a trained network are compared with those of copies whose weights were shuffled, layer by layer
from the head down, by rank. A map that stays (an edge detector, a centre blob) explains the film, not the
decision, however convincing it looks. Knows nothing about networks: takes the maps.

References
----------
Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, sections 3 and 4.1; Wang et al., "Image
quality assessment: from error visibility to structural similarity", IEEE TIP 13, 2004, equation 13.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from hilum.domain.thresholds import MAX_RANDOMIZED_RANK_CORRELATION
from hilum.explain.faithfulness import FloatArray, Interval, mean_interval

CASCADE = {
    0.0: "head",
    0.25: "head and last quarter of the layers",
    0.5: "head and last half of the layers",
    0.75: "head and last three quarters of the layers",
}
"""Share of the backbone's layers, from the last one, that lose their weights with the head: stage's name."""

UNLEARNED_SEEDS = (0, 1, 2)
"""Seeds of the fully randomised networks."""

_STABILIZERS = (0.01**2, 0.03**2)  # Wang et al. 2004, equation 13 and section III.C, for values up to 1


@dataclass(frozen=True, slots=True)
class RandomizedStage:
    """How like the trained maps those of one randomised network are.

    `rank_correlation` is the mean over films of |Spearman|, `structural_similarity` that of the SSIM of maps
    scaled to a maximum of 1 (1: the same map). `blank` maps of the randomised network have no ranks: they
    changed, and count as 0.
    """

    name: str
    rank_correlation: Interval
    structural_similarity: float
    blank: int


@dataclass(frozen=True, slots=True)
class RandomizationTest:
    """All stages; the maps pass when those of the fully randomised networks are unlike the trained ones."""

    stages: tuple[RandomizedStage, ...]
    unlearned: Interval
    passes: bool


def compare_with_randomized(
    cams: NDArray[np.float32],
    cascade: Iterable[tuple[str, NDArray[np.float32]]],
    unlearned: Iterable[NDArray[np.float32]],
) -> RandomizationTest:
    """Compare the maps of a trained network with those of randomised ones.

    The upper end of the interval of the mean |Spearman| with the fully randomised networks must not exceed
    `MAX_RANDOMIZED_RANK_CORRELATION`. One such network gives all films much the same map, which may be like
    the trained ones or not by luck: several are averaged film by film.

    Parameters
    ----------
    cams
        float32 (N, h, w), maps of the trained network, none of them even.
    cascade
        (Name of the stage, maps of the same films and classes).
    unlearned
        Maps by networks without anything learned, at least one.
    """
    stages = tuple(_compare(name, cams, others) for name, others in cascade)
    correlations = np.mean([np.abs(rank_correlations(cams, others)) for others in unlearned], axis=0)
    found = mean_interval(correlations)
    worst = found.mean if found.high is None else found.high
    return RandomizationTest(stages, found, worst <= MAX_RANDOMIZED_RANK_CORRELATION)


def rank_correlations(first: NDArray[np.float32], second: NDArray[np.float32]) -> FloatArray:
    """Return Spearman's correlation of each pair of maps (N, h, w), (N,); 0 where a map is even."""
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    one, other = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    scale = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return np.asarray(np.divide((one * other).sum(axis=1), scale, out=np.zeros(len(one)), where=scale > 0))


def structural_similarities(first: NDArray[np.float32], second: NDArray[np.float32]) -> FloatArray:
    """Return the SSIM of each pair of maps (N, h, w), each as one window scaled to a maximum of 1, (N,)."""
    one, other = (_to_unit_maximum(maps) for maps in (first, second))
    means, variances = (one.mean(1), other.mean(1)), (one.var(1), other.var(1))
    together = ((one - means[0][:, None]) * (other - means[1][:, None])).mean(axis=1)
    light, contrast = _STABILIZERS
    return np.asarray(
        (2 * means[0] * means[1] + light)
        * (2 * together + contrast)
        / ((means[0] ** 2 + means[1] ** 2 + light) * (variances[0] + variances[1] + contrast))
    )


def _compare(name: str, cams: NDArray[np.float32], others: NDArray[np.float32]) -> RandomizedStage:
    return RandomizedStage(
        name=name,
        rank_correlation=mean_interval(np.abs(rank_correlations(cams, others))),
        structural_similarity=float(structural_similarities(cams, others).mean()),
        blank=int((np.ptp(others.reshape(len(others), -1), axis=1) == 0).sum()),
    )


def _to_unit_maximum(maps: NDArray[np.float32]) -> FloatArray:
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    top = flat.max(axis=1, keepdims=True)
    return np.asarray(np.divide(flat, top, out=np.zeros_like(flat), where=top > 0))
