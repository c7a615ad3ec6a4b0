"""Where the lungs are on a frontal film, by classical image processing, and the zones they divide into."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import MIDDLE_ZONE_END, UPPER_ZONE_END

BoolMask = NDArray[np.bool_]
ZONE_NAMES = ("upper", "middle", "lower")


@dataclass(frozen=True, slots=True)
class ZoneRows:
    """Row limits of the reading zones: upper [top, upper_end), middle [upper_end, middle_end), then lower."""

    top: int
    upper_end: int
    middle_end: int
    bottom: int

    def slices(self) -> dict[str, slice]:
        """Return the rows of each zone under its name."""
        limits = (self.top, self.upper_end, self.middle_end, self.bottom)
        return {name: slice(limits[i], limits[i + 1]) for i, name in enumerate(ZONE_NAMES)}


def zone_rows(mask: BoolMask) -> ZoneRows | None:
    """Divide the bounding height of a lung mask (H, W) into thirds; None for an empty mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    height = bottom - top
    upper_end, middle_end = (top + round(height * share) for share in (UPPER_ZONE_END, MIDDLE_ZONE_END))
    return ZoneRows(top, upper_end, middle_end, bottom)
