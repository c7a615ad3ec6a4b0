"""A network that is known to look at one place per class, and films that have something there."""

from dataclasses import dataclass

import cv2
import numpy as np

from hilum.data.phantom.film import draw_film
from hilum.domain.findings import CLASS_NAMES

SIDE_PX = 128
GRID = 8
PLACES = {"Normal": (3, 5), "Pneumonia": (4, 2), "Tuberculosis": (2, 2)}  # cell (row, column), inside lungs
_SHARPNESS_TO_LOGIT = 0.3


@dataclass
class PlantedScores:
    logits: np.ndarray
    cam: np.ndarray


def planted_films(each: int) -> np.ndarray:
    """Phantoms with a chequered patch in the place of their class, classes in turn: uint8 (N, S, S)."""
    films = []
    for index in range(3 * each):
        film = draw_film(index, side_px=SIDE_PX).pixels.copy()
        rows, columns = place_of(index % 3)
        cell = film[rows, columns].astype(int)
        chequer = 2 * (np.add.outer(np.arange(cell.shape[0]), np.arange(cell.shape[1])) % 2) - 1
        film[rows, columns] = np.clip(cell + 40 * chequer, 0, 255)
        films.append(film)
    return np.stack(films)


def place_of(index: int) -> tuple[slice, slice]:
    px = SIDE_PX // GRID
    row, column = PLACES[CLASS_NAMES[index]]
    return slice(row * px, (row + 1) * px), slice(column * px, (column + 1) * px)


def planted_logits(films: np.ndarray) -> np.ndarray:
    """Score each class by how sharp its place is: blurring that place, and no other, takes the score away."""
    sharp = np.stack([np.abs(film - cv2.GaussianBlur(film.astype(np.float32), (0, 0), 3)) for film in films])
    scores = [sharp[:, rows, columns].mean(axis=(1, 2)) for rows, columns in map(place_of, range(3))]
    return (_SHARPNESS_TO_LOGIT * np.stack(scores, axis=1)).astype(np.float32)


def right_maps(films: np.ndarray) -> np.ndarray:
    """Heat where the network looks, faint and uneven elsewhere: float32 (N, K, GRID, GRID)."""
    maps = 0.01 * np.random.default_rng(3).random((len(films), 3, GRID, GRID)).astype(np.float32)
    for index, name in enumerate(CLASS_NAMES):
        maps[:, index, *PLACES[name]] = 1.0
    return maps


def wrong_maps(films: np.ndarray) -> np.ndarray:
    """The heat of another class: places that speak against the call, if for anything."""
    return np.roll(right_maps(films), 1, axis=1)


def edge_maps(films: np.ndarray) -> np.ndarray:
    """What an edge detector shows: the film's own edges for every class."""
    edges = np.stack([np.abs(cv2.Laplacian(film, cv2.CV_32F)) for film in films])
    cells = np.stack([cv2.resize(edge, (GRID, GRID), interpolation=cv2.INTER_AREA) for edge in edges])
    return np.repeat(cells[:, None], 3, axis=1)


def network_with(maps):
    return lambda films: PlantedScores(planted_logits(films), maps(films))


def forgetful(films, share, seed):
    """A network whose maps are noise once it has lost its weights."""
    noise = np.random.default_rng(seed + int(100 * share))
    return lambda batch: PlantedScores(
        planted_logits(batch), noise.random((len(batch), 3, GRID, GRID)).astype(np.float32)
    )


def unmoved(maps):
    """A 'randomised' network whose maps stay as they were."""
    return lambda _films, _share, _seed: network_with(maps)
