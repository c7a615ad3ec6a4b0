"""A score of sick against normal fitted to one site's films without their labels.

The network's own log odds teach a linear function of the few directions in which the site's films differ
most. What the network gets wrong about single films averages out, and what a handful of directions cannot
express (a letter, a stray border) is left behind. It cannot invent evidence: where the network ranks films at
chance, so does this.

References
----------
Self-training by least squares on principal components, after Lee, "Pseudo-label", ICML workshop 2013, and
Frei et al., "Self-training converts weak learners to strong learners in mixture models", AISTATS 2022.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import (
    HIGH_SENSITIVITY_PROBABILITY,
    MAX_TAUGHT_LOG_ODDS,
    SITE_COMPONENTS,
)
from hilum.evaluation.inputs import FloatArray

WEIGHTS, OFFSET = "site_score.weights", "site_score.offset"
"""Names of the two arrays in a site profile."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteScore:
    """Log odds of sick against normal: embedding @ weights + offset, weights float64 (C,)."""

    weights: FloatArray
    offset: float

    def score(self, embeddings: NDArray[np.float32]) -> FloatArray:
        """Return log odds, float64 (N,), of embeddings (N, C)."""
        return np.asarray(embeddings.astype(np.float64) @ self.weights + self.offset)

    def to_arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that a site profile keeps."""
        return {WEIGHTS: self.weights, OFFSET: np.array(self.offset)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "SiteScore":
        """Read what `to_arrays` gave."""
        return cls(np.asarray(arrays[WEIGHTS], np.float64), float(arrays[OFFSET]))


def fit_site_score(
    embeddings: NDArray[np.float32], log_odds: FloatArray, *, components: int = SITE_COMPONENTS
) -> SiteScore:
    """Fit the score of a site.

    Parameters
    ----------
    embeddings
        float32 (N, C), N > `components`, of the site's films by the network adapted to them.
    log_odds
        float64 (N,), the network's own, of the same films.
    """
    films = embeddings.astype(np.float64)
    mean = films.mean(axis=0)
    _, _, directions = np.linalg.svd(films - mean, full_matrices=False)
    directions = directions[:components]  # (N, C) -> (components, C)
    seen = np.column_stack([(films - mean) @ directions.T, np.ones(len(films))])
    taught = np.clip(log_odds, -MAX_TAUGHT_LOG_ODDS, MAX_TAUGHT_LOG_ODDS)
    found = np.linalg.lstsq(seen, taught, rcond=None)[0]
    weights = found[:-1] @ directions
    return SiteScore(weights, float(found[-1] - mean @ weights))


def screening_cutoff(temperature: float) -> float:
    """Return the log odds, before temperature, of the report's screening cut-off (Table 15).

    It is where a site without labelled films starts: sick films that are missed cost more than normal ones
    that are read.
    """
    return temperature * log(HIGH_SENSITIVITY_PROBABILITY / (1 - HIGH_SENSITIVITY_PROBABILITY))
