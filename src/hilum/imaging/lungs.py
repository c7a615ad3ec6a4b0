"""Where the lungs are on a frontal film, by classical image processing, and the zones they divide into.

No learned weights. A drawn outline of two lungs is moved, widened and stretched over the film until it is
as dark inside and as bright around as it can be; a watershed then moves its edges to those of the film. The
inner part of the outline stays lung whatever its grey value, so that an opacity is not cut out. What does not
look like a pair of lungs is not believed: a fixed anatomical region is returned, with the reason.

Limits: a lung that is white throughout gets the outline of the other; an opacity at the edge of the lung,
an effusion above all, may be cut off; a small chest between arms with dark air beside them can draw the
outline outwards (1 of 300 phantoms); the lung behind heart and domes is left out; a film
turned by more than about 10 degrees or a lateral one fits badly. It serves to say in which third attention
lies and is no measurement of lungs.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import (
    MAX_AIR_LEAK,
    MAX_LUNG_AREA_SHARE,
    MAX_LUNG_SIDE_RATIO,
    MIDDLE_ZONE_END,
    MIN_LUNG_AREA_SHARE,
    MIN_LUNG_CONTRAST,
    MIN_LUNG_SHAPE_OVERLAP,
    UPPER_ZONE_END,
)
from hilum.imaging.disc_morphology import DiscMask, disc
from hilum.imaging.windowing import quantile_of

BoolMask = NDArray[np.bool_]
ZONE_NAMES = ("upper", "middle", "lower")

_FIT_PX = 48  # side of the film on which outlines are tried
_WORK_PX = 256  # side on which the edges are refined
_GREY_LEVELS = 256
_RIGHT, _LEFT, _OUTSIDE = 1, 2, 3
_PRIOR = 0.06  # share of the score that an outline loses one deviation from the usual place
_RING_PX = 7  # width of the surroundings of an outline, at _FIT_PX
_LARGEST_DISC_PX = 12
_BORDER_PX = 24  # around a lung while it is smoothed: more than the largest disc reaches
_COARSE = 3  # pixels of _FIT_PX to one on which outlines are tried first
_TRIED_FINELY = 96  # outlines


@dataclass(frozen=True, slots=True, eq=False)
class LungFields:
    """The lungs of one film: bool (H, W) masks; `right` is the patient's right, on the image left.

    `is_believed` is False when the film gave no plausible pair; the masks then are a fixed anatomical
    region and `reason` says why.
    """

    mask: BoolMask
    right: BoolMask
    left: BoolMask
    is_believed: bool
    reason: str | None


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


@dataclass(frozen=True, slots=True)
class _Box:
    """Where an outline lies: midline, half width, top and bottom, as shares of the film side."""

    middle: float
    half_width: float
    top: float
    bottom: float


_AIR_LEVELS = (0.06, 0.10, 0.14, 0.18, 0.22, 0.26, 0.30, 0.35, 0.40, 0.45)  # shares of the grey range, rising
_FIXED = _Box(middle=0.5, half_width=0.36, top=0.14, bottom=0.80)


def zone_rows(mask: BoolMask) -> ZoneRows | None:
    """Divide the bounding height of a lung mask (H, W) into thirds; None for an empty mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    height = bottom - top
    upper_end, middle_end = (top + round(height * share) for share in (UPPER_ZONE_END, MIDDLE_ZONE_END))
    return ZoneRows(top, upper_end, middle_end, bottom)


def estimate_lungs(pixels: NDArray[np.uint8]) -> LungFields:
    """Estimate the lung fields of a frontal film.

    Parameters
    ----------
    pixels
        uint8 (H, W), MONOCHROME2, upright.

    Returns
    -------
    LungFields
        Masks at the size of the film; see `is_believed`.
    """
    small = cv2.resize(pixels, (_WORK_PX, _WORK_PX), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (0, 0), 3.0)  # ribs are narrow and must not be edges
    grey = _fill_outside_air(np.asarray(smooth, dtype=np.uint8))
    box, contrast = _fit_outline(grey)
    outline = _outline(box, _WORK_PX)
    right, left, overlap = _refine(grey, box, outline)
    reason = _doubt(right, left, contrast=contrast, overlap=overlap)
    if reason is not None:
        right, left = _split(_outline(_FIXED, _WORK_PX), _FIXED)
    height, width = pixels.shape
    right, left = (
        cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5  # noqa: PLR2004
        for mask in (right, left)
    )
    return LungFields(right | left, right, left & ~right, reason is None, reason)


