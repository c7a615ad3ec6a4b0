"""How a model's figures change: on the same films changed, at another site, inside a group of films.

A drop is clean minus changed, or here minus there: positive is worse. On the same films both sides of a drop
see the same resampled patients, so what the films share cancels; two sets of films are resampled apart.
A figure that rests on fewer films than allow a claim is withheld and says how many there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import BOOTSTRAP_RESAMPLES, MIN_FILMS_FOR_CLAIM
from hilum.evaluation.discrimination import NORMAL_INDEX, auroc_basis, ratio, weighted_auroc
from hilum.evaluation.inputs import FloatArray, ScoredFilms
from hilum.evaluation.intervals import (
    CONSTANT,
    Basis,
    Statistic,
    measure,
    percentile_interval,
    rate_basis,
    resample_weights,
)
from hilum.evaluation.measure import Measure, undefined

RECALLS = tuple(f"recall_{name}" for name in CLASS_NAMES)
FIGURES = ("accuracy", "macro_auroc", "sick_vs_normal", *RECALLS)
"""Accuracy, mean AUROC of the classes, AUROC of 1 - P(Normal), share of each class that is called so."""

APART = "bootstrap over patients of each set"


@dataclass(frozen=True, slots=True)
class Change:
    """One model on the same films, clean and changed.

    Parameters
    ----------
    figures
        By the names of `FIGURES`, on the changed films.
    drops
        The same names: clean minus changed, from paired resamples.
    flipped
        Share of films whose most probable class is another.
    probability_change
        Mean over films of half the summed absolute change of the class probabilities, in [0, 1].
    """

    figures: Mapping[str, Measure]
    drops: Mapping[str, Measure]
    flipped: Measure
    probability_change: Measure


@dataclass(frozen=True, slots=True)
class SiteChange:
    """One model on films of another site: figures there, and the drop from here to there.

    `macro_auroc` and its drop cover the classes that both sets have.
    """

    films: int
    patients: int
    support: Mapping[str, int]
    figures: Mapping[str, Measure]
    drops: Mapping[str, Measure]


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """Films that share one value of one column; `figures` as `FIGURES`."""

    column: str
    value: str
    films: int
    patients: int
    support: Mapping[str, int]
    figures: Mapping[str, Measure]


def measure_change(
    clean: ScoredFilms, changed: ScoredFilms, *, resamples: int = BOOTSTRAP_RESAMPLES, seed: int = 0
) -> Change:
    """Measure the same films before and after a change."""
    assert clean.paths == changed.paths, "the same films in the same order"
    before, after = _probabilities(clean), _probabilities(changed)
    flips = before.argmax(axis=1) != after.argmax(axis=1)
    moved = np.abs(after - before).sum(axis=1) / 2
    classes = _classes(clean)
    first, second = _statistic(clean, classes), _statistic(changed, classes)

    def figures(weights: FloatArray) -> dict[str, FloatArray]:
        old, new = first(weights), second(weights)
        total = weights.sum(axis=1)
        return {
            **new,
            **{f"drop:{name}": old[name] - new[name] for name in FIGURES},
            "flipped": ratio(weights @ flips, total),
            "probability_change": ratio(weights @ moved, total),
        }

    bases = _bases(changed, classes)
    everyone = np.ones(len(clean), dtype=bool)
    named = {
        **bases,
        **{f"drop:{name}": _plain(basis) for name, basis in bases.items()},
        "flipped": rate_basis(flips, everyone, clean.patients, reason="no films"),
        "probability_change": Basis(len(clean), clean.n_patients, reason="no films"),
    }
    found = measure(figures, clean.patients, named, resamples=resamples, seed=seed)
    return Change(
        figures={name: only_claims(found[name]) for name in FIGURES},
        drops={name: only_claims(found[f"drop:{name}"]) for name in FIGURES},
        flipped=found["flipped"],
        probability_change=found["probability_change"],
    )


def measure_elsewhere(
    here: ScoredFilms, there: ScoredFilms, *, resamples: int = BOOTSTRAP_RESAMPLES, seed: int = 0
) -> SiteChange:
    """Measure another site's films and the drop from here; either set may lack a class."""
    classes = tuple(name for name in _classes(here) if name in _classes(there))
    sides = [(films, _statistic(films, classes)) for films in (here, there)]
    points = [statistic(np.ones((1, len(films)))) for films, statistic in sides]
    draws = [
        _draw(films, statistic, resamples=resamples, seed=seed + number)
        for number, (films, statistic) in enumerate(sides)
    ]
    bases_here, bases = _bases(here, classes), _bases(there, classes)
    figures = measure(sides[1][1], there.patients, bases, resamples=resamples, seed=seed + 1)
    drops = {
        name: _drop_apart(
            float(points[0][name][0] - points[1][name][0]),
            draws[0][name] - draws[1][name],
            min(bases_here[name], bases[name], key=lambda basis: basis.films),
        )
        for name in FIGURES
    }
    return SiteChange(
        films=len(there),
        patients=there.n_patients,
        support=_support(there),
        figures={name: only_claims(figures[name]) for name in FIGURES},
        drops={name: only_claims(drop) for name, drop in drops.items()},
    )


