"""Phantoms in memory, and a stand-in for a network: for the tests of the input gate."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.film import draw_film
from hilum.evaluation.input_gate import fit_gate

SIDE_PX = 128
TRAIN, VAL = 48, 24


@lru_cache
def phantom_films(first: int, count: int) -> np.ndarray:
    """uint8 (count, SIDE_PX, SIDE_PX)."""
    films = [
        draw_film(index, seed=3, side_px=SIDE_PX, faults=PhantomFaults()).pixels
        for index in range(first, first + count)
    ]
    return np.stack(films)


def embed(films: np.ndarray) -> np.ndarray:
    """A blurred thumbnail of 16 x 16: float32 (N, 256)."""
    small = [cv2.resize(film, (16, 16), interpolation=cv2.INTER_AREA) for film in films]
    return np.stack(small).reshape(len(films), -1).astype(np.float32)


@lru_cache
def phantom_gate() -> dict[str, Any]:
    """The record of a gate fitted on phantoms."""
    train, val = phantom_films(0, TRAIN), phantom_films(TRAIN, VAL)
    return fit_gate(train, embed(train), val, embed(val), embed=embed)