def _fill_outside_air(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the film at unit deviation, air around the body replaced by tissue, tails cut: float32 (S, S).

    Air hangs together with the edge of the film and is darker than some level: the highest at which it does
    not yet break into the place where lungs are.
    """
    counts = np.bincount(grey.ravel(), minlength=_GREY_LEVELS)
    greys = np.arange(_GREY_LEVELS, dtype=np.float64)
    low, high = (quantile_of(greys, counts, share) for share in (0.02, 0.98))
    scale = np.clip((greys - low) / max(high - low, 1.0), 0.0, 1.0)  # the level of each grey
    place = _usual_place(grey.shape[0])
    air = np.zeros(grey.shape, dtype=np.bool_)
    below, above = 0, len(_AIR_LEVELS)  # what is reached only grows with the level
    while below < above:
        middle = (below + above) // 2
        reached = _reached_from_edge(cv2.LUT(grey, (scale < _AIR_LEVELS[middle]).astype(np.uint8)))
        if np.count_nonzero(reached & place) / np.count_nonzero(place) > MAX_AIR_LEAK:
            above = middle
        else:
            air, below = reached, middle + 1
    air = cv2.dilate(air.astype(np.uint8), disc(4)) > 0
    level = cv2.LUT(grey, scale)
    if air.any() and not air.all():
        body = counts - np.bincount(grey[air], minlength=_GREY_LEVELS)
        level[air] = quantile_of(scale, body, 0.6)
    deviation = max(float(level.std()), 1e-3)
    return np.asarray((level - level.mean()) / deviation, dtype=np.float32)


@lru_cache(maxsize=1)
def _usual_place(side_px: int) -> BoolMask:
    """Return the inner part of where lungs are, bool (side, side)."""
    return np.asarray(cv2.erode(_outline(_FIXED, side_px).astype(np.uint8), disc(9)) > 0, dtype=np.bool_)


def _reached_from_edge(dark: Any) -> BoolMask:
    """Return the dark pixels, ones of uint8 (S, S), that hang together with the top or the sides."""
    framed = cv2.copyMakeBorder(dark, 1, 0, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(framed, None, (0, 0), 2, flags=8)
    return np.asarray(framed[1:, 1:-1] == 2, dtype=np.bool_)  # noqa: PLR2004 - what the flood left


def _outline(box: _Box, side_px: int) -> BoolMask:
    """Draw two lungs into a box: bool (side, side)."""
    axis = (np.arange(side_px) + 0.5) / side_px
    across = (axis[None, :] - box.middle) / box.half_width  # 1 is the lateral wall
    down = np.clip(
        (axis[:, None] - box.top) / (box.bottom - box.top), -1.0, 2.0
    )  # 0 apex, 1 costophrenic angle
    rise = np.clip((0.82 - down) / 0.82, 0.0, 1.0)
    lateral = 0.42 + 0.58 * np.power(1.0 - rise**2.3, 1 / 1.9) - 0.10 * np.clip(down - 0.82, 0.0, None)
    turn = np.clip((0.28 - down) / 0.28, 0.0, 1.0)
    medial = 0.42 - 0.24 * np.sqrt(1.0 - turn**2)
    bulge = np.exp(-(((down - 0.80) / 0.24) ** 2))
    inner = np.where(across < 0, medial + 0.08 * bulge, medial + 0.34 * bulge)
    distance = np.abs(across)
    outward = np.clip((distance - 0.5) / 0.5, 0.0, 1.2)
    floor = 0.80 + 0.22 * outward**2.2 + 0.06 * np.clip((0.5 - distance) / 0.5, 0.0, 1.0) ** 2
    floor = floor + np.where(across > 0, 0.03, 0.0)
    return np.asarray((distance < lateral) & (distance > inner) & (down > 0) & (down < floor), dtype=np.bool_)


@lru_cache(maxsize=1)
def _outline_bank() -> tuple[tuple[_Box, ...], NDArray[np.float32], NDArray[np.float32]]:
    """Return the outlines tried and their weights, ring mean minus inside mean, fine and coarse.

    The weights are (N, side * side), the coarse ones for a film of a `_COARSE`-th of the side.
    """
    boxes, weights = [], []
    kernel = np.ones((2 * _RING_PX // 2 + 1,) * 2, np.uint8)
    tops = np.arange(0.02, 0.31, 0.048)
    bottoms = np.arange(0.56, 0.99, 0.054)
    for half_width, top, bottom in product(np.arange(0.26, 0.50, 0.04), tops, bottoms):
        for middle in np.arange(0.42, 0.581, 0.04):
            box = _Box(float(middle), float(half_width), float(top), float(bottom))
            inside = _outline(box, _FIT_PX)
            ring = cv2.dilate(inside.astype(np.uint8), kernel).astype(bool) & ~inside
            weight = ring / ring.sum() - inside / inside.sum()
            # As a t statistic: of two outlines with one contrast the larger is the better explanation.
            boxes.append(box)
            likely = 1.0 - _PRIOR * (((top - 0.14) / 0.12) ** 2 + ((bottom - 0.78) / 0.14) ** 2)
            weights.append((likely * weight / np.sqrt(1 / ring.sum() + 1 / inside.sum())).ravel())
    fine = np.asarray(weights, dtype=np.float32)
    coarse = np.asarray([_coarsen(weight.reshape(_FIT_PX, _FIT_PX)).ravel() for weight in fine])
    return tuple(boxes), fine, coarse * _COARSE**2


def _coarsen(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means of blocks: (side, side) to (side / _COARSE, side / _COARSE)."""
    blocks = small.reshape(_FIT_PX // _COARSE, _COARSE, _FIT_PX // _COARSE, _COARSE)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def _fit_outline(grey: NDArray[np.float32]) -> tuple[_Box, float]:
    """Return the outline that fits best and its contrast in grey deviations of the film."""
    boxes, weights, coarse_weights = _outline_bank()
    small = cv2.resize(grey, (_FIT_PX, _FIT_PX), interpolation=cv2.INTER_AREA)
    coarse = coarse_weights @ _coarsen(np.asarray(small)).ravel()
    likely = np.sort(np.argpartition(coarse, -_TRIED_FINELY)[-_TRIED_FINELY:])
    best = int(likely[np.argmax(weights[likely] @ small.ravel())])
    raw = weights[best] / weights[best][weights[best] > 0].sum()
    return boxes[best], float(raw @ small.ravel())


def _split(mask: BoolMask, box: _Box) -> tuple[BoolMask, BoolMask]:
    """Return (image left, image right) of a mask about the midline of a box."""
    columns = (np.arange(mask.shape[1]) + 0.5) / mask.shape[1] < box.middle
    return mask & columns, mask & ~columns


def _refine(grey: NDArray[np.float32], box: _Box, outline: BoolMask) -> tuple[BoolMask, BoolMask, float]:
    """Bend an outline to the film; return both lungs and their overlap with the outline."""
    shape = DiscMask.pack(outline, margin=_LARGEST_DISC_PX)
    around = shape.dilate(12).unpack()
    markers = np.where(around, 0, _OUTSIDE).astype(np.int32)
    for mark, core in zip((_RIGHT, _LEFT), _split(shape.erode(10).unpack(), box), strict=True):
        markers[core] = mark
    middle = round(box.middle * grey.shape[1])
    markers[:, middle - 2 : middle + 3] = _OUTSIDE
    near = grey[markers != _OUTSIDE]
    left, top, width, height = cv2.boundingRect(around.astype(np.uint8))
    part = (  # all that is to be decided, with an edge that the watershed may write on
        slice(max(0, top - 2), top + height + 2),
        slice(max(0, left - 2), left + width + 2),
    )
    scaled = np.clip((grey[part] - near.min()) / max(float(np.ptp(near)), 1e-6) * 255, 0, 255)
    markers[part] = cv2.watershed(
        cv2.cvtColor(scaled.astype(np.uint8), cv2.COLOR_GRAY2BGR), markers[part].copy()
    )
    lungs = [_smooth(markers == mark) for mark in (_RIGHT, _LEFT)]
    found = lungs[0] | lungs[1]
    overlap = float((found & outline).sum() / max(int((found | outline).sum()), 1))
    return lungs[0], lungs[1], overlap


def _smooth(mask: BoolMask) -> BoolMask:
    """Return the largest part of a mask (S, S) without spurs, bays and holes."""
    left, top, width, height = cv2.boundingRect(
        mask.astype(np.uint8)
    )  # a lung fills a quarter of the film: only that is worked on
    part = np.pad(mask[top : top + height, left : left + width], _BORDER_PX)
    opened = DiscMask.pack(part, margin=_LARGEST_DISC_PX).erode(5).dilate(5)
    closed = opened.dilate(11).erode(11).unpack()
    whole = _fill_holes(_largest(closed.astype(np.uint8)))
    smooth = np.zeros(mask.shape, dtype=np.bool_)
    smooth[top : top + height, left : left + width] = whole[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX]
    return smooth


def _largest(mask: NDArray[np.uint8]) -> BoolMask:
    count, labels = cv2.connectedComponents(mask)
    if count == 1:
        return np.zeros(mask.shape, dtype=np.bool_)
    areas = np.bincount(labels.ravel())
    return np.asarray(labels == 1 + int(np.argmax(areas[1:])), dtype=np.bool_)


def _fill_holes(mask: BoolMask) -> BoolMask:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
    return np.asarray(filled > 0, dtype=np.bool_)


def _doubt(right: BoolMask, left: BoolMask, *, contrast: float, overlap: float) -> str | None:
    """Return why two fields cannot be lungs, or None."""
    share = float((right | left).mean())
    smaller, larger = sorted((int(right.sum()), int(left.sum())))
    if contrast < MIN_LUNG_CONTRAST:
        return f"lungs are not darker than their surroundings (contrast {contrast:.2f} < {MIN_LUNG_CONTRAST})"
    if overlap < MIN_LUNG_SHAPE_OVERLAP:
        return (
            f"dark regions do not have the shape of lungs (overlap {overlap:.2f} < {MIN_LUNG_SHAPE_OVERLAP})"
        )
    if not MIN_LUNG_AREA_SHARE <= share <= MAX_LUNG_AREA_SHARE:
        return (
            f"lungs would fill {share:.2f} of the film; {MIN_LUNG_AREA_SHARE} to {MAX_LUNG_AREA_SHARE} can be"
        )
    if larger > MAX_LUNG_SIDE_RATIO * smaller:
        return (
            f"one lung would be {larger / max(smaller, 1):.1f} times the other; {MAX_LUNG_SIDE_RATIO} can be"
        )
    return None
