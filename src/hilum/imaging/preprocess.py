"""From a film's pixels to the network's: cut to the exposed field, then the only resize.

Knows nothing about normalisation: scaling to the network's input happens inside the exported graph.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.imaging.exposed_field import find_field


def prepare_film(picture: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Return what the network sees of a picture, uint8 (H, W): its field, uint8 (side_px, side_px)."""
    return resize_film(find_field(picture).cut(picture), side_px)


def resize_film(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Bring a field to a square by area averaging.

    Both axes are scaled to `side_px`; aspect is not kept, as in the report (`MAX_ASPECT_RATIO` bounds the
    distortion). Shrinking averages areas (no aliasing of ribs into a moire pattern). An axis that must
    grow is then interpolated linearly, which invents no overshoot at bright edges as a cubic
    would. The result depends on nothing but the pixels and `side_px`.

    Parameters
    ----------
    pixels
        uint8 (H, W).
    side_px
        Side of the result, at least 1.

    Returns
    -------
    uint8 (side_px, side_px), C-contiguous, writeable and never the input's own memory.

    Raises
    ------
    ValueError
        If `side_px` is below 1.
    """
    if side_px < 1:
        raise ValueError(f"side_px must be at least 1, got {side_px}")
    if pixels.shape == (side_px, side_px):
        return pixels.copy()
    height, width = (min(side, side_px) for side in pixels.shape)
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    if (height, width) != (side_px, side_px):
        resized = cv2.resize(resized, (side_px, side_px), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(resized, dtype=np.uint8)
