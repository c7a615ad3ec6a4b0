"""Wrong pictures, made of right films or drawn, that an input gate learns to tell from films.

One tuple of makers per refusal code. They stand for kinds of mistakes and are no simulation of any camera or
scanner: a gate fitted on them must be measured on pictures made otherwise (`benchmarks/gate.py`).
A lateral view is not among them, because none can be made of a frontal one: one half of a chest stands for
what is not two lungs side by side.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.data.collimate import collimate, draw_collimation
from hilum.imaging.preprocess import prepare_film

Film = NDArray[np.uint8]
Maker = Callable[[Film, NDArray[np.uint8], np.random.Generator], Film]
"""A film (S, S), other films (N, S, S) and a generator to a wrong picture (S, S)."""

_WORDS = (
    "patient",
    "report",
    "of the",
    "left",
    "right",
    "lower lobe",
    "date",
    "name",
    "hospital",
    "0123456789",
)


def jitter_film(film: Film, random: np.random.Generator) -> Film:
    """Return a film that is still right: slightly turned, moved, sized, exposed, blurred, or mirrored.

    Every other one was collimated before and cut to its exposed field again, with what that leaves.
    """
    side = film.shape[0]
    if random.integers(2):
        banded = collimate(film, draw_collimation(random), seed=int(random.integers(1 << 31)))
        film = prepare_film(banded, side)
    moved = cv2.getRotationMatrix2D((side / 2, side / 2), random.uniform(-8, 8), random.uniform(0.88, 1.12))
    moved[:, 2] += random.uniform(-0.05, 0.05, 2) * side
    border = (cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT)[random.integers(2)]
    grey = cv2.warpAffine(film, moved, (side, side), borderMode=border).astype(np.float32)
    grey = 255 * (grey / 255) ** np.exp(random.uniform(-0.5, 0.5))
    grey = cv2.GaussianBlur(grey, (0, 0), random.uniform(0.2, 0.008 * side + 0.2))
    grey += random.normal(0, random.uniform(0, 6), grey.shape)
    return prepare_film(_to_film(grey[:, :: (1, -1)[random.integers(2)]]), side)


def _turn(film: Film, _: NDArray[np.uint8], random: np.random.Generator) -> Film:
    turned = (np.rot90(film, 1), np.rot90(film, 2), np.rot90(film, 3), film[::-1])[random.integers(4)]
    return np.ascontiguousarray(turned)


def _invert(film: Film, _: NDArray[np.uint8], __: np.random.Generator) -> Film:
    return np.asarray(255 - film, np.uint8)


def _crop(film: Film, _: NDArray[np.uint8], random: np.random.Generator) -> Film:
    side = film.shape[0]
    kept = int(side * random.uniform(0.30, 0.55))
    top, left = random.integers(0, side - kept + 1, 2)
    return _enlarge(film[top : top + kept, left : left + kept], side)


def _photograph(film: Film, _: NDArray[np.uint8], random: np.random.Generator) -> Film:
    """Draw a screen seen from the side: stripes, a room around it, falling light, a reflection."""
    side = film.shape[0]
    down, right = np.mgrid[0:side, 0:side].astype(np.float32)
    angle, pitch = random.uniform(0, np.pi), random.uniform(0.15, 0.45)
    stripes = np.sin(2 * np.pi * pitch * (right * np.cos(angle) + down * np.sin(angle)))
    grey = film + random.uniform(6, 25) * stripes
    inset = random.uniform(0.03, 0.20, (4, 2)) * side
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
    warp = cv2.getPerspectiveTransform(corners, (corners + signs * inset).astype(np.float32))
    grey = cv2.warpPerspective(
        grey.astype(np.float32), warp, (side, side), borderMode=cv2.BORDER_CONSTANT,
        borderValue=random.uniform(20, 230),
    )  # fmt: skip
    grey = grey * (1 - random.uniform(0.3, 1.0) * _distance(down, right, random.uniform(0.3, 0.7, 2)) ** 2)
    shine = np.exp(-((_distance(down, right, random.uniform(0, 1, 2)) / 0.17) ** 2))
    return _to_film(grey + random.uniform(0, 70) * shine)


def _halve(film: Film, _: NDArray[np.uint8], random: np.random.Generator) -> Film:
    kept = int(film.shape[0] * random.uniform(0.42, 0.55))
    half = film[:, :kept] if random.integers(2) else film[:, -kept:]
    return _enlarge(half, film.shape[0])


def _join(film: Film, others: NDArray[np.uint8], random: np.random.Generator) -> Film:
    side, rows, columns = film.shape[0], int(random.integers(1, 4)), int(random.integers(2, 4))
    if random.integers(2):
        rows, columns = columns, rows
    size = (side // columns + 1, side // rows + 1)
    picked = others[random.integers(0, len(others), (rows, columns))]
    sheet = np.vstack([np.hstack([cv2.resize(one, size) for one in row]) for row in picked])
    return _enlarge(sheet, side)


def _noise(film: Film, _: NDArray[np.uint8], random: np.random.Generator) -> Film:
    side = film.shape[0]
    if random.integers(3) == 0:
        return random.integers(0, 256, (side, side), dtype=np.uint8)
    cloud = cv2.GaussianBlur(random.normal(0, 1, (side, side)), (0, 0), side * random.uniform(0.003, 0.09))
    return _to_film(cloud / max(float(cloud.std()), 1e-6) * 50 + 127)


def _write(film: Film, _: NDArray[np.uint8], random: np.random.Generator) -> Film:
    side = film.shape[0]
    page = np.full((side, side), int(random.integers(200, 256)), np.uint8)
    size = random.uniform(0.25, 0.8) * side / 224
    row = int(30 * size) + 2
    while row < side:
        place, font = (int(random.integers(2, 20)), row), int(random.integers(0, 5))
        words = " ".join(random.choice(_WORDS, 12))
        cv2.putText(page, words, place, font, size, int(random.integers(0, 100)), 1, cv2.LINE_AA)
        row += int(30 * size) + 4 + int(40 * size) * int(random.integers(6) == 0)
    return page if random.integers(3) else _invert(page, _, random)


def _scatter(film: Film, _: NDArray[np.uint8], random: np.random.Generator) -> Film:
    """Draw shapes of any kind: what photographs and diagrams have in common."""
    side = film.shape[0]
    grey = np.full((side, side), random.uniform(0, 255), np.float32)
    for _shape in range(random.integers(3, 25)):
        (x, y, x2, y2), level = (int(value) for value in random.integers(0, side, 4)), random.uniform(0, 255)
        kind = random.integers(3)
        if kind == 0:
            axes = (1 + x2 // 2, 1 + y2 // 2)
            cv2.ellipse(grey, (x, y), axes, random.uniform(0, 180), 0, 360, level, -1)
        elif kind == 1:
            cv2.rectangle(grey, (x, y), (x2, y2), level, -1)
        else:
            cv2.line(grey, (x, y), (x2, y2), level, int(random.integers(1, side // 6)))
    return _finish(grey, random)


def _slice(film: Film, _: NDArray[np.uint8], random: np.random.Generator) -> Film:
    """Draw a cross-section: a bright oval with organs on black."""
    side = film.shape[0]
    grey = np.full((side, side), random.uniform(0, 25), np.float32)
    x, y = side * random.uniform(0.42, 0.58, 2)
    wide, high = side * random.uniform(0.25, 0.48, 2)
    for share in (1.0, 0.93):
        axes = (int(wide * share), int(high * share))
        cv2.ellipse(grey, (int(x), int(y)), axes, 0, 0, 360, random.uniform(60, 220), -1)
    for _organ in range(random.integers(3, 14)):
        angle, out = random.uniform(0, 2 * np.pi), random.uniform(0, 0.75)
        centre = (int(x + wide * out * np.cos(angle)), int(y + high * out * np.sin(angle)))
        axes = (1 + int(wide * random.uniform(0.05, 0.35)), 1 + int(high * random.uniform(0.05, 0.35)))
        cv2.ellipse(grey, centre, axes, random.uniform(0, 180), 0, 360, random.uniform(0, 255), -1)
    return _finish(grey, random)


def _limb(film: Film, _: NDArray[np.uint8], random: np.random.Generator) -> Film:
    """Draw long bones in soft tissue on black, in any turn."""
    side = film.shape[0]
    grey = np.full((side, side), random.uniform(0, 40), np.float32)
    tilt, middle, width = random.uniform(-0.3, 0.3), random.uniform(0.35, 0.65), random.uniform(0.15, 0.4)
    top, bottom = int(side * (middle - tilt)), int(side * (middle + tilt))
    cv2.line(grey, (top, 0), (bottom, side), random.uniform(60, 130), int(2 * width * side))
    tissue = cv2.GaussianBlur(grey, (0, 0), width * side / 4)
    bones = np.zeros_like(grey)
    count = int(random.integers(1, 4))
    for bone in range(count):
        shift = int((bone - (count - 1) / 2) * width * side * 0.8)
        thick = int(width * side * random.uniform(0.2, 0.5)) + 2
        for part in (thick, max(thick // 2, 1)):
            cv2.line(
                bones, (top + shift, 0), (bottom + shift, side), random.uniform(60, 140) * part / thick, part
            )
    if random.integers(2):
        joint = (int(middle * side), int(random.uniform(0.2, 0.8) * side))
        cv2.circle(bones, joint, int(width * side * 0.6), 120.0, -1)
    return np.ascontiguousarray(np.rot90(_finish(tissue + bones, random), int(random.integers(4))))


def _finish(grey: NDArray[Any], random: np.random.Generator) -> Film:
    soft = cv2.GaussianBlur(grey, (0, 0), grey.shape[0] * random.uniform(0.003, 0.02))
    return _to_film(soft + random.normal(0, random.uniform(0, 12), grey.shape))


def _distance(
    down: NDArray[np.float32], right: NDArray[np.float32], centre: NDArray[np.float64]
) -> NDArray[np.float32]:
    side = down.shape[0]
    return np.asarray(np.hypot(down / side - centre[0], right / side - centre[1]), np.float32)


def _enlarge(part: Film, side_px: int) -> Film:
    resized = cv2.resize(np.ascontiguousarray(part), (side_px, side_px), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


def _to_film(grey: NDArray[Any]) -> Film:
    return np.ascontiguousarray(np.clip(grey, 0, 255), dtype=np.uint8)


WRONG_KINDS: dict[str, tuple[Maker, ...]] = {
    "not-a-chest-film": (_noise, _write, _scatter, _slice, _limb),
    "several-films": (_join,),
    "photo-of-screen": (_photograph,),
    "inverted": (_invert,),
    "not-upright": (_turn,),
    "not-frontal": (_halve,),
    "cropped": (_crop,),
}
"""Refusal code to the makers of such pictures. The codes are those of `hilum.inference.gate`."""


def expose_badly(film: Film, random: np.random.Generator) -> Film:
    """Return a film with next to no contrast left: flattened, burnt out, or buried in black."""
    grey = film.astype(np.float32)
    kind = random.integers(4)
    if kind == 0:
        return _to_film(random.uniform(40, 215) + (grey - grey.mean()) * random.uniform(0.02, 0.12))
    if kind == 1:
        return _to_film(grey * random.uniform(4, 8))
    return _to_film(255 * (grey / 255) ** (random.uniform(8, 14) if kind == 2 else random.uniform(0.04, 0.1)))  # noqa: PLR2004
