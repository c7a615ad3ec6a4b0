"""Grey values of any depth to 8 bits.

Knows the arithmetic of windows, not where a window came from: DICOM headers are read in `dicom`,
containers without a window in `raster`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import FULL_RANGE_16_BIT, ROBUST_WINDOW_PERCENTILES

WHITE = 255
TABLE_BYTES = 2  # whole numbers of so many bytes are few enough to be looked up
ROWS_AT_ONCE = 512
SIXTEEN_TO_EIGHT = 257  # 65,535 / 255: full white stays full white


def fit_to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring grey values of a container without a window to 8 bits.

    Two kinds of 16-bit files exist. A picture made for display fills its container, and must come out
    equal to its 8-bit twin: it is divided by 257. Detector values of 10 to 15 bits in the same container
    would come out almost black that way: they get the robust window a viewer would open them with. The
    99.5th percentile tells the two apart (`FULL_RANGE_16_BIT`), so one hot pixel does not.

    Parameters
    ----------
    values
        Integer or float (H, W), finite, larger is whiter.

    Returns
    -------
    uint8 (H, W).
    """
    if values.dtype.kind == "f" or values.dtype.itemsize > TABLE_BYTES:
        return _fitted(values)
    low = int(values.min())  # whole numbers of 16 bits: each is windowed once, and looked up for each pixel
    places = (values.astype(np.int32) - low).astype(np.uint16)
    counts = np.bincount(places.ravel())
    there = np.flatnonzero(counts)
    table = np.zeros(len(counts), np.uint8)
    table[there] = _fitted(there + low, counts[there])
    return np.asarray(table[places])


def _fitted(values: NDArray[Any], counts: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    _, high = _percentiles(values, counts)
    full_range = np.iinfo(np.uint16).max
    if FULL_RANGE_16_BIT <= high <= full_range and values.min() >= 0 and values.max() <= full_range:
        return to_bytes(values.astype(np.float32) / np.float32(SIXTEEN_TO_EIGHT))
    return robust_window(values, counts=counts)


def robust_window(
    values: NDArray[Any],
    ignored: NDArray[np.bool_] | None = None,
    *,
    counts: NDArray[np.int64] | None = None,
) -> NDArray[np.uint8]:
    """Spread the values between two percentiles over 0 to 255, linearly.

    At most the share outside `ROBUST_WINDOW_PERCENTILES` is clipped at either end. If the percentiles
    coincide (a nearly empty picture) the full range is used; a constant picture becomes black.

    Parameters
    ----------
    values
        Integer or float, finite: the picture (H, W), or each of its values once (N,).
    ignored
        bool, True where a value is padding and must not move the percentiles.
    counts
        int64 (N,), the pixels of each value where it stands once.

    Returns
    -------
    uint8 of the shape of `values`.
    """
    kept = slice(None) if ignored is None or ignored.all() else ~ignored
    counted = values[kept]
    low, high = _percentiles(counted, None if counts is None else counts[kept])
    if low == high:
        low, high = float(counted.min()), float(counted.max())
    if low == high:
        return np.zeros(values.shape, dtype=np.uint8)
    grey = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), ROWS_AT_ONCE):  # a few rows of 64-bit numbers, not the whole film
        rows = slice(start, start + ROWS_AT_ONCE)
        grey[rows] = to_bytes((values[rows].astype(np.float64) - low) * (WHITE / (high - low)))
    return grey


def to_bytes(grey: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Round to the nearest grey level and clip to 0 to 255; (H, W) in, uint8 (H, W) out."""
    return np.asarray(np.clip(np.rint(grey), 0, WHITE), dtype=np.uint8)


def _percentiles(values: NDArray[Any], counts: NDArray[np.int64] | None = None) -> tuple[float, float]:
    if counts is None:
        low, high = np.percentile(values, ROBUST_WINDOW_PERCENTILES)
        return float(low), float(high)
    order = np.argsort(values)
    ordered, counts = values[order], counts[order]
    low, high = (quantile_of(ordered, counts, share / 100) for share in ROBUST_WINDOW_PERCENTILES)
    return low, high


def quantile_of(ordered: NDArray[Any], counts: NDArray[np.int64], share: float) -> float:
    """Return the quantile, as `np.quantile` gives it, of values that each occur so often.

    Parameters
    ----------
    ordered
        float64 (N,), rising.
    counts
        int64 (N,), some above zero.
    share
        In [0, 1].
    """
    upto = np.cumsum(counts)
    last = int(upto[-1]) - 1
    rank = last * share
    below = int(rank)
    neighbours = ordered[np.searchsorted(upto, [below, min(below + 1, last)], side="right")]
    return float(np.quantile(neighbours, rank - below))
