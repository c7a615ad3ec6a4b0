"""Where on a picture the exposed field lies: what the collimator let through, without the border around it.

Archives keep films with black, white or grey bands: a shutter, an unexposed plate, the lid of a scanner. A
band carries nothing but its own width, and its width belongs to a hospital. The field is found once, here,
before anything looks at the film; a map is put back onto the whole picture.

A line of pixels belongs to the border when it is even; letters and markers in a band do not end it. A field
that lies slightly turned is cut along its own edges. Only even lines are cut, so no part of a chest is lost,
except where one turned edge is found alone: there half of its wedge goes.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import (
    FIELD_EVEN_GREY_RANGE,
    FIELD_EVEN_SHARE,
    FIELD_EVEN_SPREAD_SHARE,
    FIELD_LETTER_SHARE,
    FIELD_MAX_TILT_DEGREES,
    FIELD_MIN_AREA,
    FIELD_MIN_SIDE,
    FIELD_MIN_TILT_DEGREES,
)

_SIDE_PX = 256  # the field is looked for on a picture of this longer side
_TILTS_DEGREES = np.arange(-2 * FIELD_MAX_TILT_DEGREES, 2 * FIELD_MAX_TILT_DEGREES + 1) / 2
_EDGE_PX = 1.5  # how near to a straight line the edge of a field must pass
_EDGE_SHARE = 0.5  # of the positions along a side at which it must
_EDGE_GAIN = 0.15  # by which a turned line must pass through more of them than one that is not turned
_AGREEING_DEGREES = 1.5
_FINER = 2  # cells per cell of a map: a part of the film has finer cells than the whole
_SIDES = ("top", "bottom", "left", "right")
_SLOPES = {"top": 1, "bottom": -1, "left": -1, "right": 1}
"""Sign of an edge's slope, depth over position along its side, when a field is turned clockwise."""

Grey = NDArray[np.uint8]
Lines = NDArray[np.float32]
"""Lines of a picture from one side inward, (lines, positions); NaN where there is no picture."""


@dataclass(frozen=True, slots=True)
class ExposedField:
    """A rectangle on a picture: centre and size as shares of the picture's width and height, and its tilt.

    `tilt_degrees` turns the rectangle clockwise about its centre, in pixels of the picture.
    """

    x: float = 0.5
    y: float = 0.5
    width: float = 1.0
    height: float = 1.0
    tilt_degrees: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is cut."""
        return self == ExposedField()

    def cut(self, pixels: Grey) -> Grey:
        """Return the field of a picture, uint8 (H, W) to uint8 (h, w), C-contiguous; itself if whole."""
        if self.is_whole:
            return pixels
        height, width = pixels.shape
        size = (max(1, round(self.width * width)), max(1, round(self.height * height)))
        if self.tilt_degrees == 0:
            left, top = round(self.x * width - size[0] / 2), round(self.y * height - size[1] / 2)
            left, top = max(0, min(left, width - size[0])), max(0, min(top, height - size[1]))
            return np.ascontiguousarray(pixels[top : top + size[1], left : left + size[0]])
        cut = cv2.warpAffine(
            pixels, self._to_picture(width, height, size), size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return np.asarray(cut, np.uint8)

    def place(self, map_of_field: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """Put a map of the field back: float32 (h, w) to float32 (height, width), 0 outside the field."""
        size = (max(1, round(self.width * width)), max(1, round(self.height * height)))
        large = cv2.resize(map_of_field, size, interpolation=cv2.INTER_LINEAR)
        if self.is_whole:
            return np.asarray(large, np.float32)
        placed = cv2.warpAffine(
            large, self._to_picture(width, height, size), (width, height),
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
        )  # fmt: skip
        return np.asarray(placed, np.float32)

    def place_coarsely(self, map_of_field: NDArray[np.float32]) -> NDArray[np.float32]:
        """Put a map back in few cells, for JSON: float32 (h, w) to (2 h, 2 w); itself if whole."""
        if self.is_whole:
            return map_of_field
        height, width = map_of_field.shape
        placed = self.place(map_of_field, _FINER * _FINER * height, _FINER * _FINER * width)
        size = (_FINER * width, _FINER * height)
        return np.asarray(cv2.resize(placed, size, interpolation=cv2.INTER_AREA), np.float32)

    def _to_picture(self, width: int, height: int, size: tuple[int, int]) -> NDArray[np.float64]:
        """Return the affine map (2, 3) from pixels of the field to pixels of the picture."""
        angle = np.deg2rad(self.tilt_degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = np.array([self.x * width - 0.5, self.y * height - 0.5])
        own_centre = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
        return np.column_stack([turn, centre - turn @ own_centre])


def find_field(pixels: Grey) -> ExposedField:
    """Find the exposed field of a picture, uint8 (H, W), MONOCHROME2.

    It is the whole picture where there is no border, and where it is even nearly everywhere: no field can be
    seen then.
    """
    small = _shrink(pixels)
    low, high = np.percentile(small[::4, ::4], (2, 98))
    grey_range = float(np.clip(FIELD_EVEN_SPREAD_SHARE * (high - low), *FIELD_EVEN_GREY_RANGE))
    if not any(_are_even(_from_side(small, side)[:4], grey_range).any() for side in _SIDES):
        return ExposedField()
    cuts = _cut_border(small, grey_range)
    field = _field_within(cuts, small.shape)
    if field.is_whole:
        return field
    tilts, wedges = {}, {}
    for side in (side for side in _SIDES if cuts[side]):
        edge = _find_edge(_from_side(small, side), cuts, side, grey_range)
        if edge is not None:
            tilts[side], wedges[side] = edge
    turned = [tilt for tilt in tilts.values() if abs(tilt) >= FIELD_MIN_TILT_DEGREES]
    if not turned or len(turned) < len(tilts) or np.ptp(turned) > _AGREEING_DEGREES:
        return field
    if sum(map(bool, cuts.values())) == 1:
        ((side, half_wedge),) = wedges.items()
        return _field_within({**cuts, side: cuts[side] + half_wedge}, small.shape)
    return _turned_field(small, float(np.median(turned)), grey_range)


def _shrink(pixels: Grey) -> Lines:
    scale = _SIDE_PX / max(pixels.shape)
    if scale < 1:
        size = [max(1, round(scale * side)) for side in reversed(pixels.shape)]
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return pixels.astype(np.float32)


def _from_side(picture: Lines, side: str) -> Lines:
    lines = picture.T if side in {"left", "right"} else picture
    return lines[::-1] if side in {"bottom", "right"} else lines


def _are_even(lines: Lines, grey_range: float) -> NDArray[np.bool_]:
    """Return which lines are even: nearly all of their pixels close to the line's median."""
    outside = np.isnan(lines)
    if outside.any():
        lines = np.where(outside.all(axis=1, keepdims=True), np.float32(0), lines)
        median = np.nanmedian(lines, axis=1, keepdims=True)
    else:
        median = np.median(lines, axis=1, keepdims=True)
    near = (np.abs(lines - median) <= grey_range) | outside
    return np.asarray(near.mean(axis=1) >= FIELD_EVEN_SHARE, np.bool_)


