"""How films of a drill differ from those of before: pixels of a file, uint8 (H, W), to others.

Each change is of the file, before anything of hilum has seen it; noise is drawn from the film itself, so that
a drill can be repeated. Knows nothing of networks or journals.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import BLUR_DEVIATION_SHARES, DRILL_OVEREXPOSURE, DRILL_SCANNER

Film = NDArray[np.uint8]
_WHITE = 255.0


@dataclass(frozen=True, slots=True)
class FilmChange:
    """A change and its name; films changed by changes of one name are the same."""

    name: str
    apply: Callable[[Film], Film]


def _scan_otherwise(film: Film) -> Film:
    """Return the film of another vendor: tone curve, contrast, noise and number of pixels."""
    grey = _WHITE * (film.astype(np.float32) / _WHITE) ** DRILL_SCANNER["gamma"]
    grey = grey.mean() + DRILL_SCANNER["contrast"] * (grey - grey.mean())
    share = DRILL_SCANNER["side_share"]
    grey = cv2.resize(grey, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    random = np.random.default_rng(zlib.crc32(film.tobytes()))
    return _to_grey(grey + DRILL_SCANNER["noise_grey"] * random.standard_normal(grey.shape, np.float32))


def _invert(film: Film) -> Film:
    return np.asarray(255 - film, np.uint8)


def _overexpose(film: Film) -> Film:
    return _to_grey(film.astype(np.float32) * DRILL_OVEREXPOSURE)


def blur_to(severity: int) -> FilmChange:
    """Return a blur of severity 1 to 5 of the robustness test."""
    share = BLUR_DEVIATION_SHARES[severity - 1]

    def blur(film: Film) -> Film:
        return _to_grey(cv2.GaussianBlur(film.astype(np.float32), (0, 0), share * min(film.shape)))

    return FilmChange(f"blur-{severity}", blur)


def _to_grey(film: NDArray[np.floating] | cv2.typing.MatLike) -> Film:
    return np.asarray(np.clip(np.rint(film), 0, _WHITE), np.uint8)


SCANNER = FilmChange("scanner", _scan_otherwise)
INVERSION = FilmChange("inversion", _invert)
OVEREXPOSURE = FilmChange("overexposure", _overexpose)
