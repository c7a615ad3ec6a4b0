"""What goes wrong in a drill, one `Fault` each: how it changes a hospital's days, and what should be said.

A fault changes how many films come, which, their pixels, what the journal holds of an answer, or what readers
label. Pixels are changed before the engine sees them; the journal is changed only where the fault lies behind
the network (another model, slow answers, wrong labels).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import (
    DRILL_BOLDNESS,
    DRILL_BROKEN_SHARE,
    DRILL_FLIPPED_SHARE,
    DRILL_LATENCY_GROWTH,
    DRILL_MISLABELLED_SHARE,
    DRILL_PREVALENCE_FACTOR,
    DRILL_STORM_SHARE,
    DRILL_VOLUME_FACTOR,
)
from hilum.monitoring.drill_films import DrillFilm
from hilum.monitoring.film_changes import INVERSION, OVEREXPOSURE, SCANNER, FilmChange, blur_to
from hilum.monitoring.hospital import Weight
from hilum.monitoring.stream import StreamFilm

Change = Callable[[int], FilmChange | None]
"""The day of the fault, from 0, to what is done to its films."""
Answer = Callable[[StreamFilm, int, np.random.Generator], StreamFilm]
"""What the journal would hold and the day of the fault, to what it holds."""
Relabel = Callable[[str, np.random.Generator], str]
Volume = Callable[[int, int], int]
"""The usual number of films and the day of the fault, to the number."""

_CHILDREN = "kermany"
_BLUR_DAYS = 4
_SEVEREST = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Parameters
    ----------
    title
        In words.
    alerts
        Those of the catalogue that name the cause, or its nearest sign, rightly.
    said
        A part of the conclusion that would be right; "" when the alert says all there is.
    wrong
        Parts of conclusions that would be wrong.
    source
        Source of films that it needs; a pool without any is not drilled.
    needs_labels
        Whether it shows on labelled films alone.
    volume, weight, change, answer, relabel
        What it changes; nothing where None.
    is_storm
        One film is sent over and over among the others.
    """

    title: str
    alerts: tuple[str, ...]
    said: str = ""
    wrong: tuple[str, ...] = ("prevalence alone", "Calibration alone")
    source: str = ""
    needs_labels: bool = False
    volume: Volume | None = None
    weight: Weight | None = None
    change: Change | None = None
    answer: Answer | None = None
    relabel: Relabel | None = None
    is_storm: bool = False


