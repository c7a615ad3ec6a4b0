"""Stored values of a monochrome DICOM image to the grey a viewer shows first.

The pipeline of PS3.4 N.2: modality LUT, VOI LUT, then presentation. Own arithmetic rather than pydicom's,
because the answer must be 8-bit, padding must be kept out, and a file with an unusable window must
not come out black.

Equal stored values get equal grey: each step is worked out once for every value that occurs (a few thousand)
and then looked up for every pixel (millions).
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hilum.imaging.dicom_header import decimals, value_or_none
from hilum.imaging.dicom_lut import MAX_LUT_ENTRIES, NEGATIVE_FROM, sequence_lut
from hilum.imaging.windowing import WHITE, robust_window, to_bytes

LINEAR_MIN_WIDTH = 1.0  # PS3.3 C.11.2.1.2.1
WIDEST_CODE_BYTES = 2  # of stored values that are counted and looked up as they are
EXACT_COUNT = 1 << 24  # up to here float32, in which OpenCV counts, holds every whole number


def displayed_grey(dataset: Dataset, stored: NDArray[np.integer], *, native: bool) -> NDArray[np.uint8]:
    """Apply modality, VOI and photometric interpretation.

    Parameters
    ----------
    dataset
        Image attributes, already checked.
    stored
        Integers (H, W) as the decoder gave them.
    native
        Whether the pixels were uncompressed, so that HighBit and unused bits may matter.

    Returns
    -------
    uint8 (H, W), C-contiguous, MONOCHROME2.
    """
    if stored.dtype.itemsize > WIDEST_CODE_BYTES:
        narrow = np.int16 if dataset.get("PixelRepresentation") == 1 else np.uint16
        stored, native = _stored_values(dataset, stored, native=native).astype(narrow), False
    stored = np.ascontiguousarray(stored, stored.dtype.newbyteorder("="))
    codes = stored.view(f"u{stored.itemsize}")
    counts = _count(codes)
    present = np.flatnonzero(counts).astype(codes.dtype)
    values = _stored_values(dataset, present.view(stored.dtype), native=native)
    padding = _padding(dataset, values)
    grey = _voi(dataset, _modality(dataset, values), counts[present], padding)
    if _is_inverse(dataset):
        grey = WHITE - grey
    if padding is not None:
        grey[padding] = 0
    table = np.zeros(len(counts), np.uint8)
    table[present] = grey
    return np.take(table, codes)


def _is_inverse(dataset: Dataset) -> bool:
    """Tell whether low values are shown bright: by PresentationLUTShape if there is one, as in DCMTK."""
    shape = str(value_or_none(dataset, "PresentationLUTShape") or "")
    if shape in {"INVERSE", "IDENTITY"}:  # PS3.3 C.11.6.1.2
        return shape == "INVERSE"
    return str(dataset.PhotometricInterpretation) == "MONOCHROME1"


def _count(codes: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Count the pixels of every code: uint8 or uint16 (H, W) to int64 (256,) or (65536,)."""
    levels = 1 << (8 * codes.itemsize)
    rows = max(1, EXACT_COUNT // codes.shape[1])
    counts = np.zeros(levels, np.int64)
    for top in range(0, len(codes), rows):
        part = cv2.calcHist([codes[top : top + rows]], [0], None, [levels], [0, levels])
        counts += part.ravel().astype(np.int64)
    return counts


def _stored_values(dataset: Dataset, stored: NDArray[np.integer], *, native: bool) -> NDArray[np.int32]:
    """Keep the bits that count: unused ones may hold an overlay (retired, still met), PS3.5 8.1.1."""
    bits = int(dataset.BitsStored)
    values = stored.astype(np.int32)
    high_bit = value_or_none(dataset, "HighBit")
    if native and isinstance(high_bit, int) and bits <= high_bit < dataset.BitsAllocated:
        values >>= high_bit - bits + 1
    values &= (1 << bits) - 1
    if dataset.get("PixelRepresentation") == 1:
        sign = 1 << (bits - 1)
        values = (values ^ sign) - sign
    return values


def looks_signed(stored: NDArray[np.integer], bits: int) -> bool:
    """Tell whether stored values of a file without PixelRepresentation run on below zero.

    Read as the other kind, a picture with values on both sides of zero, or of the middle of the unsigned
    range, is torn there: neighbours are less alike.
    """
    unsigned = stored.astype(np.int32) & ((1 << bits) - 1)
    sign = 1 << (bits - 1)
    torn = [float(np.abs(np.diff(values, axis=1)).mean()) for values in (unsigned, (unsigned ^ sign) - sign)]
    return torn[1] < torn[0]


def _padding(dataset: Dataset, values: NDArray[np.int32]) -> NDArray[np.bool_] | None:
    """Mark pixels outside the exposed field, PS3.3 C.7.5.1.1.2; None if the file names no padding value."""
    value, limit = (
        value_or_none(dataset, keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
    )
    if not isinstance(value, int):
        return None
    if values.min() < 0 and value >= NEGATIVE_FROM:  # an unsigned VR for a value below zero
        value -= MAX_LUT_ENTRIES
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    mask: NDArray[np.bool_] = (values >= low) & (values <= high)
    return mask if mask.any() and not mask.all() else None


def _modality(dataset: Dataset, values: NDArray[np.int32]) -> NDArray[np.float64]:
    """Apply the modality LUT or rescale slope and intercept, PS3.3 C.11.1.

    With a slope of zero, which would leave one grey value, or a number that cannot be read, neither counts.
    """
    lut = sequence_lut(dataset, "ModalityLUTSequence", signed=bool(values.min() < 0))
    if lut is not None:
        return lut.look_up(values).astype(np.float64)
    slope, *_ = decimals(dataset, "RescaleSlope") or [1.0]
    intercept, *_ = decimals(dataset, "RescaleIntercept") or [0.0]
    if slope == 0 or not (math.isfinite(slope) and math.isfinite(intercept)):
        return values.astype(np.float64)
    return values.astype(np.float64) * slope + intercept


def _voi(
    dataset: Dataset,
    values: NDArray[np.float64],
    counts: NDArray[np.int64],
    padding: NDArray[np.bool_] | None,
) -> NDArray[np.uint8]:
    """Apply the first VOI LUT or window, PS3.3 C.11.2; without a usable one, a robust window.

    `counts` are the pixels of each value. A window that leaves one grey level of a picture that has more is
    not usable.
    """
    grey: NDArray[np.uint8] | None = None
    lut = sequence_lut(dataset, "VOILUTSequence", signed=bool(values.min() < 0))
    if lut is not None:
        grey = to_bytes(lut.look_up(np.rint(values).astype(np.int64)) * (WHITE / lut.white))
    else:
        centers, widths = decimals(dataset, "WindowCenter"), decimals(dataset, "WindowWidth")
        if centers and widths:
            function = str(value_or_none(dataset, "VOILUTFunction") or "LINEAR").upper()
            grey = windowed(values, centers[0], widths[0], function)
    if grey is None or np.ptp(grey if padding is None else grey[~padding]) == 0:
        return robust_window(values, padding, counts=counts)
    return grey


def windowed(
    values: NDArray[np.float64], center: float, width: float, function: str
) -> NDArray[np.uint8] | None:
    """Apply a window, PS3.3 C.11.2.1.2 and C.11.2.1.3.

    Parameters
    ----------
    values
        Of any shape, after the modality LUT.
    center, width
        In the same unit.
    function
        "LINEAR_EXACT", "SIGMOID"; anything else is LINEAR, the default of the standard.

    Returns
    -------
    uint8 of the same shape, or None if the window is not a valid one.
    """
    smallest = 0.0 if function in {"LINEAR_EXACT", "SIGMOID"} else LINEAR_MIN_WIDTH
    if not (math.isfinite(center) and math.isfinite(width)) or width < smallest or width == 0:
        return None
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values - center) / width, -50, 50)  # beyond 50 only rounding is left
        return to_bytes(WHITE / (1 + np.exp(exponent)))
    if function == "LINEAR_EXACT":
        return to_bytes(((values - center) / width + 0.5) * WHITE)
    if width == LINEAR_MIN_WIDTH:
        return np.where(values > center - 0.5, WHITE, 0).astype(np.uint8)
    return to_bytes(((values - (center - 0.5)) / (width - 1) + 0.5) * WHITE)
