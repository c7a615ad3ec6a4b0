"""Films on disk to predictions, one by one, never stopping at a bad file.

Knows nothing about torch or HTTP: the network is handed in as something that scores pixels.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hilum.data.ingest import FILM_SUFFIXES
from hilum.data.pixel_cache import decode_film, read_file
from hilum.domain.errors import EmptyDataset, InputError
from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.evaluation.calibration import scale
from hilum.evaluation.operating_points import Scenario, decide

CHUNK_FILMS = 16
"""Films decoded and scored together: large enough to use the cores, small enough to stream."""


class NetworkScores(Protocol):
    """What a network gives for N films."""

    logits: NDArray[np.float32]
    cam: NDArray[np.float32]


Network = Callable[[NDArray[np.uint8]], Any]
"""uint8 (N, side, side) to `NetworkScores`."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """One film's answer, or why there is none.

    `probabilities` follow CLASS_NAMES and are None, like `decision`, when the film could not be used;
    `reason` then says why. `cam` is float32 (h, w), the decided class's Grad-CAM.
    """

    path: str
    probabilities: dict[str, float] | None
    decision: Finding | None
    reason: str
    pixels: NDArray[np.uint8] | None = None
    cam: NDArray[np.float32] | None = None

    def scenarios(self) -> dict[str, str] | None:
        """Return the call of each scenario of the report's Table 15."""
        if self.probabilities is None:
            return None
        row = np.array([[self.probabilities[name] for name in CLASS_NAMES]])
        return {str(scenario): decide(row, scenario)[0] for scenario in Scenario}


def predict_films(
    paths: Iterable[Path], network: Network, *, side_px: int, temperature: float
) -> Iterator[Prediction]:
    """Yield one prediction per path, in order.

    Parameters
    ----------
    network
        Scores uint8 (N, side_px, side_px).
    temperature
        Logits are divided by it before softmax.
    """
    remaining = iter(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while chunk := list(islice(remaining, CHUNK_FILMS)):
            films = list(pool.map(lambda path: _read(path, side_px), chunk))
            yield from _score_chunk(chunk, films, network, temperature)


def find_films(arguments: Iterable[Path]) -> Iterator[Path]:
    """Yield the files named, and the films inside the folders named, sorted.

    A folder without films is yielded itself: it gets its reason like a film that cannot be used.
    """
    for argument in arguments:
        if not argument.is_dir():
            yield argument
            continue
        films = sorted(
            path
            for path in argument.rglob("*")
            if path.suffix.lower() in FILM_SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
        yield from films or [argument]


def _read(path: Path, side_px: int) -> NDArray[np.uint8] | InputError:
    try:
        if path.is_dir():
            raise EmptyDataset(f"{path}: the folder holds no images. Name files or a folder with films.")
        return decode_film(read_file(path, name=str(path)), name=str(path), side_px=side_px).pixels
    except InputError as error:
        return error


def _score_chunk(
    paths: list[Path], films: list[NDArray[np.uint8] | InputError], network: Network, temperature: float
) -> Iterator[Prediction]:
    readable = [film for film in films if not isinstance(film, InputError)]
    if readable:
        scores: NetworkScores = network(np.stack(readable))
        calibrated = scale(scores.logits.astype(np.float64), temperature)
        answers = iter(zip(calibrated, scores.cam, strict=True))
    for path, film in zip(paths, films, strict=True):
        if isinstance(film, InputError):
            yield Prediction(str(path), None, None, f"{film.code}: {film}")
            continue
        probabilities, cams = next(answers)
        called = int(probabilities.argmax())
        named = {name: float(value) for name, value in zip(CLASS_NAMES, probabilities, strict=True)}
        yield Prediction(str(path), named, Finding(CLASS_NAMES[called]), "", film, cams[called])
