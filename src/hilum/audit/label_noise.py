"""Films whose label a cross-validated probe contradicts: candidates for a second look, no proof.

Confident learning inside each source (across sources a probe learns the source): a film is a candidate when
its probability of another class is at least what films labelled so reach on average, and the highest among
those. The share of such films is no estimate of label noise unless the probe is nearly perfect: of one that
tells the classes less well, most candidates are films it finds hard. So this only ever notes, the record
gives the probe's AUROC, and a source where it is below good gets no finding. Better embeddings, such as those
of a network trained elsewhere, can be handed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hilum.audit.contrasts import ALL_SOURCES, scopes
from hilum.audit.linear_probe import FloatArray, IntArray, clustered_auroc, folds_by_patient, patient_codes
from hilum.audit.probe_features import Films, whole_film
from hilum.audit.record import AuditFinding, Severity
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import (
    GOOD_AUROC,
    MIN_PROBE_PATIENTS,
    PROBE_INVERSE_PENALTY,
)

_MAX_STEPS = 200
_FILMS_SHOWN = 24


@dataclass(frozen=True, slots=True)
class LabelCandidate:
    """A film whose label is doubted; `margin` is the probability of its label minus the highest other."""

    path: str
    source: str
    label: str
    suggested: str
    margin: float


@dataclass(frozen=True, slots=True)
class SourceNoise:
    """One source: how well the probe tells its classes, and the share of labels it contradicts."""

    source: str
    films: int
    probe_auroc: float
    contradicted_share: float


@dataclass(frozen=True, slots=True)
class LabelNoiseAudit:
    """Candidates, most contradicted first; `skipped` names sources with one class or too few patients."""

    candidates: tuple[LabelCandidate, ...]
    sources: tuple[SourceNoise, ...]
    skipped: tuple[str, ...]


def audit_labels(
    rows: pd.DataFrame, pixels: Films, *, embeddings: NDArray[np.floating] | None = None, seed: int = 0
) -> tuple[LabelNoiseAudit, list[AuditFinding]]:
    """Look for wrong labels.

    Parameters
    ----------
    rows
        Usable rows of a manifest, N of them.
    pixels
        uint8 (N, side, side), row for row; not looked at when embeddings are given.
    embeddings
        float (N, C), from a model that has not seen these labels; None takes grey values and edges.
    seed
        Of the folds.
    """
    features = whole_film(pixels) if embeddings is None else np.asarray(embeddings, np.float64)
    patients = patient_codes(rows)
    labels = np.asarray([CLASS_NAMES.index(label) for label in rows["label"]], np.int64)
    candidates: list[LabelCandidate] = []
    sources: list[SourceNoise] = []
    skipped: list[str] = []
    for scope, films in scopes(rows):
        if scope == ALL_SOURCES:
            continue
        classes, given = np.unique(labels[films], return_inverse=True)
        least = min(len(np.unique(patients[films][given == number])) for number in range(len(classes)))
        if len(classes) == 1 or least < MIN_PROBE_PATIENTS:
            skipped.append(scope)
            continue
        probabilities = _out_of_fold_probabilities(features[films], given, patients[films], seed=seed)
        suggested = suggest_labels(probabilities, given)
        margins = label_margins(probabilities, given)
        doubted = np.flatnonzero(suggested != given)
        for index in doubted[np.argsort(margins[doubted], kind="stable")]:
            label, other = (CLASS_NAMES[classes[number]] for number in (given[index], suggested[index]))
            path = str(rows["path"].iloc[films[index]])
            candidates.append(LabelCandidate(path, scope, label, other, float(margins[index])))
        areas = [
            clustered_auroc(probabilities[:, number], given == number, patients[films]).auroc
            for number in range(len(classes))
        ]
        sources.append(SourceNoise(scope, len(films), float(np.mean(areas)), len(doubted) / len(films)))
    candidates.sort(key=lambda candidate: candidate.margin)
    record = LabelNoiseAudit(tuple(candidates), tuple(sources), tuple(skipped))
    return record, [finding for source in sources if (finding := _finding(source, record)) is not None]


def suggest_labels(probabilities: FloatArray, given: IntArray) -> IntArray:
    """Return the label that each film confidently has, (N,); its own where it has none.

    Parameters
    ----------
    probabilities
        float64 (N, K), out of fold.
    given
        int64 (N,), 0 .. K-1, each at least once.

    References
    ----------
    Northcutt, Jiang, Chuang, Confident Learning, JAIR 70, 2021, equations 1 and 2 (the confident joint).
    """
    thresholds = np.asarray([probabilities[given == k, k].mean() for k in range(probabilities.shape[1])])
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    return np.where(confident.max(axis=1) < 0.0, given, confident.argmax(axis=1)).astype(np.int64)


def label_margins(probabilities: FloatArray, given: IntArray) -> FloatArray:
    """Return the probability of the given label minus the highest other, (N,): low is doubtful.

    The normalised margin of Northcutt et al., 2021, section 3.2.
    """
    films = np.arange(len(given))
    others = probabilities.copy()
    others[films, given] = -1.0
    return np.asarray(probabilities[films, given] - others.max(axis=1), np.float64)


def _out_of_fold_probabilities(
    features: FloatArray, given: IntArray, patients: IntArray, *, seed: int
) -> FloatArray:
    probabilities = np.zeros((len(given), int(given.max()) + 1))
    for train, held_out in folds_by_patient(given, patients, seed=seed):
        model = LogisticRegression(C=PROBE_INVERSE_PENALTY, max_iter=_MAX_STEPS)
        probe = make_pipeline(StandardScaler(), model).fit(features[train], given[train])
        probabilities[held_out] = probe.predict_proba(features[held_out])
    return probabilities


def _finding(source: SourceNoise, record: LabelNoiseAudit) -> AuditFinding | None:
    doubted = [candidate for candidate in record.candidates if candidate.source == source.source]
    if not doubted or source.probe_auroc < GOOD_AUROC:
        return None
    figures: Mapping[str, float | str] = {
        "source": source.source,
        "contradicted": len(doubted),
        "share": source.contradicted_share,
        "probe_auroc": source.probe_auroc,
    }
    return AuditFinding(
        code="label-noise-candidates",
        severity=Severity.NOTE,
        sentence=f"{source.source}: a probe (AUROC {source.probe_auroc:.2f}) contradicts the label of"
        f" {len(doubted)} films ({source.contradicted_share:.1%}); part of them are films it finds hard.",
        advice="Have the films shown read again, the first ones first; correct or exclude wrong labels.",
        films=tuple(candidate.path for candidate in doubted[:_FILMS_SHOWN]),
        figures=figures,
    )
