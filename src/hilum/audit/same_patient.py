"""Pairs of films that may show one patient, for sets that do not say whose films they are.

Films are cut to the box of their lungs, freed of coarse grey values so that ribs and vessels remain, and made
compact by principal components of equal weight. Two films of a source are a pair when each is the other's
nearest and clearly nearer than the next. Candidates only: where identifiers are known the record measures how
many pairs are right, and most films of one patient are not found. A patient in two splits that is not found
stays a leak. Time grows with the square of the films of a source: about 3 minutes for 100,000.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from hilum.audit.contrasts import ALL_SOURCES, scopes
from hilum.audit.linear_probe import FloatArray
from hilum.audit.probe_features import Films
from hilum.audit.record import AuditFinding, Severity
from hilum.domain.thresholds import MIN_RECOVERY_FILMS, MIN_RECOVERY_MARGIN

_SIDE_PX = 64
_BOX_MARGIN = 0.10
_SMOOTHING = 1.2  # standard deviation in px before shrinking
_HIGH_PASS = 4.0  # standard deviation in px of what is taken away
_EVEN_GREY = 4.0  # grey levels below which local contrast is not raised
_COMPONENTS = 256
_FILMS_PER_COMPONENT = 4
_PAIRS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class PatientPair:
    """Two films that may show one patient; `margin` says how much nearer they are than any other."""

    first: str
    second: str
    source: str
    margin: float
    is_across_splits: bool


@dataclass(frozen=True, slots=True)
class SamePatientAudit:
    """Candidates among films without identifier, and how right such pairs are where identifiers are known.

    `known_pairs` counts pairs whose films both have identifiers; `known_right` those of one patient, and
    `known_recall` the share of films with a second film of their patient that are in such a pair (None
    without any).
    """

    pairs: tuple[PatientPair, ...]
    known_pairs: int
    known_right: int
    known_recall: float | None


def audit_same_patient(
    rows: pd.DataFrame, pixels: Films, boxes: NDArray[np.int64], *, seed: int = 0
) -> tuple[SamePatientAudit, list[AuditFinding]]:
    """Look for films of one patient.

    Parameters
    ----------
    rows
        Usable rows of a manifest, N of them.
    pixels
        uint8 (N, side, side), row for row.
    boxes
        int64 (N, 4), boxes of the lungs: `probe_features.lung_boxes`.
    seed
        Of the principal components.
    """
    if len(rows) < MIN_RECOVERY_FILMS:
        return SamePatientAudit((), 0, 0, None), []
    embedding = embed_bones(pixels, boxes, seed=seed)
    known = rows["patient_id"].notna().to_numpy()
    patients = rows["patient_id"].astype("string").fillna("").to_numpy(dtype=object)
    paths, splits = (rows[name].to_numpy(dtype=object) for name in ("path", "split"))
    pairs, known_pairs, right = [], 0, 0
    for scope, films in scopes(rows):
        if scope == ALL_SOURCES or len(films) < MIN_RECOVERY_FILMS:
            continue
        for first, second, margin in _nearest_pairs(embedding[films]):
            one, other = films[first], films[second]
            if known[one] and known[other]:
                known_pairs += 1
                right += int(patients[one] == patients[other])
            else:
                apart = bool(splits[one] != splits[other])
                pairs.append(PatientPair(str(paths[one]), str(paths[other]), scope, margin, apart))
    pairs.sort(key=lambda pair: (not pair.is_across_splits, -pair.margin))
    several = pd.Series(patients[known]).value_counts()
    findable = int(several[several > 1].sum())
    record = SamePatientAudit(tuple(pairs), known_pairs, right, 2 * right / findable if findable else None)
    return record, [_finding(record)] if pairs else []


def embed_bones(pixels: Films, boxes: NDArray[np.int64], *, seed: int = 0) -> FloatArray:
    """Return unit vectors, float64 (N, C), near each other for films with the same ribs and vessels."""
    chests = [_chest(film, box) for film, box in zip(pixels, boxes, strict=True)]
    table = np.stack(chests).reshape(len(chests), -1)
    components = min(_COMPONENTS, len(chests) // _FILMS_PER_COMPONENT)
    reduced = PCA(components, whiten=True, svd_solver="randomized", random_state=seed).fit_transform(table)
    norms = np.maximum(np.linalg.norm(reduced, axis=1, keepdims=True), 1e-12)
    return np.asarray(reduced / norms, np.float64)


def _chest(film: Films, box: NDArray[np.int64]) -> NDArray[np.float32]:
    """Cut a film to its lungs, (64, 64), and keep fine structure at even contrast."""
    top, left, bottom, right = (int(edge) for edge in box)
    high, wide = (1 + 2 * _BOX_MARGIN) * (bottom - top), (1 + 2 * _BOX_MARGIN) * (right - left)
    across, down = _SIDE_PX / wide, _SIDE_PX / high
    start_x, start_y = left - _BOX_MARGIN * (right - left), top - _BOX_MARGIN * (bottom - top)
    cut = np.asarray([[across, 0, -start_x * across], [0, down, -start_y * down]], np.float32)
    smooth = cv2.GaussianBlur(film, (0, 0), _SMOOTHING)
    size = (_SIDE_PX, _SIDE_PX)
    chest = cv2.warpAffine(smooth, cut, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    fine = chest.astype(np.float32) - cv2.GaussianBlur(chest.astype(np.float32), (0, 0), _HIGH_PASS)
    contrast = np.sqrt(np.maximum(cv2.GaussianBlur(fine * fine, (0, 0), 2 * _HIGH_PASS), 0.0))
    return np.asarray(fine / (contrast + _EVEN_GREY), np.float32)


def _nearest_pairs(embedding: FloatArray) -> list[tuple[int, int, float]]:
    """Return (first, second, margin) of films that are each other's nearest by a clear margin."""
    search = NearestNeighbors(n_neighbors=2, metric="cosine", algorithm="brute").fit(embedding)
    distance, nearest = search.kneighbors()  # a film is not its own neighbour
    margin = distance[:, 1] - distance[:, 0]
    pairs = []
    for first, second in enumerate(nearest[:, 0]):
        least = float(min(margin[first], margin[second]))
        if first < second and nearest[second, 0] == first and least >= MIN_RECOVERY_MARGIN:
            pairs.append((first, int(second), least))
    return pairs


def _finding(record: SamePatientAudit) -> AuditFinding:
    across = sum(pair.is_across_splits for pair in record.pairs)
    measured = (
        f" Where identifiers are known, {record.known_right} of {record.known_pairs} such pairs are right."
        if record.known_pairs
        else ""
    )
    return AuditFinding(
        code="same-patient-candidates",
        severity=Severity.NOTE,
        sentence=f"{len(record.pairs)} pairs of films without patient identifier look like one patient,"
        f" {across} of them in two splits.{measured}",
        advice="Look at the pairs; add a patient_id column so that films of one patient stay in one split.",
        films=tuple(path for pair in record.pairs[:_PAIRS_SHOWN] for path in (pair.first, pair.second)),
        figures={"pairs": len(record.pairs), "across_splits": across},
    )