def _cut_border(picture: Lines, grey_range: float) -> dict[str, int]:
    """Return the lines of border at each side; what lies inside one border may have another."""
    height, width = picture.shape
    cuts = dict.fromkeys(_SIDES, 0)
    inner = picture
    while min(inner.shape) > 0:
        more = {side: _count_border(_from_side(inner, side), grey_range) for side in _SIDES}
        if not any(more.values()):
            break
        cuts = {side: cuts[side] + more[side] for side in _SIDES}
        inner = picture[cuts["top"] : height - cuts["bottom"], cuts["left"] : width - cuts["right"]]
    return cuts


def _count_border(lines: Lines, grey_range: float) -> int:
    """Count the lines of the border: even ones, and letters between at least as many even ones."""
    letters = round(FIELD_LETTER_SHARE * len(lines))
    even = np.zeros(0, np.bool_)
    border = 0
    while border < len(lines):
        if len(even) < min(len(lines), border + 2 * letters + 1):  # look no further in than a border reaches
            even = np.append(even, _are_even(lines[len(even) : border + 4 * letters + 1], grey_range))
        if even[border]:
            border += 1
            continue
        gaps = [gap for gap in range(1, letters + 1) if even[border + gap : border + 2 * gap].all()]
        gaps = [gap for gap in gaps if border + 2 * gap <= len(lines)]
        if not gaps:
            break
        border += gaps[0]
    return border


def _field_within(cuts: dict[str, int], shape: tuple[int, ...], tilt: float = 0.0) -> ExposedField:
    """Return the field that is left; the whole picture where too little would be."""
    height, width = shape
    across = (width - cuts["left"] - cuts["right"]) / width
    down = (height - cuts["top"] - cuts["bottom"]) / height
    if min(across, down) < FIELD_MIN_SIDE or across * down < FIELD_MIN_AREA or not any(cuts.values()):
        return ExposedField()
    x, y = cuts["left"] / width + across / 2, cuts["top"] / height + down / 2
    angle = math.radians(tilt)
    from_centre = np.array([(x - 0.5) * width, (y - 0.5) * height])
    right, below = (
        np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) @ from_centre
    )
    return ExposedField(0.5 + float(right) / width, 0.5 + float(below) / height, across, down, tilt)


def _find_edge(lines: Lines, cuts: dict[str, int], side: str, grey_range: float) -> tuple[float, int] | None:
    """Find the straight edge of a field along one side of the box that is left, where there is one.

    Returns
    -------
    Its tilt in degrees, clockwise, and the lines that half of its wedge takes; None if no straight line fits.
    """
    before, after = ("left", "right") if side in {"top", "bottom"} else ("top", "bottom")
    inner = lines[cuts[side] :, cuts[before] : lines.shape[1] - cuts[after]]
    border = np.median(lines[cuts[side] - 1])
    depths = np.argmax(np.abs(inner - border) > grey_range, axis=0).astype(np.float32)
    along = np.arange(inner.shape[1]) - (inner.shape[1] - 1) / 2
    slopes = _SLOPES[side] * np.tan(np.radians(_TILTS_DEGREES))
    offsets = depths - slopes[:, None] * along  # (tilts, positions): even where the edge has that tilt
    levels = np.median(offsets, axis=1, keepdims=True)
    shares = (np.abs(offsets - levels) <= _EDGE_PX).mean(axis=1)
    upright = len(_TILTS_DEGREES) // 2
    best = int(np.argmax(shares))
    if shares[best] < shares[upright] + _EDGE_GAIN:
        best = upright
    if shares[best] < _EDGE_SHARE:
        return None
    return float(_TILTS_DEGREES[best]), max(0, round(float(levels[best, 0])))


def _turned_field(small: Lines, tilt: float, grey_range: float) -> ExposedField:
    """Turn the picture upright along the field's edges and cut there."""
    height, width = small.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), tilt, 1.0)
    upright = np.asarray(cv2.warpAffine(small, turn, (width, height), borderValue=math.nan), np.float32)
    cuts = _cut_border(upright, grey_range)
    return _field_within(cuts, small.shape, tilt)
