"""Fit the input gate of a model: which pictures it may be asked about at all.

Before any score, one linear check per kind of wrong picture (ridge regression on `describe_structure`,
films against pictures made wrong, and the kind against other kinds for its name) and one limit on contrast;
after it, one on the distance of the embedding.
The limits: all checks share one budget, the validation films that may be refused. The highest common rank
that keeps to it gives each check's limit (as in conformal prediction, by rank and without a distribution);
where wrong pictures leave a gap beyond it the limit moves into the middle of the gap, else a new site is
refused for being new.

The record is plain JSON and holds no film: weights, limits and the mean film at 32 x 32.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError
from hilum.domain.thresholds import (
    GATE_CENTRE_MARGIN,
    GATE_DRAWN_FILMS,
    GATE_LET_THROUGH_SHARE,
    GATE_MARGIN_SHARE,
    GATE_MAX_FIT_FILMS,
    GATE_MIN_FILMS,
    GATE_RIDGE_SHARE,
    GATE_WRONG_FILM_QUANTILE,
)
from hilum.evaluation.embedding_distance import EmbeddingDistance
from hilum.evaluation.packed_array import pack_array, unpack_array
from hilum.evaluation.wrong_films import WRONG_KINDS, Film, expose_badly, jitter_film
from hilum.imaging.appearance import grey_entropy_bits, mean_film
from hilum.imaging.preprocess import prepare_film
from hilum.imaging.structure import describe_structure

GATE_VERSION = 1
"""Raised when a record of before can no longer be read."""

Films = NDArray[np.uint8]
Array = NDArray[np.float32]
Embed = Callable[[Films], Array]
"""uint8 (N, side, side) to float32 (N, C)."""
Progress = Callable[[int, int], object]
"""(Wrong pictures made, of how many)."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearCheck:
    """One kind's score of a structure, about 0 for films and 1 for the kind."""

    weights: Array
    offset: float

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "LinearCheck":
        """Read what `to_record` wrote."""
        return cls(unpack_array(record["weights"]), float(record["offset"]))

    def to_record(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"weights": pack_array(self.weights), "offset": self.offset}

    def score(self, structures: Array) -> Array:
        """Return float32 (N,) of (N, STRUCTURE_LENGTH)."""
        return np.asarray(structures @ self.weights + self.offset, np.float32)


def measure_flatness(film: Film) -> float:
    """Return 8 minus the bits of entropy of a film's middle: high for a picture with little contrast."""
    margin_y, margin_x = (round(GATE_CENTRE_MARGIN * side) for side in film.shape)
    height, width = film.shape
    return 8.0 - grey_entropy_bits(film[margin_y : height - margin_y, margin_x : width - margin_x])


