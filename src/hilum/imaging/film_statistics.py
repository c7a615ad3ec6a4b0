"""What monitoring keeps of a film in place of its pixels: six numbers that a change of scanner moves.

Measured on the square grey picture that the network sees, so they mean the same whatever the file was, except
for aspect and side, which are of the file. Knows nothing of limits or references.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

STATISTICS = ("mean_grey", "deviation_grey", "contrast_grey", "sharpness", "aspect", "short_side_px")
_TAIL_SHARE = 0.02
_SIGMA_PX = 1.0
_LEAST_VARIANCE = 1e-6
_GREY_LEVELS = 256


def describe_film(pixels: NDArray[np.uint8], *, width: int, height: int) -> dict[str, float]:
    """Return the statistics of one film, by the names of STATISTICS.

    Parameters
    ----------
    pixels
        uint8 (S, S), MONOCHROME2, as the network sees it.
    width, height
        Of the file, px.

    Returns
    -------
    dict
        `mean_grey` and `deviation_grey` in grey levels; `contrast_grey`, the 98th less the 2nd percentile;
        `sharpness`, the share of the variance that a blur of 1 px takes away; `aspect`, width by height;
        `short_side_px`.
    """
    counts = np.bincount(pixels.ravel(), minlength=_GREY_LEVELS)
    cumulative = np.cumsum(counts)
    low, high = np.searchsorted(cumulative, [_TAIL_SHARE * pixels.size, (1 - _TAIL_SHARE) * pixels.size])
    grey = pixels.astype(np.float32)
    deviation = float(grey.std())
    fine = grey - cv2.GaussianBlur(grey, (0, 0), _SIGMA_PX)
    return {
        "mean_grey": float(grey.mean()),
        "deviation_grey": deviation,
        "contrast_grey": float(high - low),
        "sharpness": float(fine.var() / max(deviation**2, _LEAST_VARIANCE)),
        "aspect": width / height,
        "short_side_px": float(min(width, height)),
    }
