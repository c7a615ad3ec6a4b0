"""The same film as another detector, archive or collimator would have given it: so should the answer be.

A network that answers otherwise under one of these reads something else than the lungs. Films are uint8
(N, side, side) at the network's side; strengths are those that a radiologist would read through.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.data.collimate import Collimation, collimate
from hilum.imaging.preprocess import prepare_film
from hilum.imaging.remedies import inpaint_markers
from hilum.robustness.corruptions import CORRUPTIONS

Film = NDArray[np.uint8]

_MASKED_BORDER_SHARE = 0.08
_SHARPENED_DETAIL_SHARE = 0.01
_COLLIMATION = Collimation(top=0.08, bottom=0.15, left=0.1, right=0.05)


def change_films(films: Film, name: str, *, seed: int) -> Film:
    """Return films changed as COUNTERFACTUALS names it, uint8 (N, side, side); the same for the same seed."""
    change = COUNTERFACTUALS[name]
    return np.stack([change(film, np.random.default_rng([seed, index])) for index, film in enumerate(films)])


def _corrupted(name: str, strength: float) -> Callable[[Film, np.random.Generator], Film]:
    def change(film: Film, generator: np.random.Generator) -> Film:
        changed = CORRUPTIONS[name].apply(film, strength, generator)
        return np.asarray(np.clip(np.rint(changed), 0, 255), np.uint8)

    return change


def _coarsen(side_px: int) -> Callable[[Film, np.random.Generator], Film]:
    def change(film: Film, _: np.random.Generator) -> Film:
        if side_px >= film.shape[0]:
            return film
        small = cv2.resize(film, (side_px, side_px), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, film.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)

    return change


def _sharpen(film: Film, _: np.random.Generator) -> Film:
    grey = film.astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), _SHARPENED_DETAIL_SHARE * film.shape[0])
    return np.asarray(np.clip(np.rint(2 * grey - smooth), 0, 255), np.uint8)


def _gamma(exponent: float) -> Callable[[Film, np.random.Generator], Film]:
    table = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return lambda film, _: table[film]


def _collimate(film: Film, _: np.random.Generator) -> Film:
    """Draw black bands round the whole film and go through the one way from a picture to the network."""
    return prepare_film(collimate(film, _COLLIMATION), film.shape[0])


def _mask_border(film: Film, _: np.random.Generator) -> Film:
    width = round(_MASKED_BORDER_SHARE * film.shape[0])
    masked = np.zeros_like(film)
    masked[width:-width, width:-width] = film[width:-width, width:-width]
    return masked


def _flip(film: Film, _: np.random.Generator) -> Film:
    return np.ascontiguousarray(film[:, ::-1])


COUNTERFACTUALS: Mapping[str, Callable[[Film, np.random.Generator], Film]] = {
    "64 px": _coarsen(64),
    "112 px": _coarsen(112),
    "0.55 of the resolution": _corrupted("resolution", 0.55),
    "blur 0.005 of the side": _corrupted("blur", 0.005),
    "blur 0.01 of the side": _corrupted("blur", 0.01),
    "sharpened": _sharpen,
    "noise 7 grey": _corrupted("noise", 7.0),
    "grid lines 5 grey": _corrupted("grid_lines", 5.0),
    "JPEG quality 30": _corrupted("jpeg", 30),
    "gamma 0.7": _gamma(0.7),
    "gamma 1.4": _gamma(1.4),
    "contrast 0.75": _corrupted("contrast", 0.75),
    "collimated": _collimate,
    "border masked": _mask_border,
    "letters masked": lambda film, _: inpaint_markers(film),
    "mirrored": _flip,
}
"""Every change by the name that the page gives it."""
