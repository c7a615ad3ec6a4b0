"""Which part of the lungs a map of attention looks at, and whether that is what the report claims.

The report's Table 26 says that maps for pneumonia look at lower and middle zones of both lungs and maps for
tuberculosis at upper zones. Here it is counted. A map is non-negative and unscaled; shares are of its sum.
Knows nothing about networks.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import Finding
from hilum.domain.thresholds import (
    EVEN_MAP_TOLERANCE,
    MIN_BILATERAL_SIDE_SHARE,
    MIN_EXPECTED_ZONE_SHARE,
    POINTING_REFERENCE_SIDE_PX,
    POINTING_TOLERANCE_PX,
)
from hilum.imaging.lungs import ZONE_NAMES, LungFields, zone_rows


@dataclass(frozen=True, slots=True)
class ZoneShares:
    """Where the attention of one map lies.

    `inside_lungs` and `outside_lungs` are shares of all attention and sum to 1; `upper`, `middle`, `lower`
    and the patient's `right` and `left` are shares of the attention inside the lungs, each group summing
    to 1. A share that is undefined is None and `reason` says why. `upper_area`, `middle_area`, `lower_area`
    are the shares of lung area, which is what an even map would hold.
    """

    upper: float | None
    middle: float | None
    lower: float | None
    right: float | None
    left: float | None
    inside_lungs: float | None
    outside_lungs: float | None
    lungs_believed: bool
    reason: str | None
    upper_area: float | None = None
    middle_area: float | None = None
    lower_area: float | None = None


@dataclass(frozen=True, slots=True)
class ExpectedZones:
    """Zones that Table 26 names for a finding, and whether it says both lungs."""

    zones: tuple[str, ...]
    is_bilateral: bool


# Report Table 26. Normal: "clear lung fields" names no zone, so there is nothing to check.
_TABLE_26: dict[Finding, ExpectedZones] = {
    Finding.PNEUMONIA: ExpectedZones(zones=("middle", "lower"), is_bilateral=True),
    Finding.TUBERCULOSIS: ExpectedZones(zones=("upper",), is_bilateral=False),
}


def expected_zones(finding: Finding) -> ExpectedZones | None:
    """Return what the report's Table 26 claims for a finding, or None where it claims nothing."""
    return _TABLE_26.get(finding)


def attention_by_zone(cam: NDArray[np.float32], lungs: LungFields) -> ZoneShares:
    """Share a map of attention out among the zones of the lungs.

    Each pixel of the film takes the value of the map cell it lies in: a coarse map is not smeared over a
    border by interpolation, and each cell counts by its value.

    Parameters
    ----------
    cam
        float32 (h, w), non-negative, finite, covering the whole film.
    lungs
        Lung fields of that film, (H, W).

    Raises
    ------
    ValueError
        If the map is negative or not finite somewhere.
    """
    if not np.isfinite(cam).all() or (cam < 0).any():
        raise ValueError("a map of attention must be finite and non-negative; apply the ReLU before counting")
    height, width = lungs.mask.shape
    spread = cv2.resize(cam.astype(np.float64), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    total = float(spread.sum())
    if total <= 0.0:
        return _undefined(lungs, inside=None, reason="the map is zero everywhere")
    inside = float(spread[lungs.mask].sum())
    rows = zone_rows(lungs.mask)
    if rows is None or inside <= 0.0:
        return _undefined(lungs, inside=0.0, reason="no attention lies inside the lungs")
    lit = np.where(lungs.mask, spread, 0.0)
    shares = {name: float(lit[part].sum()) / inside for name, part in rows.slices().items()}
    right = float(spread[lungs.right].sum()) / inside
    return ZoneShares(
        **shares,
        right=right,
        left=float(spread[lungs.left].sum()) / inside,
        inside_lungs=inside / total,
        outside_lungs=1.0 - inside / total,
        lungs_believed=lungs.is_believed,
        reason=None,
        **{
            f"{name}_area": float(lungs.mask[part].sum() / lungs.mask.sum())
            for name, part in rows.slices().items()
        },
    )


def _undefined(lungs: LungFields, *, inside: float | None, reason: str) -> ZoneShares:
    return ZoneShares(
        **dict.fromkeys((*ZONE_NAMES, "right", "left")),
        inside_lungs=inside,
        outside_lungs=None if inside is None else 1.0 - inside,
        lungs_believed=lungs.is_believed,
        reason=reason,
    )


def agrees_with_table_26(finding: Finding, shares: ZoneShares) -> bool | None:
    """Say whether a map looks where Table 26 says it does; None without a claim or with nothing to compare.

    Agreement: the named zones hold the larger part of the attention inside the lungs
    (`MIN_EXPECTED_ZONE_SHARE`), they hold more of it than of the lung area (middle and lower zones are three
    quarters of the lungs: an even map, which looks nowhere, must not agree), and for a bilateral pattern the
    weaker side holds at least `MIN_BILATERAL_SIDE_SHARE`.
    """
    expected = expected_zones(finding)
    by_zone = {"upper": shares.upper, "middle": shares.middle, "lower": shares.lower}
    if expected is None or shares.right is None or shares.left is None:
        return None
    by_area = {"upper": shares.upper_area, "middle": shares.middle_area, "lower": shares.lower_area}
    held = sum(by_zone[zone] or 0.0 for zone in expected.zones)
    even = sum(by_area[zone] or 0.0 for zone in expected.zones)
    if held < MIN_EXPECTED_ZONE_SHARE or held <= even + EVEN_MAP_TOLERANCE:
        return False
    return not expected.is_bilateral or min(shares.right, shares.left) >= MIN_BILATERAL_SIDE_SHARE


def is_hit(cam: NDArray[np.float32], lesion: NDArray[np.bool_]) -> bool:
    """Play the pointing game: tell whether the maximum of the map falls on the lesion.

    The map is enlarged to the film (bilinear); its maximum counts when it lies within
    `POINTING_TOLERANCE_PX` of a lesion pixel, scaled with the film's longer side. A map without a positive
    maximum points nowhere and a film without a lesion cannot be hit: both are False.

    Parameters
    ----------
    cam
        float32 (h, w), non-negative, covering the whole film.
    lesion
        bool (H, W).

    References
    ----------
    Zhang et al., Top-down neural attention by excitation backprop, IJCV 2018, section 4.1.
    """
    if not lesion.any() or not float(cam.max()) > 0.0:
        return False
    height, width = lesion.shape
    large = cv2.resize(cam.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    row, column = np.unravel_index(int(np.argmax(large)), large.shape)
    rows, columns = np.nonzero(lesion)
    tolerance = POINTING_TOLERANCE_PX * max(height, width) / POINTING_REFERENCE_SIDE_PX
    return bool(np.min((rows - row) ** 2 + (columns - column) ** 2) <= tolerance**2)


def chance_of_hit(lesion: NDArray[np.bool_]) -> float:
    """Return the share of the film where `is_hit` counts: what a map that points anywhere would reach.

    Parameters
    ----------
    lesion
        bool (H, W).
    """
    if not lesion.any():
        return 0.0
    tolerance = POINTING_TOLERANCE_PX * max(lesion.shape) / POINTING_REFERENCE_SIDE_PX
    distance = cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance <= tolerance).mean())
