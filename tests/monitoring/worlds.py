"""A small world for the tests of monitoring: a journal on a stepped clock, a reference, films by hand."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.embedding_space import EmbeddingSpace, pack_coordinates
from hilum.evaluation.histogram import count_cells
from hilum.evaluation.reference_profile import LabelledReference, ReferenceProfile, count_joint
from hilum.imaging.film_statistics import STATISTICS
from hilum.journal.journal import Journal
from hilum.monitoring.monitor import Look, Monitor
from hilum.monitoring.stream import Day, SteppedClock, Stream, StreamFilm

MODEL = "net_v1.0.0_20260101"
START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
CHAIN_KEY = b"c" * 32
MIX = (0.5, 0.3, 0.2)
_CENTRES = {
    "mean_grey": (128.0, 15.0),
    "deviation_grey": (58.0, 5.0),
    "contrast_grey": (200.0, 12.0),
    "sharpness": (0.006, 0.0015),
    "aspect": (1.0, 0.05),
    "short_side_px": (1024.0, 150.0),
}


def draw_film(
    random: np.random.Generator,
    *,
    mix: tuple[float, ...] = MIX,
    shifts: dict[str, float] | None = None,
    recall: float | None = None,
    away: float = 0.0,
    refused: bool = False,
    repeated: bool = False,
) -> StreamFilm:
    """A film whose statistics are normal; `shifts` in deviations, `away` of its coordinates.

    It is called right as often as its confidence says, or as often as `recall` does.
    """
    truth = int(random.choice(len(CLASS_NAMES), p=mix))
    if refused:
        return StreamFilm(CLASS_NAMES[truth], "inverted")
    confidence = float(random.beta(9, 1)) * 0.6 + 0.4
    is_right = random.random() < (confidence if recall is None else recall)
    called = truth if is_right else int((truth + 1 + random.integers(2)) % 3)
    rest = (1 - confidence) / 2
    facts: dict[str, object] = {
        f"p_{name.lower()}": confidence if place == called else rest for place, name in enumerate(CLASS_NAMES)
    }
    for name, (centre, spread) in _CENTRES.items():
        value = random.normal(centre + (shifts or {}).get(name, 0.0) * spread, spread)
        facts[f"pixels_{name}"] = float(max(value, 1e-4))
    facts["embedding"] = pack_coordinates(random.normal(size=4).astype(np.float32) + called + away)
    facts["repeated"], facts["referred"] = repeated, False
    return StreamFilm(CLASS_NAMES[truth], None, CLASS_NAMES[called], confidence, 20.0, facts)


def make_reference(films: int = 600, seed: int = 9) -> ReferenceProfile:
    """A profile of films drawn as `draw_film` draws them."""
    random = np.random.default_rng(seed)
    drawn = [draw_film(random) for _ in range(films)]
    truth = np.array([CLASS_NAMES.index(film.label) for film in drawn])
    called = np.array([CLASS_NAMES.index(str(film.prediction)) for film in drawn])
    confidence = np.array([film.confidence for film in drawn], np.float64)
    histograms = {
        name: count_cells(name, np.array([film.facts[f"pixels_{name}"] for film in drawn]))
        for name in STATISTICS
    }
    histograms["confidence"] = count_cells("confidence", confidence)
    return ReferenceProfile(
        f"{films} films",
        "0" * 64,
        films,
        histograms,
        np.bincount(called, minlength=3).astype(np.int64),
        EmbeddingSpace(np.zeros(8, np.float32), np.eye(4, 8, dtype=np.float32), np.ones(4, np.float32)),
        (random.normal(size=(films, 4)) + called[:, None]).astype(np.float32),
        called.astype(np.int64),
        LabelledReference(count_joint(truth, called, confidence), 0.02, 1.0),
    )


@dataclass
class World:
    """A journal that days are played into."""

    journal: Journal
    clock: SteppedClock
    stream: Stream
    monitor: Monitor
    reference: ReferenceProfile
    random: np.random.Generator
    day: int = 0

    @property
    def midnight(self) -> datetime:
        return START + timedelta(days=self.day)

    def play(self, films: list[StreamFilm], labels: dict[int, str] | None = None) -> None:
        self.stream.play(Day(films, labels or {}), midnight=self.midnight)
        self.day += 1

    def look(self) -> Look:
        return self.monitor.look(MODEL, self.reference)

    def live(self, days: int, *, films: int = 60, labelled: float = 0.0, **drawn: object) -> Look:
        """Play days of films drawn alike and look after each; return the last look."""
        for _ in range(days):
            batch = [draw_film(self.random, **drawn) for _ in range(films)]  # type: ignore[arg-type]
            labels = {
                place: film.label for place, film in enumerate(batch) if self.random.random() < labelled
            }
            self.play(batch, labels)
            look = self.look()
        return look


def make_world(folder: Path, *, seed: int = 0, url: str | None = None) -> World:
    clock = SteppedClock(START)
    journal = Journal.open(
        url or f"sqlite:///{folder / 'journal.sqlite'}",
        chain_key=CHAIN_KEY,
        clock=clock,
        checkpoints=folder / "heads.checkpoints",
    )
    return World(
        journal,
        clock,
        Stream(journal, clock, model_version=MODEL, seed=seed),
        Monitor(journal),
        make_reference(),
        np.random.default_rng(seed),
    )
