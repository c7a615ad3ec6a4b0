"""Heat over a film: the colours of a map, blended by its own value, so that where it is zero the film stays.

Scaling every map to its own maximum makes weak evidence look as hot as strong: give `scale_max` to put films
on one scale, and read the raw maximum in either case. Knows nothing about files or networks.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

_OPACITY = 0.62  # of the hottest pixel
_COLOURS = cv2.COLORMAP_PLASMA
_GREY_MAX = 255


def scale_top(cam: NDArray[np.float32], scale_max: float | None) -> float:
    """Return the map value that is drawn hottest.

    Raises
    ------
    ValueError
        If the map is negative or not finite somewhere, or `scale_max` is not above zero.
    """
    if not np.isfinite(cam).all() or (cam < 0).any():
        raise ValueError("a map of attention must be finite and non-negative; apply the ReLU before drawing")
    if scale_max is not None and not scale_max > 0:
        raise ValueError(f"scale_max is {scale_max!r}; expected a value above 0")
    peak = float(cam.max())
    return float(scale_max) if scale_max is not None else (peak if peak > 0 else 1.0)


def heat_layer(
    cam: NDArray[np.float32], height: int, width: int, *, scale_max: float | None = None
) -> NDArray[np.uint8]:
    """Return heat alone, to lay over a film: uint8 (height, width, 4), RGBA, clear where the map is zero.

    Parameters
    ----------
    cam
        float32 (h, w), non-negative, unscaled, covering the whole film.
    scale_max
        Map value drawn hottest; by default the maximum of this map.

    Raises
    ------
    ValueError
        As `scale_top`.
    """
    top = scale_top(cam, scale_max)
    large = cv2.resize(cam.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    heat = np.clip(large / top, 0.0, 1.0)
    colour = cv2.applyColorMap((heat * _GREY_MAX).astype(np.uint8), _COLOURS)[..., ::-1]  # BGR to RGB
    opacity = _GREY_MAX * np.float32(_OPACITY) * np.sqrt(heat)
    return np.dstack([colour, opacity.astype(np.uint8)])


def blend_heat(
    pixels: NDArray[np.uint8], cam: NDArray[np.float32], *, scale_max: float | None = None
) -> NDArray[np.uint8]:
    """Return a film with its map on top: uint8 (H, W, 3), RGB.

    Parameters
    ----------
    pixels
        uint8 (H, W), MONOCHROME2.
    cam, scale_max
        As for `heat_layer`.

    Raises
    ------
    ValueError
        As `scale_top`.
    """
    layer = heat_layer(cam, *pixels.shape, scale_max=scale_max)
    opacity = layer[..., 3:].astype(np.float32) / _GREY_MAX
    mixed = pixels[..., None] * (1 - opacity) + layer[..., :3] * opacity
    return np.asarray(np.round(mixed), dtype=np.uint8)
