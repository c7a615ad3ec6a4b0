"""The map of a shortcut: from which cells outside the lungs a class can be told, one cell at a time.

A linear probe sees the 4 x 4 grey values of one cell and nothing else. Cells that pass the false discovery
rate are named. A cell outside the lungs may still hold anatomy that tells a disease (an arm, the belly of a
child): the map says where to look, not what is there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from hilum.audit.contrasts import Contrast
from hilum.audit.linear_probe import FloatArray, ProbeScore
from hilum.domain.thresholds import FALSE_DISCOVERY_RATE, PATCH_MAX_LUNG_SHARE, SHORTCUT_WARNING_AUROC

_NAMES = (("top", 0.25), ("upper", 0.5), ("lower", 0.75), ("bottom", 1.0))
_SIDES = (("left edge", 0.25), ("left", 0.5), ("right", 0.75), ("right edge", 1.0))
_NAMED_REGIONS = 4


@dataclass(frozen=True, slots=True)
class PatchMap:
    """AUROC per cell, (grid, grid), None inside the lungs; `regions` names those that give the class away."""

    scope: str
    contrast: str
    auroc: tuple[tuple[float | None, ...], ...]
    regions: tuple[str, ...]
    significant_cells: int
    cells_outside_lungs: int


def map_patches(cells: FloatArray, contrast: Contrast, lung_shares: NDArray[np.float64]) -> PatchMap:
    """Probe every cell outside the lungs for one contrast.

    Parameters
    ----------
    cells
        float64 (N, grid, grid, F) of `probe_features.patches`.
    lung_shares
        float64 (grid, grid), mean share of lung per cell.
    """
    outside = np.argwhere(lung_shares <= PATCH_MAX_LUNG_SHARE)
    scores = [contrast.score(cells[:, row, column]) for row, column in outside]
    grid: list[list[float | None]] = [[None] * cells.shape[2] for _ in range(cells.shape[1])]
    for (row, column), score in zip(outside, scores, strict=True):
        grid[row][column] = score.auroc
    named = _significant(scores)
    best = sorted(named, key=lambda index: -scores[index].auroc)
    regions: dict[str, float] = {}
    for index in best:
        regions.setdefault(_place(*(outside[index] + 0.5) / cells.shape[1:3]), scores[index].auroc)
    return PatchMap(
        contrast.scope,
        contrast.name,
        tuple(tuple(line) for line in grid),
        tuple(f"{place} ({auroc:.2f})" for place, auroc in list(regions.items())[:_NAMED_REGIONS]),
        len(named),
        len(outside),
    )


def _significant(scores: list[ProbeScore]) -> list[int]:
    if not scores:
        return []
    corrected = false_discovery_control([score.p_value for score in scores])
    return [
        index
        for index, score in enumerate(scores)
        if corrected[index] <= FALSE_DISCOVERY_RATE and score.auroc >= SHORTCUT_WARNING_AUROC
    ]


def _place(down: float, across: float) -> str:
    """Return the name of a place given as shares of height and width, as the film is looked at."""
    vertical = next(name for name, end in _NAMES if down < end)
    horizontal = next(name for name, end in _SIDES if across < end)
    return f"{vertical} {horizontal}"
