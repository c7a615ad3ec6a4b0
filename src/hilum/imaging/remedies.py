"""Steps on a resized film against shortcuts that need more than arithmetic: letters and everything but lungs.

Both are off unless a model was trained with them, and then belong to its preprocessing wherever it is used.
Knows nothing about networks.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.config.schema import Preprocessing
from hilum.domain.thresholds import (
    LUNG_BOX_MARGIN,
    MARKER_EDGE_ZONE,
    MARKER_MAX_SIDE_SHARE,
    MARKER_MIN_CONTRAST_GREY,
    MARKER_MIN_GREY,
)
from hilum.imaging.lungs import estimate_lungs

BoolMask = NDArray[np.bool_]

_MIN_MARKER_PX = 3
_GROWN_PX = 2  # the soft edge of a letter goes with it
_INPAINT_RADIUS_PX = 3


def apply_remedies(films: NDArray[np.uint8], settings: Preprocessing) -> NDArray[np.uint8]:
    """Return films, uint8 (N, side, side), as a model with these settings wants them; the same array if none.

    Letters are painted over before lungs are looked for.
    """
    if not (settings.inpaint_markers or settings.lung_crop):
        return films
    return np.stack([_apply(film, settings) for film in films]) if len(films) else films


def find_markers(film: NDArray[np.uint8]) -> BoolMask:
    """Find burned-in letters: small, bright, sharp, near the edge. Returns bool (H, W).

    What is brighter than its surroundings within a letter's size (white top-hat) is a candidate; it must
    be near white, no larger than a letter and lie in the outer zone, where no lung is read.
    """
    height, width = film.shape
    limit = round(MARKER_MAX_SIDE_SHARE * min(height, width))
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (limit | 1, limit | 1))
    lifted = cv2.morphologyEx(film, cv2.MORPH_TOPHAT, kernel)
    raised = (lifted >= MARKER_MIN_CONTRAST_GREY / 2).astype(np.uint8)
    sure = (film >= MARKER_MIN_GREY) & (lifted >= MARKER_MIN_CONTRAST_GREY)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(raised)
    chosen = np.zeros(count, bool)
    for index in np.unique(labels[sure]):  # a letter is all that hangs together with its bright core
        box_width, box_height, area = stats[index, 2:5]
        x, y = centres[index] / (width, height)
        near_edge = min(x, y, 1.0 - x, 1.0 - y) < MARKER_EDGE_ZONE
        chosen[index] = near_edge and area >= _MIN_MARKER_PX and max(box_width, box_height) <= limit
    return np.asarray(chosen[labels], np.bool_)


def inpaint_markers(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Paint burned-in letters over from what surrounds them (Telea 2004); uint8 (H, W) in and out."""
    mask = find_markers(film)
    if not mask.any():
        return film
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((2 * _GROWN_PX + 1,) * 2, np.uint8))
    return np.asarray(cv2.inpaint(film, grown, _INPAINT_RADIUS_PX, cv2.INPAINT_TELEA), np.uint8)


def lung_box(film: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Return top, left, bottom, right (px, half open) of the lungs with a margin; None if not believed."""
    lungs = estimate_lungs(film)
    if not lungs.is_believed:
        return None
    (top, bottom), (left, right) = (_extent(lungs.mask.any(axis=axis)) for axis in (1, 0))
    high, wide = (round(LUNG_BOX_MARGIN * (end - start)) for start, end in ((top, bottom), (left, right)))
    height, width = film.shape
    return max(0, top - high), max(0, left - wide), min(height, bottom + high), min(width, right + wide)


def crop_to_lungs(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut a film to the box of its lungs and enlarge it to its own size; as it is where none are believed."""
    box = lung_box(film)
    if box is None:
        return film
    top, left, bottom, right = box
    chest = film[top:bottom, left:right]
    enlarged = cv2.resize(chest, (film.shape[1], film.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.uint8)


def _apply(film: NDArray[np.uint8], settings: Preprocessing) -> NDArray[np.uint8]:
    if settings.inpaint_markers:
        film = inpaint_markers(film)
    return crop_to_lungs(film) if settings.lung_crop else film


def _extent(occupied: Any) -> tuple[int, int]:
    places = np.flatnonzero(np.asarray(occupied))
    return int(places[0]), int(places[-1]) + 1