def measure_groups(
    films: ScoredFilms, *, resamples: int = BOOTSTRAP_RESAMPLES, seed: int = 0
) -> tuple[GroupFigures, ...]:
    """Measure every source, sex, age band and view that the table knows."""
    found = []
    for column, values in {"source": films.sources, **films.groups}.items():
        for value in np.unique(values):
            group = films.select(values == value)
            classes = _classes(group)
            figures = measure(
                _statistic(group, classes),
                group.patients,
                _bases(group, classes),
                resamples=resamples,
                seed=seed,
            )
            claims = {name: only_claims(figure) for name, figure in figures.items()}
            found.append(
                GroupFigures(column, str(value), len(group), group.n_patients, _support(group), claims)
            )
    return tuple(found)


def only_claims(figure: Measure) -> Measure:
    """Return the figure, or one that says how few films there are when they allow no claim."""
    if figure.value is None or figure.is_claimable:
        return figure
    noun = "film" if figure.films == 1 else "films"
    return undefined(f"{figure.films} {noun}: no claim below {MIN_FILMS_FOR_CLAIM}")


def _probabilities(films: ScoredFilms) -> FloatArray:
    return np.asarray(softmax(films.logits, axis=1))


def _support(films: ScoredFilms) -> dict[str, int]:
    counts = np.bincount(films.labels, minlength=len(CLASS_NAMES)).tolist()
    return dict(zip(CLASS_NAMES, counts, strict=True))


def _classes(films: ScoredFilms) -> tuple[str, ...]:
    """Return the classes that have films, and others beside them: those with an AUROC."""
    present = tuple(name for name, count in _support(films).items() if count)
    return present if len(present) > 1 else ()


def _statistic(films: ScoredFilms, classes: tuple[str, ...]) -> Statistic:
    probabilities = _probabilities(films)
    right = probabilities.argmax(axis=1) == films.labels
    sick = films.labels != NORMAL_INDEX

    def figures(weights: FloatArray) -> dict[str, FloatArray]:
        aurocs = [
            weighted_auroc(probabilities[:, k], films.labels == k, weights)
            for k in map(CLASS_NAMES.index, classes)
        ]
        nothing = np.full(len(weights), np.nan)
        return {
            "accuracy": ratio(weights @ right, weights.sum(axis=1)),
            "macro_auroc": np.mean(aurocs, axis=0) if aurocs else nothing,
            "sick_vs_normal": weighted_auroc(-probabilities[:, NORMAL_INDEX], sick, weights),
            **{
                recall: ratio(weights @ (right & (films.labels == k)), weights @ (films.labels == k))
                for k, recall in enumerate(RECALLS)
            },
        }

    return figures


def _bases(films: ScoredFilms, classes: tuple[str, ...]) -> dict[str, Basis]:
    right = _probabilities(films).argmax(axis=1) == films.labels
    sick = films.labels != NORMAL_INDEX
    smallest = min((count for name, count in _support(films).items() if name in classes), default=0)
    covered = (
        f"over {len(classes)} of {len(CLASS_NAMES)} classes" if len(classes) < len(CLASS_NAMES) else None
    )
    kind = "no Normal films" if sick.all() else "no films with a disease"
    return {
        "accuracy": rate_basis(right, np.ones(len(films), dtype=bool), films.patients, reason="no films"),
        "macro_auroc": Basis(smallest, films.n_patients, reason="fewer than two classes", note=covered),
        "sick_vs_normal": auroc_basis(
            sick, ~sick, films.patients, reason=f"one class only: there are {kind}"
        ),
        **{
            recall: rate_basis(right, films.labels == k, films.patients, reason=f"there are no {name} films")
            for k, (recall, name) in enumerate(zip(RECALLS, CLASS_NAMES, strict=True))
        },
    }


def _plain(basis: Basis) -> Basis:
    """Return the basis of a difference: neither a rate nor an area, but resting on the same films."""
    return Basis(basis.films, basis.patients, reason=basis.reason, note=basis.note)


def _draw(films: ScoredFilms, statistic: Statistic, *, resamples: int, seed: int) -> dict[str, FloatArray]:
    chunks = [
        statistic(weights) for weights in resample_weights(films.patients, resamples=resamples, seed=seed)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in FIGURES}


def _drop_apart(value: float, draws: FloatArray, basis: Basis) -> Measure:
    if not np.isfinite(value):
        return undefined(basis.reason)
    defined = draws[np.isfinite(draws)]
    if not len(defined) or np.ptp(defined) == 0:
        return Measure(value, method=CONSTANT, films=basis.films, note=basis.note)
    low, high = percentile_interval(defined)
    missing = len(draws) - len(defined)
    return Measure(value, None, low, high, APART, None, basis.films, missing, basis.note)
