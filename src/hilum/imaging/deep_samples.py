"""Samples of more than 8 bits to 8-bit grey: colour, transparency, and pixels that are not numbers.

Detectors write 10 to 14 bits into containers of 16, in colour and with an alpha channel too. Nothing may be
cut to its upper 8 bits before it is known how far the values reach (`hilum.imaging.windowing`).
"""

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilum.domain.errors import UnsupportedCoding
from hilum.domain.thresholds import MAX_FLOAT_GREY, MAX_UNDEFINED_SHARE
from hilum.imaging.windowing import ROWS_AT_ONCE, TABLE_BYTES, fit_to_bytes

LUMA: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue: ITU-R BT.601."""
COLOURS: Final = len(LUMA)


def deep_grey(
    samples: NDArray[Any], *, is_colour: bool, has_alpha: bool, key: tuple[int, ...] | None = None, name: str
) -> NDArray[np.uint8]:
    """Bring deep samples (H, W, S) to uint8 (H, W), transparent parts on black.

    Parameters
    ----------
    samples
        Integer or float. The first one is grey, or the first three are red, green and blue.
    has_alpha
        The next one says how opaque a pixel is, against the largest such value: an alpha channel has the
        depth of the values. One that is the same everywhere says nothing.
    key
        The colour that is transparent.
    name
        For messages.

    Raises
    ------
    UnsupportedCoding
        If more than `MAX_UNDEFINED_SHARE` of the pixels are NaN or infinite.
    """
    colours = COLOURS if is_colour else 1
    grey = _luma(samples) if is_colour else samples[:, :, 0]
    if samples.dtype.kind == "f":
        grey = _defined(grey, name=name)
    if has_alpha and samples.shape[2] > colours:
        alpha = samples[:, :, colours]
        if alpha.min() < alpha.max():
            grey = np.asarray(grey * (alpha / np.float32(alpha.max())), grey.dtype)
    if key is not None:
        grey = np.where((samples[:, :, :colours] == key).all(axis=2), 0, grey)
    return fit_to_bytes(grey)


def _luma(samples: NDArray[Any]) -> NDArray[Any]:
    """Return luma (H, W): whole numbers of up to 16 bits as such, others as float64."""
    is_small = samples.dtype.kind != "f" and samples.dtype.itemsize <= TABLE_BYTES
    luma = np.empty(samples.shape[:2], samples.dtype.newbyteorder("=") if is_small else np.float64)
    for start in range(0, len(samples), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        grey = samples[rows, :, :COLOURS].astype(np.float64) @ np.asarray(LUMA)
        luma[rows] = np.rint(grey) if is_small else grey
    return luma


def _defined(grey: NDArray[Any], *, name: str) -> NDArray[Any]:
    """Return float values with the few that are NaN or infinite as the lowest: dead cells of a detector."""
    undefined = ~((grey <= MAX_FLOAT_GREY) & (grey >= -MAX_FLOAT_GREY))  # NaN compares as false
    share = float(undefined.mean())
    if share > MAX_UNDEFINED_SHARE:
        raise UnsupportedCoding(
            f"{name}: {share:.1%} of the pixels are NaN, infinite or beyond {MAX_FLOAT_GREY:g}; at most"
            f" {MAX_UNDEFINED_SHARE:.1%} may be, since nothing says what they show. Export the film with"
            " whole numbers."
        )
    return np.where(undefined, grey[~undefined].min(), grey) if share else grey


def png_samples(data: bytes) -> NDArray[np.uint16]:
    """Decode a PNG of 16 bits in colour or with alpha: uint16 (H, W, 2, 3 or 4).

    Pillow keeps the upper byte of each sample. Its unpacker for the other byte order keeps the lower one, so
    the file is decoded once with each; grey and alpha, four bytes a pixel, come out whole as RGBA of 8 bits.
    """
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        coding = str(image.tile[0].args)
    if coding == "LA;16B":
        return np.asarray(_unpacked(data, "RGBA").view(">u2"), np.uint16)
    samples = _unpacked(data, coding).astype(np.uint16)
    samples <<= 8
    samples |= _unpacked(data, coding.replace("16B", "16L"))
    return samples


def _unpacked(data: bytes, coding: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        image.tile = [image.tile[0]._replace(args=coding)]
        return np.asarray(image)
