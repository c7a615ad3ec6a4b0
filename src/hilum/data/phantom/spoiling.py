"""Spoil the picture of a phantom film in a known way: what an audit should notice.

Drawings are more alike than chests are, so what is wrong with one is easier to see than on real films.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_WHITE = 255
_LINES_OF_TEXT = 14


def spoil(pixels: Pixels, fault: str, number: int) -> Pixels:
    """Return a film, uint8 (S, S), spoilt: uint8 (S, S), or (S, S, 3) in BGR for `colour`.

    Parameters
    ----------
    fault
        One of `hilum.data.phantom.faults.SPOILT`.
    number
        Counts the films of a fault; variants come in turn.
    """
    return np.asarray(_SPOILERS[fault](pixels, number), np.uint8)


def _blank(pixels: Pixels, number: int) -> Pixels:
    grain = np.random.default_rng([number, 1]).integers(0, 4, pixels.shape)
    return np.asarray((0, 90, 200)[number % 3] + grain, np.uint8)


def _saturate(pixels: Pixels, _: int) -> Pixels:
    level = np.percentile(pixels, 45)
    return np.asarray(np.clip(pixels * (_WHITE / level), 0, _WHITE), np.uint8)


def _invert(pixels: Pixels, _: int) -> Pixels:
    return _WHITE - pixels


def _rotate(pixels: Pixels, number: int) -> Pixels:
    return np.ascontiguousarray(np.rot90(pixels, 1 + number % 3))


def _tint(pixels: Pixels, _: int) -> Pixels:
    return np.asarray(pixels[:, :, None] * np.array([0.6, 0.8, 1.0]), np.uint8)  # a print gone yellow, BGR


def _replace(pixels: Pixels, number: int) -> Pixels:
    """Draw a page of text or a scene of boxes instead of the chest."""
    side = pixels.shape[0]
    rng = np.random.default_rng([number, 2])
    if number % 2:
        page = np.full((side, side), 245, np.uint8)
        for line in range(_LINES_OF_TEXT):
            words = "".join(rng.choice(list("abcdefghij klmnop qrstu"), 30))
            spot = (side // 20, round(side * (line + 1) / (_LINES_OF_TEXT + 1)))
            cv2.putText(page, words, spot, cv2.FONT_HERSHEY_SIMPLEX, side / 640, 20, 1, cv2.LINE_AA)
        return page
    scene = np.full((side, side), int(rng.integers(60, 200)), np.uint8)
    for _ in range(9):
        (x, y), size = rng.integers(0, side, 2).tolist(), int(rng.integers(side // 8, side // 3))
        cv2.rectangle(scene, (x, y), (x + size, y + size // 2), int(rng.integers(0, 256)), -1)
    return scene


_SPOILERS: Mapping[str, Callable[[Pixels, int], Pixels]] = {
    "blank": _blank,
    "saturated": _saturate,
    "inverted": _invert,
    "rotated": _rotate,
    "colour": _tint,
    "not_chest": _replace,
}
