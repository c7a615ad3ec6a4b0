"""Films on disk to predictions, one by one, never stopping at a bad file.

Knows nothing about torch or HTTP: the network is handed in as something that scores pixels.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hilum.data.film_folder import describe_left_out, walk_films
from hilum.data.pixel_cache import CachedFilm, decode_film
from hilum.domain.errors import EmptyDataset, InputError
from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.files import show_name
from hilum.imaging.exposed_field import ExposedField
from hilum.imaging.file_bytes import read_file
from hilum.inference.age_range import AgeRange
from hilum.inference.answer import Answer, AnswerRules
from hilum.inference.gate import InputGate, Refusal, judge_header

log = logging.getLogger(__name__)

CHUNK_FILMS = 16
"""Films decoded and scored together: large enough to use the cores, small enough to stream."""


class NetworkScores(Protocol):
    """What a network gives for N films."""

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    cam: NDArray[np.float32]


Network = Callable[[NDArray[np.uint8]], Any]
"""uint8 (N, side, side) to `NetworkScores`."""


class MapVerdict(Protocol):
    """Whether a map may be shown: `reason` is None when it may; `notes` go with it then."""

    @property
    def reason(self) -> str | None:
        """Why it must not be shown."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What to say beside it."""


JudgeMap = Callable[[NDArray[np.float32], NDArray[np.uint8], Finding], MapVerdict]
"""(Map of the called finding, the film, the finding) to a verdict."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """One film's answer, or in `reason` why there is none.

    `pixels` is uint8 (side, side) of the exposed `field`, and `cam` float32 (h, w) the called finding's
    Grad-CAM there (`ExposedField.place` puts it onto the whole film); None when `map_withheld` says why it
    is not shown. `map_notes` are sentences to read beside it. `refusal` is what the input gate has against
    the film; beside an answer it was overruled.
    """

    path: str
    answer: Answer | None
    reason: str
    pixels: NDArray[np.uint8] | None = None
    cam: NDArray[np.float32] | None = None
    map_withheld: str | None = None
    map_notes: tuple[str, ...] = ()
    refusal: Refusal | None = None
    field: ExposedField = ExposedField()

    @property
    def probabilities(self) -> dict[str, float] | None:
        """By CLASS_NAMES; None without an answer."""
        return self.answer.probabilities if self.answer else None

    @property
    def decision(self) -> Finding | None:
        """The most probable class; None without an answer."""
        return self.answer.decision if self.answer else None


@dataclass(frozen=True, slots=True, eq=False)
class _Answering:
    network: Network
    rules: AnswerRules
    judge_map: JudgeMap | None
    gate: InputGate | None
    overrule_gate: bool
    ages: AgeRange


def predict_films(
    paths: Iterable[Path],
    network: Network,
    *,
    side_px: int,
    rules: AnswerRules,
    judge_map: JudgeMap | None = None,
    gate: InputGate | None = None,
    overrule_gate: bool = False,
    ages: AgeRange = AgeRange(),  # noqa: B008 - frozen
) -> Iterator[Prediction]:
    """Yield one prediction per path, in order.

    Parameters
    ----------
    network
        Scores uint8 (N, side_px, side_px).
    rules
        How logits become answers.
    judge_map
        Decides whether a map may be shown; None shows every map (and asks for no lungs to be found).
    gate
        Refuses what is no film or unlike any; None lets everything through that is readable and whose own
        header does not contradict it.
    overrule_gate
        Answer for refused films too, the refusal beside the answer.
    ages
        At which ages the model may be relied on.
    """
    answering = _Answering(network, rules, judge_map, gate, overrule_gate, ages)
    remaining = iter(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while chunk := list(islice(remaining, CHUNK_FILMS)):
            films = list(pool.map(lambda path: _read(path, side_px), chunk))
            refusals = list(pool.map(partial(_judge, gate), films))
            yield from _score_chunk(chunk, films, refusals, answering)


def find_films(arguments: Iterable[Path]) -> Iterator[Path]:
    """Yield the files named, and the films inside the folders named, sorted; say what is left out there.

    A folder without films is yielded itself: it gets its reason like a film that cannot be used.
    """
    for argument in arguments:
        if not argument.is_dir():
            yield argument
            continue
        found = walk_films(argument)
        for line in describe_left_out(found.left_out):
            log.warning("%s: %s", show_name(str(argument)), line)
        yield from found.films or [argument]


def _read(path: Path, side_px: int) -> CachedFilm | InputError:
    try:
        if path.is_dir():
            raise EmptyDataset(
                f"{show_name(str(path))}: the folder holds no images. Name files or a folder with films."
            )
        return decode_film(
            read_file(path, name=show_name(str(path))), name=show_name(str(path)), side_px=side_px
        )
    except InputError as error:
        return error


def _judge(gate: InputGate | None, film: CachedFilm | InputError) -> Refusal | None:
    if isinstance(film, InputError):
        return None
    return judge_header(film.facts) or (gate.judge_pixels(film.pixels) if gate else None)


def _score_chunk(
    paths: list[Path],
    films: list[CachedFilm | InputError],
    refusals: list[Refusal | None],
    by: _Answering,
) -> Iterator[Prediction]:
    asked = [
        film.pixels
        for film, refusal in zip(films, refusals, strict=True)
        if not isinstance(film, InputError) and (refusal is None or by.overrule_gate)
    ]
    if asked:
        scores: NetworkScores = by.network(np.stack(asked))
        answers = enumerate(by.rules.answer(scores.logits, scores.embedding))
    for path, film, of_pixels in zip(paths, films, refusals, strict=True):
        refusal = of_pixels
        if isinstance(film, InputError):
            yield Prediction(str(path), None, f"{film.code}: {film}")
            continue
        if refusal is None or by.overrule_gate:
            index, answer = next(answers)
            answer = by.ages.flag(answer, film.facts)
            if refusal is None and by.gate is not None:
                refusal = by.gate.judge_embedding(scores.embedding[index])
        if refusal is not None and not by.overrule_gate:
            yield Prediction(str(path), None, str(refusal), film.pixels, refusal=refusal, field=film.field)
            continue
        cam = scores.cam[index, CLASS_NAMES.index(answer.decision)]
        with_map = _with_map(str(path), answer, film.pixels, cam, by.judge_map)
        yield replace(with_map, refusal=refusal, field=film.field)


def _with_map(
    path: str,
    answer: Answer,
    film: NDArray[np.uint8],
    cam: NDArray[np.float32],
    judge_map: JudgeMap | None,
) -> Prediction:
    if judge_map is None:
        return Prediction(path, answer, "", film, cam)
    verdict = judge_map(cam, film, answer.decision)
    if verdict.reason is not None:
        return Prediction(path, answer, "", film, map_withheld=verdict.reason)
    return Prediction(path, answer, "", film, cam, map_notes=verdict.notes)