def fit_gate(
    train_pixels: Films,
    train_embeddings: Array,
    val_pixels: Films,
    val_embeddings: Array,
    *,
    embed: Embed,
    further_pixels: Films | None = None,
    seed: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fit a gate and return its record.

    Parameters
    ----------
    train_pixels, val_pixels
        uint8 (N, side, side), of the exposed field as they are decoded, before any remedy of the model.
    train_embeddings, val_embeddings
        float32 (N, C), `FilmScores.embedding` of the same films.
    embed
        Gives the embeddings of pictures as of films; asked about some hundred drawn pictures.
    further_pixels
        Right films from elsewhere, uint8 (N, side, side), on which the checks are fitted too.
    progress
        Called after each wrong picture, which take most of the time.

    Raises
    ------
    DatasetError
        If either set has fewer than `GATE_MIN_FILMS` films, or films and embeddings differ in number.
    """
    for name, films, embeddings in (
        ("training", train_pixels, train_embeddings),
        ("validation", val_pixels, val_embeddings),
    ):
        if len(films) < GATE_MIN_FILMS or len(films) != len(embeddings):
            raise DatasetError(
                f"input gate: {len(films)} {name} films with {len(embeddings)} embeddings; at least"
                f" {GATE_MIN_FILMS} films are needed, each with its embedding. Add films."
            )
    random = np.random.default_rng(seed)
    right = train_pixels if further_pixels is None else np.concatenate([train_pixels, further_pixels])
    makers = sum(map(len, WRONG_KINDS.values()))
    count = _Count(makers * (min(len(right), GATE_MAX_FIT_FILMS) + len(val_pixels)), progress)
    checks, names = _fit_checks(right, random, count)
    distance = EmbeddingDistance.fit(train_embeddings)
    structures = _describe(val_pixels)
    measures = {code: check.score(structures) for code, check in checks.items()}
    measures["contrast-out-of-range"] = np.array([measure_flatness(film) for film in val_pixels], np.float32)
    measures["unlike-training-films"] = distance.measure(val_embeddings)
    limits = _joint_limits(measures)
    moved = dict(limits)
    for code, check in checks.items():
        wrong = check.score(_describe(_make_wrong(code, val_pixels, random, count)))
        moved[code] = _move_into_gap(limits[code], wrong)
    flat = [measure_flatness(expose_badly(film, random)) for film in val_pixels]
    moved["contrast-out-of-range"] = _move_into_gap(limits["contrast-out-of-range"], np.array(flat))
    drawn = distance.measure(embed(_make_wrong("not-a-chest-film", val_pixels[:GATE_DRAWN_FILMS], random)))
    moved["unlike-training-films"] = _move_into_gap(limits["unlike-training-films"], drawn)
    refused = np.any([values > moved[code] for code, values in measures.items()], axis=0)
    return {
        "version": GATE_VERSION,
        "fitted_on": {
            "train_films": len(train_pixels),
            "val_films": len(val_pixels),
            "further_films": 0 if further_pixels is None else len(further_pixels),
            "seed": seed,
        },
        "val_let_through": 1.0 - float(refused.mean()),
        "limits": {code: {"limit": moved[code], "budget_limit": limits[code]} for code in moved},
        "checks": {code: check.to_record() for code, check in checks.items()},
        "names": {code: check.to_record() for code, check in names.items()},
        "embedding": distance.to_record(),
        "mean_film": pack_array(mean_film(train_pixels), dtype="float16"),
    }


def count_refused(
    record: Mapping[str, Any], pixels: Films, embeddings: Array, *, limits: Mapping[str, float] | None = None
) -> dict[str, int]:
    """Count the films that each check of a gate's record refuses, and under "any" those refused at all.

    Parameters
    ----------
    pixels
        uint8 (N, side, side), of the exposed field.
    embeddings
        float32 (N, C) of the films.
    limits
        By code, in place of the record's.
    """
    limits = {code: float(item["limit"]) for code, item in record["limits"].items()} | dict(limits or {})
    above = {code: values > limits[code] for code, values in _measure(record, pixels, embeddings).items()}
    counts = {code: int(refused.sum()) for code, refused in above.items() if refused.any()}
    return {**counts, "any": int(np.any(list(above.values()), axis=0).sum())}


def widen_limit(record: Mapping[str, Any], code: str, pixels: Films, *, seed: int = 1) -> float:
    """Return a limit for one check on pixels that lets right films through, uint8 (N, side, side).

    The limit lies at the share `GATE_LET_THROUGH_SHARE` of the films, and not beyond what leaves
    `GATE_WRONG_FILM_QUANTILE` of wrong pictures made of the same films unnoticed.

    Raises
    ------
    DatasetError
        If the code is no check on pixels that wrong pictures can be made for.
    """
    if code not in record["checks"]:
        raise DatasetError(
            f"input gate: no limit of {code!r} can be widened; possible are {', '.join(record['checks'])}."
        )
    check = LinearCheck.from_record(record["checks"][code])
    own = float(np.quantile(check.score(_describe(pixels)), GATE_LET_THROUGH_SHARE, method="higher"))
    wrong = check.score(_describe(_make_wrong(code, pixels, np.random.default_rng(seed))))
    noticed = float(np.quantile(wrong, GATE_WRONG_FILM_QUANTILE))
    return max(float(record["limits"][code]["limit"]), min(own, noticed))


def _measure(record: Mapping[str, Any], pixels: Films, embeddings: Array) -> dict[str, Array]:
    structures = _describe(pixels)
    measures = {
        code: LinearCheck.from_record(check).score(structures) for code, check in record["checks"].items()
    }
    flatness = np.array([measure_flatness(film) for film in pixels], np.float32)
    distance = EmbeddingDistance.from_record(record["embedding"])
    return {
        **measures,
        "contrast-out-of-range": flatness,
        "unlike-training-films": distance.measure(embeddings),
    }


def _describe(films: Films) -> Array:
    return np.stack([describe_structure(film) for film in films])


class _Count:
    """Counts wrong pictures, of how many that are made of films."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._made, self._total, self._progress = 0, total, progress

    def add(self) -> None:
        self._made += 1
        if self._progress is not None:
            self._progress(self._made, self._total)


def _make_wrong(code: str, films: Films, random: np.random.Generator, count: _Count | None = None) -> Films:
    """Make wrong pictures of a kind, as a gate gets them: cut to what looks like an exposed field."""
    side = films.shape[-1]
    pictures = []
    for picture in (make(film, films, random) for make in WRONG_KINDS[code] for film in films):
        pictures.append(prepare_film(picture, side))
        if count is not None:
            count.add()
    return np.stack(pictures)


def _fit_checks(
    films: Films, random: np.random.Generator, count: _Count
) -> tuple[dict[str, LinearCheck], dict[str, LinearCheck]]:
    """Fit, for each kind, a check against right films and one, for its name, against all other kinds.

    Right films are taken as they are and jittered, wrong ones are made of the jittered.
    """
    if len(films) > GATE_MAX_FIT_FILMS:
        films = films[random.permutation(len(films))[:GATE_MAX_FIT_FILMS]]
    jittered = np.stack([jitter_film(film, random) for film in films])
    right = np.concatenate([_describe(films), _describe(jittered)])
    wrong = {code: _describe(_make_wrong(code, jittered, random, count)) for code in WRONG_KINDS}
    checks = {code: _fit_linear(right, structures) for code, structures in wrong.items()}
    names = {
        code: _fit_linear(np.concatenate([wrong[other] for other in wrong if other != code]), structures)
        for code, structures in wrong.items()
    }
    return checks, names


def _fit_linear(right: Array, wrong: Array) -> LinearCheck:
    """Ridge regression of 0 for right and 1 for wrong, both sides weighing alike."""
    means = [side.astype(np.float64).mean(axis=0) for side in (right, wrong)]
    centre = (means[0] + means[1]) / 2
    scatter = sum(
        (side - centre).T.astype(np.float64) @ (side - centre) / (2 * len(side)) for side in (right, wrong)
    )
    shrunk = scatter + GATE_RIDGE_SHARE * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    weights = np.linalg.solve(shrunk, (means[1] - means[0]) / 4)
    stored = unpack_array(pack_array(weights))
    return LinearCheck(stored, float(0.5 - centre @ stored))


def _joint_limits(measures: dict[str, Array]) -> dict[str, float]:
    """Return each measure's limit: the highest common rank that refuses no more films than the budget."""
    scores = np.stack(list(measures.values()), axis=1).astype(np.float64)  # (N, checks)
    allowed = math.floor((1.0 - GATE_LET_THROUGH_SHARE) * (len(scores) + 1))
    ordered = np.sort(scores, axis=0)[::-1]
    rank = 0
    while rank + 1 < len(ordered) and int((scores > ordered[rank + 1]).any(axis=1).sum()) <= allowed:
        rank += 1
    return {code: float(limit) for code, limit in zip(measures, ordered[rank], strict=True)}


def _move_into_gap(limit: float, wrong: NDArray[np.floating]) -> float:
    gap = float(np.quantile(wrong, GATE_WRONG_FILM_QUANTILE)) - limit
    return limit + GATE_MARGIN_SHARE * max(gap, 0.0)
