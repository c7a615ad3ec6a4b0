"""Whether two samples of embeddings come from one distribution: the kernel two-sample test.

The unbiased squared maximum mean discrepancy with a Gaussian kernel as wide as the median distance in the
reference, judged by permuting which film belongs to which sample, so that its false-positive rate is the
level whatever the distribution. A SMALL p is a drift. Permuting stops early when it is plain that p
will not be small (Besag and Clifford, Biometrika 78, 1991), which leaves the level as it is.

References
----------
Gretton et al., A kernel two-sample test, JMLR 13, 2012, eq. 3 and section 8.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import EMBEDDING_PERMUTATIONS

_FIRST = 99
_MOST_AT_ONCE = 2_000
_PLAINLY_COMMON = 10  # permutations as large as what was seen: of the first 99, p is about 0.1 or more


@dataclass(frozen=True, slots=True)
class TwoSampleResult:
    """`mmd2` may be below zero by chance; `p` is the chance of one as large when nothing has moved."""

    mmd2: float
    p: float
    permutations: int


def compare_samples(
    new: NDArray[np.floating],
    reference: NDArray[np.floating],
    *,
    permutations: int = EMBEDDING_PERMUTATIONS,
    seed: int = 0,
) -> TwoSampleResult:
    """Compare coordinates (N, D) with those of the reference (M, D); N and M at least 2."""
    films, others = len(new), len(reference)
    both = np.concatenate([new, reference]).astype(np.float64)
    both -= both.mean(axis=0)  # or the lengths would hide the distances
    lengths = (both**2).sum(axis=1)
    squared = np.maximum(lengths[:, None] + lengths - 2 * both @ both.T, 0.0)
    width = np.median(squared[films:, films:][np.triu_indices(others, 1)])
    kernel = np.exp(-squared / max(float(width), 1e-12)).astype(np.float32)
    np.fill_diagonal(kernel, 0.0)
    rows = kernel.sum(axis=1, dtype=np.float64)
    total = float(rows.sum())

    def statistic(members: NDArray[np.float32]) -> NDArray[np.float64]:
        inside = ((members @ kernel) * members).sum(axis=1, dtype=np.float64)  # (P, F): sum over pairs inside
        touching = members.astype(np.float64) @ rows
        across = touching - inside
        outside = total - inside - 2 * across
        return np.asarray(
            inside / (films * (films - 1)) + outside / (others * (others - 1)) - 2 * across / (films * others)
        )

    seen = np.zeros((1, films + others), np.float32)
    seen[0, :films] = 1
    observed = float(statistic(seen)[0])
    generator = np.random.default_rng(seed)
    as_large = done = 0
    while done < permutations:
        batch = min(_MOST_AT_ONCE if done else _FIRST, permutations - done)
        order = generator.random((batch, films + others)).argpartition(films - 1, axis=1)[:, :films]
        members = np.zeros((batch, films + others), np.float32)
        np.put_along_axis(members, order, 1, axis=1)
        as_large += int((statistic(members) >= observed - 1e-12).sum())
        done += batch
        if as_large >= _PLAINLY_COMMON:
            break
    return TwoSampleResult(observed, (as_large + 1) / (done + 1), done)
