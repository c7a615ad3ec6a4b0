"""Prediction sets that hold the true class at least as often as promised, for each class by itself.

Split conformal prediction within each class: the cut of a class is a quantile of its own validation films,
so the promise holds for tuberculosis and not just on average over everything. It holds for films like the
validation films; a site with other films needs its own (`hilum commission`).

References
----------
Vovk, "Conditional validity of inductive conformal predictors", ACML 2012; Sadinle, Lei & Wasserman, "Least
ambiguous set-valued classifiers with bounded error levels", JASA 114, 2019.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor

import numpy as np

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import CONFIDENCE_LEVEL, CONFORMAL_MISS_RATE
from hilum.evaluation.inputs import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class ClassCut:
    """A class is in a film's prediction set when its probability is at or above `cutoff`.

    `films` are the validation films of the class that it rests on. A class with too few of them has the
    cut-off 0 and is in every set: that keeps the promise, and says nothing.
    """

    cutoff: float
    films: int


@dataclass(frozen=True, slots=True)
class ConformalSets:
    """The cut of each class, and the share of its films whose set may miss it."""

    miss_rate: float
    cuts: Mapping[str, ClassCut]

    def contains(self, probabilities: FloatArray) -> BoolArray:
        """Return which classes are in each film's set, float64 (N, K) to bool (N, K); a set may be empty."""
        return np.asarray(probabilities >= [self.cuts[name].cutoff for name in CLASS_NAMES])


@dataclass(frozen=True, slots=True)
class ClassCoverage:
    """How often the sets of one class's test films hold that class, beside the band it must lie in.

    The band is the central interval at `CONFIDENCE_LEVEL` of the coverage that n validation and m test
    films of one population give: beta-binomial, so it counts the luck of both draws.
    """

    covered: int
    films: int
    low: float
    high: float

    @property
    def rate(self) -> float | None:
        """Coverage; None without films."""
        return self.covered / self.films if self.films else None

    @property
    def is_within_band(self) -> bool | None:
        """Whether the coverage is what exchangeable films would give; None without films."""
        return None if self.rate is None else self.low <= self.rate <= self.high


def fit_conformal(
    probabilities: FloatArray, labels: IntArray, *, miss_rate: float = CONFORMAL_MISS_RATE
) -> ConformalSets:
    """Fit the cut of every class on validation films.

    Of n films of a class, the floor((n + 1) * miss_rate)-th lowest probability of that class is the cut-off:
    a further film of the class falls below it with probability at most `miss_rate`.

    Parameters
    ----------
    probabilities
        float64 (N, K), calibrated, columns in the order of `CLASS_NAMES`.
    labels
        int64 (N,), position in `CLASS_NAMES`.
    """
    cuts = {}
    for position, name in enumerate(CLASS_NAMES):
        own = np.sort(probabilities[labels == position, position])
        rank = floor((len(own) + 1) * miss_rate)
        cuts[name] = ClassCut(float(own[rank - 1]) if rank else 0.0, len(own))
    return ConformalSets(miss_rate, cuts)


def measure_coverage(
    sets: ConformalSets, probabilities: FloatArray, labels: IntArray
) -> dict[str, ClassCoverage]:
    """Return each class's coverage on films that the sets were not fitted on."""
    contains = sets.contains(probabilities)
    coverage = {}
    for position, name in enumerate(CLASS_NAMES):
        own = labels == position
        films, cut = int(own.sum()), sets.cuts[name]
        low, high = _band(cut.films, films, sets.miss_rate)
        coverage[name] = ClassCoverage(int(contains[own, position].sum()), films, low, high)
    return coverage


def _band(fitted_on: int, films: int, miss_rate: float) -> tuple[float, float]:
    rank = floor((fitted_on + 1) * miss_rate)
    if not films or not rank:
        return 1.0, 1.0
    from scipy.stats import betabinom  # here, for a service that never measures coverage does without 75 MB

    missed = betabinom(films, rank, fitted_on + 1 - rank)
    tail = (1 - CONFIDENCE_LEVEL) / 2
    return 1 - float(missed.ppf(1 - tail)) / films, 1 - float(missed.ppf(tail)) / films
