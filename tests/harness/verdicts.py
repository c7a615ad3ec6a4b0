"""Judge what became of a hostile film against the word that its table has for it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import InputError
from hilum.imaging.contract import check_film
from hilum.imaging.radiograph import Radiograph

from .films import drawn

CLOSE_GREY = 2
SATURATED = 250
Decode = Callable[[bytes], Radiograph]


def read_or_refuse(decode: Decode, data: bytes) -> Radiograph | str:
    """Return the film, or the refusal as text; any other exception is the caller's."""
    try:
        film = decode(data)
        check_film(film.facts, name="film")
    except InputError as refusal:
        return str(refusal)
    return film


def complaint(outcome: Radiograph | str, expected: str) -> str | None:
    """Say what is wrong with an outcome; None if it is as the table says."""
    refused = isinstance(outcome, str)
    if expected in {"refused", "format"}:
        return None if refused else f"read, {expected} expected"
    if refused:
        return f"refused ({outcome}), {expected} expected"
    return None if expected in {"near", "white"} else _difference(outcome.pixels, expected)


def _difference(pixels: NDArray[np.uint8], expected: str) -> str | None:
    reference = drawn()
    if pixels.shape != reference.shape:
        return f"shape {pixels.shape}"
    difference = int(np.abs(pixels.astype(int) - reference).max())
    allowed = 0 if expected == "same" else CLOSE_GREY
    return f"{difference} grey levels off" if difference > allowed else None
