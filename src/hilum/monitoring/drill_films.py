"""Films that drills stream: each asked of the real engine once, as it is and as a fault changes it.

Real films are those of a data set's test split, which no reference profile holds; without films, phantoms are
drawn and a reference is made of other phantoms. Phantoms are drawings, and mean nothing to a model of films:
those that the input gate refuses are left out, a phantom's class is what the model calls it as it is, and
nobody labels any, so that what rests on labels is not drilled with them.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from hilum.config.load import load_config
from hilum.data.ingest import open_dataset
from hilum.data.phantom.film import draw_film
from hilum.data.pixel_cache import decode_film
from hilum.domain.errors import InputError
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import (
    DRILL_LABELLED_SHARE,
    DRILL_LATENCY_MS,
    DRILL_REFERENCE_PHANTOMS,
    DRILL_STREAM_PHANTOMS,
)
from hilum.evaluation.reference_profile import ReferenceProfile, profile_films
from hilum.files import write_atomic
from hilum.imaging.file_bytes import read_file
from hilum.imaging.intake import read_radiograph
from hilum.inference.engine import Engine
from hilum.inference.graphs import GraphNetwork, read_graph
from hilum.monitoring.film_changes import FilmChange
from hilum.monitoring.film_facts import film_facts
from hilum.monitoring.stream import StreamFilm

_SPLIT = "test"
_SEED = 4711
_BATCH = 32
Progress = Callable[[int, int], None]
"""Films done, films in all."""


@dataclass(frozen=True, slots=True)
class DrillFilm:
    """One file: its true class, where it comes from, its bytes."""

    label: str
    source: str
    data: bytes

    @property
    def sha256(self) -> str:
        """Digest of the bytes."""
        return hashlib.sha256(self.data).hexdigest()


class FilmPool:
    """Films and what the engine answers to them.

    Parameters
    ----------
    films
        The films.
    engine
        Answers; open as long as answers are asked for that are not known yet.
    reference
        What the stream is held against.
    made_of
        In words.
    labelled_share
        Share of answers that readers label.
    """

    def __init__(
        self,
        films: Sequence[DrillFilm],
        engine: Engine,
        reference: ReferenceProfile,
        *,
        made_of: str,
        labelled_share: float = DRILL_LABELLED_SHARE,
    ) -> None:
        self.films, self.reference, self.made_of = tuple(films), reference, made_of
        self.labelled_share = labelled_share
        self.model_version = engine.identity.name
        self._engine, self._weights = engine, engine.identity.weights_sha256
        self._known: dict[tuple[int, str], StreamFilm] = {}

    def remember(self, file: Path) -> None:
        """Take over answers that were kept in a file, but those of other films or another model."""
        if not file.is_file():
            return
        kept = json.loads(file.read_text(encoding="utf-8"))
        places = {film.sha256: place for place, film in enumerate(self.films)}
        if kept["weights_sha256"] == self._weights:
            self._known |= {
                (places[sha256], name): StreamFilm(**film)
                for sha256, name, film in kept["answers"]
                if sha256 in places
            }

    def keep(self, file: Path) -> None:
        """Write every answer to a file."""
        answers = [
            (self.films[place].sha256, name, asdict(film)) for (place, name), film in self._known.items()
        ]
        write_atomic(file, json.dumps({"weights_sha256": self._weights, "answers": answers}, allow_nan=False))

    def answers(self, places: Sequence[int], change: FilmChange | None = None) -> list[StreamFilm]:
        """Return what the journal holds of films, each changed first."""
        name = change.name if change else ""
        unknown = [place for place in dict.fromkeys(places) if (place, name) not in self._known]
        if unknown:
            with ThreadPoolExecutor(2) as threads:
                found = threads.map(lambda place: self._ask(self.films[place], change), unknown)
                self._known.update({(place, name): film for place, film in zip(unknown, found, strict=True)})
        return [self._known[place, name] for place in places]

    def _ask(self, film: DrillFilm, change: FilmChange | None) -> StreamFilm:
        data = film.data if change is None else _encode(change.apply(read_radiograph(film.data).pixels))
        return ask(self._engine, data, film.label)


def ask(engine: Engine, data: bytes, label: str) -> StreamFilm:
    """Return what the journal holds of one film; its time is a drill's, not that of this machine."""
    try:
        answered = engine.predict(data)
    except InputError as error:
        return StreamFilm(label, error.code)
    call = str(answered.answer.decision)
    facts = film_facts(answered, engine.identity, is_fallback=False, is_repeated=False)
    confidence = float(answered.answer.probabilities[call])
    return StreamFilm(label, None, call, confidence, DRILL_LATENCY_MS, dict(facts))


