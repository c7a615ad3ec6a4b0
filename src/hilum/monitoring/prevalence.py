"""Other classes, or a model that fails? What a change of the calls says when the films are compared as well.

If only the mix of classes changed, the calls and confidences that come are a mixture of what each class
showed at release: the mixture that fits best estimates the new prevalence (Saerens et al., Neural Comp. 14,
2002, the EM form of label-shift estimation; Lipton et al., ICML 2018), and what it leaves over is tested by
chi-squared. If no mixture fits, films or model changed, and no prevalence is stated.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import DRIFT_ALPHA
from hilum.evaluation.histogram import grid_edges
from hilum.evaluation.inputs import FloatArray, IntArray

_STEPS = 500
_LEAST_EXPECTED = 5.0  # films in a cell of a chi-squared test
_COARSE = 5  # cells of the grid that are one here: films are few


@dataclass(frozen=True, slots=True)
class PrevalenceShift:
    """`shares` float64 (K,) of the mixture that fits best; `p` small when no mixture fits."""

    shares: FloatArray
    p: float

    @property
    def explains(self) -> bool:
        """Whether a change of prevalence alone explains the calls."""
        return self.p >= DRIFT_ALPHA


def estimate_prevalence(called: IntArray, joint: IntArray) -> PrevalenceShift:
    """Estimate the classes behind films of which only the answers are known.

    Parameters
    ----------
    called
        Films by called class and cell of the confidence, int64 (K, B).
    joint
        The same of the reference by true class, int64 (K, K, B).
    """
    classes = len(CLASS_NAMES)
    seen = _coarsen(called[None])[0].astype(np.float64)
    known = _coarsen(joint).astype(np.float64)
    totals = known.sum(axis=1)
    by_class = (known + 0.5 / known.shape[1]) / (totals + 0.5)[:, None]  # (K, cells), rows sum to 1
    shares = np.full(classes, 1 / classes)
    for _ in range(_STEPS):
        weighted = shares[:, None] * by_class
        responsibility = weighted / weighted.sum(axis=0)
        shares = (responsibility * seen).sum(axis=1) / max(seen.sum(), 1.0)
    return PrevalenceShift(shares, _fit(seen, shares, by_class, totals))


def _fit(seen: FloatArray, shares: FloatArray, by_class: FloatArray, totals: FloatArray) -> float:
    """Return the chance of films as far from the mixture; the reference is a sample as well."""
    films = seen.sum()
    expected = films * (shares[:, None] * by_class).sum(axis=0)
    # variance of a cell: of the films, and of each class's own share of it, known from so many films
    of_reference = (shares[:, None] ** 2 * by_class * (1 - by_class) / np.maximum(totals, 1)[:, None]).sum(
        axis=0
    )
    variance = np.maximum(expected, 1e-9) + films**2 * of_reference
    is_used = expected >= _LEAST_EXPECTED
    rest_seen, rest_expected = seen[~is_used].sum(), expected[~is_used].sum()
    statistic = float((((seen - expected) ** 2) / variance)[is_used].sum())
    cells = int(is_used.sum())
    if rest_expected > 0:
        statistic += float((rest_seen - rest_expected) ** 2 / (rest_expected + variance[~is_used].sum()))
        cells += 1
    freedom = max(cells - len(shares), 1)
    return float(chdtrc(freedom, statistic))


def _coarsen(counts: IntArray) -> IntArray:
    """Return counts (N, K, B) as (N, cells): neighbouring cells of the confidence together."""
    cells = len(grid_edges("confidence")) - 1
    grouped = counts.reshape(len(counts), counts.shape[1], cells // _COARSE, _COARSE).sum(axis=3)
    return np.asarray(grouped.reshape(len(counts), -1), np.int64)
