"""The same figures inside each source, sex, age band and view, and what the source alone gives away.

A model that reads the class off the hospital scores well over all films and badly inside each source;
only the second number says what it knows about lungs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import AGE_BAND_STARTS_YEARS
from hilum.evaluation.calibration import Calibration, calibrate
from hilum.evaluation.discrimination import DISEASES, Discrimination, discriminate, weighted_auroc
from hilum.evaluation.inputs import BoolArray, FloatArray, ScoredFilms
from hilum.evaluation.operating_points import ScenarioRow, assess_scenarios


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Films that share one value of one column, measured alone."""

    column: str
    value: str
    films: int
    patients: int
    support: Mapping[str, int]
    discrimination: Discrimination
    calibration: Calibration
    scenarios: tuple[ScenarioRow, ...]


@dataclass(frozen=True, slots=True)
class SourceConfounding:
    """What the name of the source tells about the class, with no film looked at.

    Parameters
    ----------
    support
        Source to class to films.
    accuracy
        Share of films right when each is given the commonest class of its source.
    auroc
        Per class, one against the rest, of the class's share in the film's source; None with one class only.
    never_together
        Pairs of diseases that share no source: which of the two it is may be read off the source.
    one_class_sources
        Sources with films of one class only: their films say nothing about telling classes apart.
    """

    support: Mapping[str, Mapping[str, int]]
    accuracy: float
    auroc: Mapping[str, float | None]
    never_together: tuple[tuple[str, str], ...]
    one_class_sources: tuple[str, ...]


def measure_subgroups(
    films: ScoredFilms, probabilities: FloatArray, *, resamples: int, seed: int
) -> tuple[Subgroup, ...]:
    """Measure every source, sex, age band and view that the table knows: largest first, ages in order."""
    columns = {"source": films.sources, **films.groups}
    found = [
        _measure_one(
            column, str(value), films, probabilities, values == value, resamples=resamples, seed=seed
        )
        for column, values in columns.items()
        for value in np.unique(values)
    ]
    order = list(columns)
    return tuple(
        sorted(
            found,
            key=lambda group: (
                order.index(group.column),
                _first_year(group.value) if group.column == "age_band" else -group.films,
                group.value,
            ),
        )
    )


def measure_confounding(films: ScoredFilms) -> SourceConfounding:
    """Measure what the source alone tells about the class."""
    names, codes = np.unique(films.sources, return_inverse=True)
    counts = np.zeros((len(names), len(CLASS_NAMES)))
    np.add.at(counts, (codes, films.labels), 1)
    share = (counts / counts.sum(axis=1, keepdims=True))[codes]  # (N, K)
    ones = np.ones((1, len(films)))
    aurocs = [float(weighted_auroc(share[:, k], films.labels == k, ones)[0]) for k in range(len(CLASS_NAMES))]
    present = counts > 0
    return SourceConfounding(
        support={
            str(name): dict(zip(CLASS_NAMES, row, strict=True))
            for name, row in zip(names, counts.astype(int).tolist(), strict=True)
        },
        accuracy=float(counts.max(axis=1).sum() / len(films)),
        auroc={
            name: area if np.isfinite(area) else None for name, area in zip(CLASS_NAMES, aurocs, strict=True)
        },
        never_together=tuple(
            (first, second)
            for number, first in enumerate(DISEASES)
            for second in DISEASES[number + 1 :]
            if _apart(present, first, second)
        ),
        one_class_sources=tuple(str(name) for name in names[present.sum(axis=1) == 1]),
    )


def _first_year(band: str) -> int:
    known = [start for start in AGE_BAND_STARTS_YEARS if band.startswith((f"{start}-", f"{start}+"))]
    return known[0] if known else AGE_BAND_STARTS_YEARS[-1] + 1  # unknown last


def _apart(present: BoolArray, first: str, second: str) -> bool:
    one, other = present[:, CLASS_NAMES.index(first)], present[:, CLASS_NAMES.index(second)]
    return bool(one.any() and other.any() and not (one & other).any())


def _measure_one(
    column: str,
    value: str,
    films: ScoredFilms,
    probabilities: FloatArray,
    mask: BoolArray,
    *,
    resamples: int,
    seed: int,
) -> Subgroup:
    group, scores = films.select(mask), probabilities[mask]
    counts = np.bincount(group.labels, minlength=len(CLASS_NAMES))
    known = (group.labels, scores, group.patients)
    return Subgroup(
        column=column,
        value=value,
        films=len(group),
        patients=group.n_patients,
        support=dict(zip(CLASS_NAMES, counts.tolist(), strict=True)),
        discrimination=discriminate(*known, resamples=resamples, seed=seed),
        calibration=calibrate(*known, resamples=resamples, seed=seed),
        scenarios=assess_scenarios(*known, resamples=resamples, seed=seed),
    )