def read_films(data: Path) -> list[DrillFilm]:
    """Return the films of a data set's test split.

    Raises
    ------
    DatasetError, EmptyDataset
        As `hilum.data.ingest.open_dataset`.
    """
    dataset = open_dataset(data, load_config())
    rows, _ = dataset.select(_SPLIT)
    sources = rows["source"].fillna("all") if "source" in rows else ["all"] * len(rows)
    return [
        DrillFilm(str(label), str(source), read_file(dataset.root / path, name=str(path)))
        for path, label, source in zip(rows["path"], rows["label"], sources, strict=True)
    ]


def draw_phantom_pool(
    bundle: Path,
    engine: Engine,
    *,
    reference_films: int = DRILL_REFERENCE_PHANTOMS,
    stream_films: int = DRILL_STREAM_PHANTOMS,
    progress: Progress | None = None,
) -> FilmPool:
    """Draw phantoms that the gate lets through: some for a reference of their own, others for the stream."""
    network = GraphNetwork(read_graph(bundle))
    wanted = reference_films + stream_films
    kept: list[DrillFilm] = []
    index = 0
    with ThreadPoolExecutor(2) as threads:
        while len(kept) < wanted:
            drawn = list(threads.map(lambda i: _draw(i, network.side_px), range(index, index + _BATCH)))
            index += _BATCH
            answers = threads.map(lambda film: ask(engine, film.data, film.label), drawn)
            kept += [
                replace(film, label=said.prediction)
                for film, said in zip(drawn, answers, strict=True)
                if said.prediction is not None
            ]
            if progress is not None:
                progress(min(len(kept), wanted), wanted)
    refused = 1 - len(kept) / index
    kept = kept[:wanted]
    reference = _profile(kept[:reference_films], network, engine)
    made_of = (
        f"{stream_films} phantoms that the input gate lets through (it refuses {refused:.0%} of them), not"
        f" labelled, against a reference of {reference_films} other phantoms"
    )
    return FilmPool(kept[reference_films:], engine, reference, made_of=made_of, labelled_share=0.0)


def _draw(index: int, side_px: int) -> DrillFilm:
    film = draw_film(index, seed=_SEED, side_px=side_px)
    return DrillFilm(str(film.row["label"]), str(film.row["source"]), _encode(film.pixels))


def _profile(films: Sequence[DrillFilm], network: GraphNetwork, engine: Engine) -> ReferenceProfile:
    """Make a reference of films; their coordinates are those of the engine's own space."""
    decoded = [decode_film(film.data, name="phantom", side_px=network.side_px) for film in films]
    pixels = np.stack([film.pixels for film in decoded])
    batches = [network.score(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)]
    logits, embeddings = (
        np.concatenate([getattr(scores, name) for scores in batches]) for name in ("logits", "embedding")
    )
    profile = profile_films(
        pixels,
        np.array([(film.facts.width, film.facts.height) for film in decoded], np.int64),
        logits,
        embeddings,
        np.array([CLASS_NAMES.index(film.label) for film in films], np.int64),
        temperature=float(engine.facts["temperature"]),
        weights_sha256=engine.identity.weights_sha256,
        made_of=f"{len(films)} phantoms",
    )
    space = engine.reference.space if engine.reference else None
    if space is None:
        return replace(profile, space=None, sample=None, sample_calls=None)
    sample, calls = space.project(embeddings), logits.argmax(axis=1).astype(np.int64)
    return replace(profile, space=space, sample=sample, sample_calls=calls)


def _encode(pixels: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> bytes:
    return bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
