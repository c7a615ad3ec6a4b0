"""One model in service: bytes of a film to an answer. Knows nothing about HTTP, users or torch.

A film goes through decoding (a process of its own), the input gate, the network, the gate's look at the
embedding, and the rules that turn logits into an answer; a map is judged and drawn on demand. Films beyond
what the machine can work on wait in a bounded queue, and beyond that are refused at once.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.config.schema import Preprocessing
from hilum.domain.errors import DecoderFailed, EngineOverloaded, FilmRefused
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.scenario import Scenario
from hilum.domain.thresholds import WAITING_FILMS_PER_WORKER
from hilum.evaluation.calibration import scale
from hilum.evaluation.reference_profile import read_reference
from hilum.imaging.film_statistics import describe_film
from hilum.imaging.lungs import LungFields, estimate_lungs
from hilum.imaging.radiograph import ImageFacts
from hilum.inference.age_range import AgeRange
from hilum.inference.answer import Answer, AnswerRules
from hilum.inference.decoding import DecodedFilm, DecodePool
from hilum.inference.explanation import Explanation, explain_film
from hilum.inference.gate import Refusal, judge_header, make_gate, note_overruled
from hilum.inference.graphs import GraphNetwork, Precision, ServedGraph, read_graph
from hilum.inference.runtime import GraphScores, RuntimeName
from hilum.inference.turns import Turns

_ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How a model is served: `workers` films at once, by default one for each core.

    `formats` are those decoded; None for all that hilum reads. `waiting` films may wait for each worker.
    """

    runtime: RuntimeName = "auto"
    precision: Precision = "float32"
    workers: int = 0
    waiting: int = WAITING_FILMS_PER_WORKER
    formats: tuple[str, ...] | None = ("PNG", "JPEG", "DICOM")
    scenario: Scenario | None = None
    """In force instead of the site's own threshold, or of the default."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What answered: `preprocessing_id` is equal for equal pixels' way into the network."""

    name: str
    version: str
    weights_sha256: str
    preprocessing_id: str
    runtime: str
    site: str | None


@dataclass(frozen=True, slots=True, eq=False)
class FilmAnswer:
    """Everything known about one film.

    `raw_probabilities` are the softmax at temperature 1, those of `answer` are calibrated. `image_sha256` is
    of the bytes given, `pixels_sha256` of the network's input. `statistics` (`hilum.imaging.film_statistics`)
    and `coordinates` of the embedding (float32 (D,); None for a model without a reference profile) are for
    monitoring.
    """

    answer: Answer
    raw_probabilities: dict[str, float]
    image_sha256: str
    pixels_sha256: str
    facts: ImageFacts
    statistics: dict[str, float]
    coordinates: NDArray[np.float32] | None
    inference_ms: float
    explanation: Explanation | None
    film_png: bytes | None
    overruled: str | None = None
    """Code of the gate's refusal that a reader overruled."""


