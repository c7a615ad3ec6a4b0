"""Where a model looks over a whole split: zones, lungs, and on phantoms whether it points at the lesion.

The report's Table 26 asserts that attention follows radiographic patterns; this counts it. Lesion masks are
looked for under `masks/` in the data folder, at the film's own path: phantoms have them.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.explain.zones import (
    ZoneShares,
    agrees_with_table_26,
    attention_by_zone,
    chance_of_hit,
    is_hit,
)
from hilum.imaging.intake import read_radiograph
from hilum.imaging.lungs import estimate_lungs

MASKS_FOLDER = "masks"
_SHARES = ("upper", "middle", "lower", "right", "left", "inside_lungs")


def summarize_attention(
    root: Path, table: pd.DataFrame, pixels: NDArray[np.uint8], cams: NDArray[np.float32]
) -> dict[str, dict[str, object]]:
    """Return one row per called class: mean shares of attention, agreement with Table 26, pointing game.

    Parameters
    ----------
    root
        Data folder, where lesion masks may lie.
    table
        N rows with path and `called`, the class whose map is looked at.
    pixels
        uint8 (N, H, W).
    cams
        float32 (N, h, w), the map of the called class.
    """
    rows: dict[str, dict[str, object]] = {}
    called = table["called"].to_numpy()
    for name in CLASS_NAMES:
        chosen = np.flatnonzero(called == name)
        if len(chosen) == 0:
            continue
        shares = [attention_by_zone(cams[row], estimate_lungs(pixels[row])) for row in chosen]
        rows[name] = {
            "films": len(chosen),
            "lungs_found": sum(share.lungs_believed for share in shares),
            **{f"mean_{key}": _mean(getattr(share, key) for share in shares) for key in _SHARES},
            **_agreement(Finding(name), shares),
            **_pointing(root, Finding(name), [str(table["path"].iloc[row]) for row in chosen], cams[chosen]),
        }
    return rows


def _agreement(finding: Finding, shares: list[ZoneShares]) -> dict[str, object]:
    verdicts = [agrees_with_table_26(finding, share) for share in shares]
    judged = [verdict for verdict in verdicts if verdict is not None]
    return {"agrees_with_table_26": f"{sum(judged)} of {len(judged)}" if judged else "no claim"}


def _pointing(root: Path, finding: Finding, paths: list[str], cams: NDArray[np.float32]) -> dict[str, object]:
    """Return the hit rate on films with a lesion mask, beside what pointing blindly would reach."""
    if finding is Finding.NORMAL:
        return {}  # a map for Normal has no lesion to point at
    hits, chances = [], []
    for path, cam in zip(paths, cams, strict=True):
        file = (root / MASKS_FOLDER / path).with_suffix(".png")
        if not file.is_file():
            continue
        lesion = read_radiograph(file).pixels > 0
        if lesion.any():
            hits.append(is_hit(cam, lesion))
            chances.append(chance_of_hit(lesion))
    if not hits:
        return {}
    return {
        "pointing_game_hits": f"{sum(hits)} of {len(hits)}",
        "pointing_game_by_chance": sum(chances) / len(chances),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
