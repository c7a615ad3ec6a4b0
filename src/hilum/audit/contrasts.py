"""Which films are held against which: sick against normal and each class against the rest, source by source.

A probe inside one source cannot live on telling sources apart, so that is where shortcuts are looked for;
over all sources together the same figure is wanted for comparison. Knows nothing about pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hilum.audit.linear_probe import (
    BoolArray,
    FloatArray,
    Folds,
    IntArray,
    ProbeScore,
    clustered_auroc,
    enough_patients,
    folds_by_patient,
    out_of_fold_scores,
)
from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import MIN_PROBE_PATIENTS

ALL_SOURCES = "all sources"
SICK_OR_NORMAL = "sick or normal"


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """One question put to a probe.

    Parameters
    ----------
    scope
        A source name, or `ALL_SOURCES`.
    name
        `SICK_OR_NORMAL` or a class name, which is held against the rest.
    films
        int64 (n,), rows that take part.
    positive
        bool (n,), which of them are sick, or of the class.
    patients
        int64 (n,), patient number of each.
    folds
        Cross-validation by patient, in positions 0 .. n-1.
    """

    scope: str
    name: str
    films: IntArray
    positive: BoolArray
    patients: IntArray
    folds: Folds

    def score(self, features: FloatArray) -> ProbeScore:
        """Return how well features of all films, (N, F), answer the question."""
        return clustered_auroc(self.film_scores(features), self.positive, self.patients)

    def film_scores(self, features: FloatArray) -> FloatArray:
        """Return the out-of-fold logit of each film that takes part, (n,), from features (N, F) of all."""
        return out_of_fold_scores(features[self.films], self.positive, self.folds)


def list_contrasts(
    rows: pd.DataFrame, patients: IntArray, *, seed: int = 0, at_least: int = MIN_PROBE_PATIENTS
) -> tuple[list[Contrast], list[str]]:
    """Return the contrasts with enough patients on both sides, and a sentence on each that has too few."""
    found: list[Contrast] = []
    skipped: list[str] = []
    for scope, films in scopes(rows):
        labels = rows["label"].to_numpy(dtype=object)[films]
        for name, positive in _sides(labels):
            if enough_patients(positive, patients[films], at_least=at_least):
                found.append(make_contrast(scope, name, films, positive, patients=patients, seed=seed))
            else:
                skipped.append(f"{scope}, {name}: fewer than {at_least} patients on one side")
    return found, skipped


def make_contrast(
    scope: str, name: str, films: IntArray, positive: BoolArray, *, patients: IntArray, seed: int
) -> Contrast:
    """Return a contrast of some films, (n,), with its folds; `patients`, (N,), of all films."""
    chosen = patients[films]
    return Contrast(scope, name, films, positive, chosen, folds_by_patient(positive, chosen, seed=seed))


def scopes(rows: pd.DataFrame) -> Iterator[tuple[str, IntArray]]:
    """Yield every source with its rows; then all of them together where there are several."""
    sources = rows["source"].to_numpy(dtype=object)
    names = sorted(set(sources))
    for name in names:
        yield str(name), np.flatnonzero(sources == name)
    if len(names) > 1:
        yield ALL_SOURCES, np.arange(len(rows))


def _sides(labels: np.ndarray) -> Iterator[tuple[str, BoolArray]]:
    present = [name for name in CLASS_NAMES if (labels == name).any()]
    diseases = [name for name in present if name != Finding.NORMAL]
    if len(present) == len(diseases):  # no Normal films: only the diseases against each other
        yield from ((name, labels == name) for name in diseases[1:])
        return
    if diseases:
        yield SICK_OR_NORMAL, labels != Finding.NORMAL
    if len(diseases) > 1:
        yield from ((name, labels == name) for name in diseases)