class Engine:
    """A verified model, ready; safe to call from several threads."""

    def __init__(self, model: ServedGraph, network: GraphNetwork, settings: EngineSettings) -> None:
        self.facts: Mapping[str, Any] = model.facts
        workers = settings.workers or os.cpu_count() or 1
        self.identity = ModelIdentity(
            str(model.facts["name"]),
            str(model.facts["version"]),
            str(model.facts["weights_sha256"]),
            _identify(network.preprocessing),
            network.runtime_name,
            model.site.name if model.site else None,
        )
        self._network = network
        self._rules = AnswerRules.from_facts(model.facts, model.site, settings.scenario)
        self._ages = AgeRange.from_facts(model.facts, model.site)
        self.reference = read_reference(model.folder, weights_sha256=str(model.facts["weights_sha256"]))
        self._space = self.reference.space if self.reference else None
        self._gate = make_gate(model.facts, model.site)
        self._pool = DecodePool(side_px=network.side_px, workers=workers, formats=settings.formats)
        self._beside = ThreadPoolExecutor(workers, thread_name_prefix="lungs")
        self._turns = Turns(workers)
        self._admission = threading.Lock()
        self._admitted = 0
        self._capacity = workers * (1 + settings.waiting)
        self._mean_seconds = 0.05
        self._workers = workers

    @classmethod
    def open(
        cls, folder: Path, *, site: Path | None = None, settings: EngineSettings | None = None
    ) -> "Engine":
        """Read and verify a bundle, open its graph, start decoders, run the self-test.

        Raises
        ------
        CheckpointError
            If the bundle or the site profile is damaged or carries no graph.
        EngineFailed
            If it does not answer its self-test films as when it was released.
        DecoderFailed
            If no film can be decoded on this machine.
        """
        cv2.setNumThreads(1)  # films are the unit of parallel work; threads inside one wait for each other
        settings = settings or EngineSettings()
        model = read_graph(folder, site, precision=settings.precision)
        network = GraphNetwork(model, settings.runtime)
        network.self_test()
        engine = cls(model, network, settings)
        try:
            engine._pool.wait_ready()
        except DecoderFailed:
            engine.close()
            raise
        return engine

    @property
    def waiting(self) -> int:
        """Films admitted beyond those in work."""
        return max(0, self._admitted - self._workers)

    @property
    def decoder_deaths(self) -> int:
        """Decoding processes that died over a film since the start."""
        return self._pool.deaths

    def predict(
        self, data: bytes, *, explain: bool = False, film: bool = False, overrule: bool = False
    ) -> FilmAnswer:
        """Answer for one film.

        Parameters
        ----------
        data
            The whole file.
        explain
            Whether its map is wanted.
        film
            Whether the film as displayed is wanted, PNG.
        overrule
            Answer although the input gate rejects the film: a reader has looked at it.

        Raises
        ------
        InputError
            If it cannot be decoded (`UnreadableImage`, `UnsupportedFormat`, `UnsuitableImage`), or the input
            gate has something against it (`FilmRefused`).
        EngineOverloaded
            If too many films wait.
        EngineFailed
            If the network raises or gives something that is no number.
        DecoderFailed
            If decoding died, or took too long (`DecoderLate`).
        """
        with self._turn():
            start = time.perf_counter()
            decoded = self._pool.decode(data, display=film)
            answer = self._answer(decoded, explain=explain, overrule=overrule)
            taken = time.perf_counter() - start
            self._mean_seconds += (taken - self._mean_seconds) / 16  # a running mean, for Retry-After
            return replace(answer, inference_ms=1000 * taken)

    def self_test(self) -> None:
        """Score the films that the bundle carries and compare; raises EngineFailed if they differ."""
        self._network.self_test()

    def process_ids(self) -> list[int]:
        """Return the ids of the decoding processes."""
        return self._pool.process_ids()

    def close(self) -> None:
        """End the decoders; answers under way fail."""
        self._beside.shutdown(wait=False, cancel_futures=True)
        self._pool.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._admission:
            if self._admitted >= self._capacity:
                wait = self._admitted * self._mean_seconds / self._workers
                raise EngineOverloaded(self.waiting, max(1, round(wait)))
            self._admitted += 1
        try:
            with self._turns.take():
                yield
        finally:
            with self._admission:
                self._admitted -= 1

    def _answer(self, decoded: DecodedFilm, *, explain: bool, overrule: bool) -> FilmAnswer:
        film = decoded.pixels
        refusal = judge_header(decoded.facts)
        if refusal is None and self._gate is not None:
            refusal = self._gate.judge_pixels(film)
        _refuse(refusal, decoded, overrule=overrule)
        lungs = self._beside.submit(estimate_lungs, film) if explain else None  # while the network runs
        scores = self._network.score(film[None], is_alone=self._admitted == 1)
        if refusal is None and self._gate is not None:
            refusal = self._gate.judge_embedding(scores.embedding[0])
        _refuse(refusal, decoded, overrule=overrule)
        (answer,) = self._rules.answer(scores.logits, scores.embedding)
        answer = self._ages.flag(answer, decoded.facts)
        answer = answer if refusal is None else note_overruled(answer, refusal)
        explanation = None
        if lungs is not None:
            explanation = self._explain(answer, scores, decoded, lungs.result())
        raw = scale(scores.logits.astype(np.float64), 1.0)[0]
        return FilmAnswer(
            answer,
            {name: float(value) for name, value in zip(CLASS_NAMES, raw, strict=True)},
            decoded.sha256,
            hashlib.sha256(film.tobytes()).hexdigest(),
            decoded.facts,
            describe_film(film, width=decoded.facts.width, height=decoded.facts.height),
            self._space.project(scores.embedding)[0] if self._space else None,
            0.0,
            explanation,
            decoded.display_png,
            None if refusal is None else refusal.code,
        )

    def _explain(
        self, answer: Answer, scores: GraphScores, decoded: DecodedFilm, lungs: LungFields
    ) -> Explanation:
        cam = scores.cam[0, CLASS_NAMES.index(answer.decision)]
        record = self.facts.get("explanations")
        return explain_film(
            record, cam, decoded.pixels, answer.decision,
            lungs=lungs, field=decoded.field, picture=decoded.picture,
        )  # fmt: skip


def _refuse(refusal: Refusal | None, decoded: DecodedFilm, *, overrule: bool) -> None:
    if refusal is not None and not overrule:
        raise FilmRefused(refusal.code, refusal.sentence, refusal.fix, decoded.display_png)


def _identify(preprocessing: Preprocessing) -> str:
    text = json.dumps(preprocessing.model_dump(mode="json"), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]