def _blur_more(day: int) -> FilmChange:
    return blur_to(min(1 + day // _BLUR_DAYS, _SEVEREST))


def _of(*labels: str, factor: float) -> Weight:
    return lambda film: factor if film.label in labels else 1.0


def _children(film: DrillFilm) -> float:
    return 1.0 if film.source == _CHILDREN else 0.0


def _slower(film: StreamFilm, day: int, random: np.random.Generator) -> StreamFilm:
    del random
    taken = film.inference_time_ms
    return (
        film if taken is None else replace(film, inference_time_ms=taken * DRILL_LATENCY_GROWTH ** (day + 1))
    )


def _deaf(film: StreamFilm, day: int, random: np.random.Generator) -> StreamFilm:
    del day, random
    if film.prediction != Finding.TUBERCULOSIS:
        return film
    others = {name: float(film.facts[f"p_{name.lower()}"]) for name in CLASS_NAMES}
    del others[Finding.TUBERCULOSIS]
    total = sum(others.values()) or 1.0
    shares = {name: value / total for name, value in others.items()}
    return _answered(film, {**shares, str(Finding.TUBERCULOSIS): 0.0})


def _flipped(film: StreamFilm, day: int, random: np.random.Generator) -> StreamFilm:
    del day
    if film.prediction != Finding.PNEUMONIA or random.random() >= DRILL_FLIPPED_SHARE:
        return film
    shares = {name: float(film.facts[f"p_{name.lower()}"]) for name in CLASS_NAMES}
    normal, sick = str(Finding.NORMAL), str(Finding.PNEUMONIA)
    shares[normal], shares[sick] = shares[sick], shares[normal]
    return _answered(film, shares)


def _bold(film: StreamFilm, day: int, random: np.random.Generator) -> StreamFilm:
    del day, random
    if film.prediction is None:
        return film
    powers = {
        name: max(float(film.facts[f"p_{name.lower()}"]), 1e-9) ** DRILL_BOLDNESS for name in CLASS_NAMES
    }
    total = sum(powers.values())
    return _answered(film, {name: value / total for name, value in powers.items()})


def _answered(film: StreamFilm, shares: Mapping[str, float]) -> StreamFilm:
    call = max(CLASS_NAMES, key=lambda name: shares[name])
    facts = {**film.facts, **{f"p_{name.lower()}": round(value, 6) for name, value in shares.items()}}
    return replace(film, prediction=call, confidence=min(shares[call], 1.0), facts=facts)


def _broken(film: StreamFilm, day: int, random: np.random.Generator) -> StreamFilm:
    del day
    return (
        StreamFilm(film.label, "engine_failed", status=500) if random.random() < DRILL_BROKEN_SHARE else film
    )


def _mislabel(label: str, random: np.random.Generator) -> str:
    return str(random.choice(CLASS_NAMES)) if random.random() < DRILL_MISLABELLED_SHARE else label


_TB = str(Finding.TUBERCULOSIS)
_FILMS = "films themselves changed"
_LOOKS = ("HilumInputDrift", "HilumEmbeddingDrift")

FAULTS: Mapping[str, Fault] = {
    "scanner-change": Fault(
        "Films of another vendor: tone curve, contrast, noise, fewer pixels", _LOOKS, said=_FILMS,
        change=lambda _: SCANNER,
    ),
    "inverted": Fault(
        "Black and white exchanged", ("HilumFilmsRefused", *_LOOKS), said="`inverted`",
        change=lambda _: INVERSION
    ),
    "slow-blur": Fault("Films get less sharp from week to week", _LOOKS, said="sharpness", change=_blur_more),
    "overexposed": Fault(
        "Export with a wrong window: bright parts are white", ("HilumFilmsRefused", *_LOOKS), said="exposure",
        change=lambda _: OVEREXPOSURE,
    ),
    "children-only": Fault(
        "Only children come", _LOOKS, said=_FILMS, source=_CHILDREN, weight=_children
    ),
    "prevalence-jump": Fault(
        "Four times as much tuberculosis", ("HilumClassShift",), said="prevalence alone", wrong=(),
        weight=_of(_TB, factor=DRILL_PREVALENCE_FACTOR),
    ),
    "lost-class": Fault(
        "No film of tuberculosis comes any more", ("HilumClassShift",), said="prevalence alone", wrong=(),
        weight=_of(_TB, factor=0.0),
    ),
    "deaf-to-class": Fault(
        "The model never calls tuberculosis",
        ("HilumClassErrors", "HilumAccuracyDrop", "HilumCriticalMisses"),
        said="say otherwise", answer=_deaf, needs_labels=True,
    ),
    "calls-flipped": Fault(
        "Half of the calls of pneumonia become Normal; films as before",
        ("HilumAccuracyDrop", "HilumClassErrors", "HilumClassShift"), said="films look as before",
        answer=_flipped,
    ),
    "bold-probabilities": Fault(
        "Every logit three times as large",
        ("HilumMiscalibrated", "HilumReliabilitySlope", "HilumInputDrift"),
        said="Calibration alone", wrong=("prevalence alone",), answer=_bold,
        needs_labels=True,
    ),
    "mislabelled": Fault(
        "A third of the readers' labels are shuffled", ("HilumAccuracyDrop", "HilumClassErrors"),
        said="or the labels are wrong", relabel=_mislabel, needs_labels=True,
    ),
    "burst": Fault(
        "Five times as many films, for a day", ("HilumUnusualVolume",),
        volume=lambda usual, day: usual if day else round(DRILL_VOLUME_FACTOR * usual),
    ),
    "silence": Fault(
        "No film at all, for a day", ("HilumUnusualVolume",), volume=lambda usual, day: usual if day else 0
    ),
    "duplicate-storm": Fault(
        "Every second request sends one and the same film", ("HilumRepeatedFilms",), is_storm=True,
        volume=lambda usual, _: round(usual / (1 - DRILL_STORM_SHARE)),
    ),
    "latency-creep": Fault("Answers take a fifth longer every day", ("HilumSlow",), answer=_slower),
    "failing-answers": Fault("One request in twenty is answered 500", ("HilumServerErrors",), answer=_broken),
}  # fmt: skip
"""Every fault that is drilled."""
