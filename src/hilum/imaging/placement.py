"""Maps of a model that cuts its films, put back to where they belong on the whole film.

A network that sees only the box of the lungs, or the film without its border, makes maps of that part. Drawn
over or counted on the whole film they would be stretched, and point at the wrong places. Knows nothing about
networks.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.config.schema import Preprocessing
from hilum.imaging.remedies import inpaint_markers, lung_box

_FINER = 2  # cells per cell of the map: a part of the film has finer cells than the whole


def place_maps(
    cams: NDArray[np.float32], films: NDArray[np.uint8], settings: Preprocessing
) -> NDArray[np.float32]:
    """Return maps that cover the whole film, with nothing where the model did not look.

    Parameters
    ----------
    cams
        float32 (N, K, h, w), maps of what these settings leave of the films.
    films
        uint8 (N, S, S), the films before any remedy.

    Returns
    -------
    NDArray
        The same array when nothing is cut, else float32 (N, K, 2 h, 2 w).
    """
    if not (settings.lung_crop or settings.border_crop):
        return cams
    pairs = zip(cams, films, strict=True)
    placed = [[_place(cam, seen_box(film, settings), film.shape[0]) for cam in maps] for maps, film in pairs]
    count, classes, height, width = cams.shape
    return np.asarray(placed, np.float32).reshape(count, classes, _FINER * height, _FINER * width)


def seen_box(film: NDArray[np.uint8], settings: Preprocessing) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right (px, half open) of what the network sees of a film, uint8 (S, S)."""
    side = film.shape[0]
    box = None
    if settings.lung_crop:
        box = lung_box(inpaint_markers(film) if settings.inpaint_markers else film)
    top, left, bottom, right = box or (0, 0, side, side)
    share = round(settings.border_crop * side) / side  # the border is cut off what the lungs' box leaves
    high, wide = (round(share * size) for size in (bottom - top, right - left))
    return top + high, left + wide, bottom - high, right - wide


def _place(cam: NDArray[np.float32], box: tuple[int, int, int, int], side_px: int) -> NDArray[np.float32]:
    top, left, bottom, right = box
    film = np.zeros((side_px, side_px), np.float32)
    part = cv2.resize(cam, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST_EXACT)
    film[top:bottom, left:right] = part
    height, width = (_FINER * size for size in cam.shape)
    return np.asarray(cv2.resize(film, (width, height), interpolation=cv2.INTER_AREA), np.float32)
