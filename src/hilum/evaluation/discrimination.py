"""How well the scores tell the classes apart: Tables 13 and 14 of the report, sick against normal, pairs.

Precision, recall (sensitivity), specificity, F1 and AUROC go up when the model is better. Every figure is
computed from weighted counts, so a bootstrap resample and the table itself share one formula.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import EXCELLENT_AUROC, FAIR_AUROC, GOOD_AUROC, VERY_GOOD_AUROC
from hilum.evaluation.inputs import BoolArray, FloatArray, IntArray
from hilum.evaluation.intervals import Basis, measure, rate_basis
from hilum.evaluation.measure import Measure

METRICS: tuple[str, ...] = ("precision", "recall", "specificity", "f1", "auroc")
DISEASES: tuple[str, ...] = tuple(name for name in CLASS_NAMES if name != Finding.NORMAL)
NORMAL_INDEX = CLASS_NAMES.index(Finding.NORMAL)


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One row of Table 13 and of Table 14."""

    name: str
    support: int
    precision: Measure
    recall: Measure
    specificity: Measure
    f1: Measure
    auroc: Measure


@dataclass(frozen=True, slots=True)
class Discrimination:
    """How well one set of films was told apart.

    Parameters
    ----------
    classes
        One row per class, in the order of `CLASS_NAMES`.
    macro, weighted
        Averages over the classes for which the metric exists; each note says how many those are.
    accuracy
        Share of films whose most probable class is the true one.
    confusion
        Films, true class by row, called class by column.
    sick_vs_normal
        AUROC of 1 - P(Normal): any disease against Normal.
    disease_vs_normal
        Per disease: AUROC of log P(disease) - log P(Normal) among films of the two classes only.
    """

    films: int
    patients: int
    classes: tuple[ClassScores, ...]
    macro: ClassScores
    weighted: ClassScores
    accuracy: Measure
    confusion: tuple[tuple[int, ...], ...]
    sick_vs_normal: Measure
    disease_vs_normal: Mapping[str, Measure]

    def row(self, name: str) -> ClassScores:
        """Return the row of one class."""
        return self.classes[CLASS_NAMES.index(name)]

    @property
    def confusion_rates(self) -> tuple[tuple[float | None, ...], ...]:
        """Confusion matrix divided by row (share of the true class); None in a row without films."""
        return tuple(tuple(count / sum(row) if sum(row) else None for count in row) for row in self.confusion)


def weighted_auroc(scores: FloatArray, positive: BoolArray, weights: FloatArray) -> FloatArray:
    """Return the area under the ROC curve for each row of weights, ties counting one half.

    Parameters
    ----------
    scores
        float64 (N,), higher for the positive class.
    positive
        bool (N,).
    weights
        float64 (R, N), not negative.

    Returns
    -------
    float64 (R,), NaN where a row has no positive or no negative weight.

    References
    ----------
    Hanley and McNeil, Radiology 143, 1982: the area is P(positive > negative) + P(tie) / 2.
    """
    if not len(scores):
        return np.full(len(weights), np.nan)
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # first film of each tied group
    by_rank = weights[:, order]
    positive_weight = np.add.reduceat(by_rank * positive[order], starts, axis=1)  # (R, N) -> (R, G)
    negative_weight = np.add.reduceat(by_rank * ~positive[order], starts, axis=1)
    below = np.cumsum(negative_weight, axis=1) - negative_weight
    wins = (positive_weight * (below + negative_weight / 2)).sum(axis=1)
    return ratio(wins, positive_weight.sum(axis=1) * negative_weight.sum(axis=1))


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide, with NaN where the denominator is zero."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def discriminate(
    labels: IntArray, probabilities: FloatArray, patients: IntArray, *, resamples: int, seed: int
) -> Discrimination:
    """Measure how well probabilities, float64 (N, K), tell the true classes, int64 (N,), apart."""
    bases = _bases(labels, probabilities.argmax(axis=1), patients)
    figures = measure(
        lambda weights: _figures(labels, probabilities, weights),
        patients,
        bases,
        resamples=resamples,
        seed=seed,
    )
    support = np.bincount(labels, minlength=len(CLASS_NAMES))
    rows = {
        scope: ClassScores(scope, films, *(figures[f"{metric}:{scope}"] for metric in METRICS))
        for scope, films in [
            *zip(CLASS_NAMES, support.tolist(), strict=True),
            ("macro", len(labels)),
            ("weighted", len(labels)),
        ]
    }
    return Discrimination(
        films=len(labels),
        patients=len(np.unique(patients)),
        classes=tuple(rows[name] for name in CLASS_NAMES),
        macro=rows["macro"],
        weighted=rows["weighted"],
        accuracy=figures["accuracy"],
        confusion=_confusion(labels, probabilities.argmax(axis=1)),
        sick_vs_normal=figures["sick_vs_normal"],
        disease_vs_normal={name: figures[f"pair:{name}"] for name in DISEASES},
    )


def describe_auroc(value: float) -> str:
    """Word an AUROC as the report's Table 14 does."""
    for bound, words in (
        (EXCELLENT_AUROC, "excellent"),
        (VERY_GOOD_AUROC, "very good"),
        (GOOD_AUROC, "good"),
        (FAIR_AUROC, "fair"),
    ):
        if value >= bound:
            return words
    return "poor"


def _confusion(labels: IntArray, called: IntArray) -> tuple[tuple[int, ...], ...]:
    classes = len(CLASS_NAMES)
    counts = np.bincount(labels * classes + called, minlength=classes * classes)
    return tuple(tuple(row) for row in counts.reshape(classes, classes).tolist())


def _figures(labels: IntArray, probabilities: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
    classes = len(CLASS_NAMES)
    called = probabilities.argmax(axis=1)
    cell = np.eye(classes * classes)[labels * classes + called]  # (N, K*K)
    matrix = (weights @ cell).reshape(-1, classes, classes)  # (R, N) @ (N, K*K) -> (R, K, K)
    total = matrix.sum(axis=(1, 2))
    hits = np.diagonal(matrix, axis1=1, axis2=2)
    support, calls = matrix.sum(axis=2), matrix.sum(axis=1)  # (R, K)
    figures: dict[str, FloatArray] = {"accuracy": ratio(hits.sum(axis=1), total)}
    by_class = {
        "precision": ratio(hits, calls),
        "recall": ratio(hits, support),
        "specificity": ratio(total[:, None] - support - calls + hits, total[:, None] - support),
        # Zero hits make F1 zero even when nothing was called; without films of the class it is undefined.
        "f1": np.where(support > 0, ratio(2 * hits, support + calls), np.nan),
        "auroc": np.stack(
            [weighted_auroc(probabilities[:, k], labels == k, weights) for k in range(classes)], axis=1
        ),
    }
    existing = {metric: _defined(metric, labels, called) for metric in METRICS}
    for metric, values in by_class.items():
        for k, name in enumerate(CLASS_NAMES):
            figures[f"{metric}:{name}"] = values[:, k]
        covered = values[:, existing[metric]]
        share = support[:, existing[metric]]
        # A class that a resample lost leaves the average undefined there, never an average of fewer classes.
        figures[f"{metric}:macro"] = covered.sum(axis=1) / max(covered.shape[1], 1)
        figures[f"{metric}:weighted"] = ratio((covered * share).sum(axis=1), share.sum(axis=1))
        if not covered.shape[1]:
            figures[f"{metric}:macro"] = np.full(len(weights), np.nan)
    sick = labels != NORMAL_INDEX
    figures["sick_vs_normal"] = weighted_auroc(-probabilities[:, NORMAL_INDEX], sick, weights)
    for name in DISEASES:
        position = CLASS_NAMES.index(name)
        pair = (labels == position) | ~sick
        score = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
        figures[f"pair:{name}"] = weighted_auroc(
            (score[:, position] - score[:, NORMAL_INDEX])[pair], labels[pair] == position, weights[:, pair]
        )
    return figures


def _defined(metric: str, labels: IntArray, called: IntArray) -> BoolArray:
    """Return, bool (K,), for which classes a metric exists on the films as they are."""
    classes = len(CLASS_NAMES)
    support, calls = np.bincount(labels, minlength=classes), np.bincount(called, minlength=classes)
    exists: dict[str, BoolArray] = {
        "precision": calls > 0,
        "recall": support > 0,
        "specificity": support < len(labels),
        "f1": support > 0,
        "auroc": (support > 0) & (support < len(labels)),
    }
    # A class without films is covered by no average, or absent diseases would earn precision 0.
    return np.asarray(exists[metric] & (support > 0))


def _bases(labels: IntArray, called: IntArray, patients: IntArray) -> dict[str, Basis]:
    everyone = np.ones(len(labels), dtype=bool)
    bases = {"accuracy": rate_basis(labels == called, everyone, patients, reason="no films")}
    for k, name in enumerate(CLASS_NAMES):
        true, call = labels == k, called == k
        absent = f"there are no {name} films" if not true.any() else f"all films are {name}"
        bases[f"precision:{name}"] = rate_basis(true, call, patients, reason=f"no film was called {name}")
        bases[f"recall:{name}"] = rate_basis(call, true, patients, reason=f"there are no {name} films")
        bases[f"specificity:{name}"] = rate_basis(~call, ~true, patients, reason=f"all films are {name}")
        bases[f"f1:{name}"] = Basis(int(true.sum()), _patients(patients, true), reason=absent)
        bases[f"auroc:{name}"] = auroc_basis(true, ~true, patients, reason=f"one class only: {absent}")
    for metric in METRICS:
        exists = _defined(metric, labels, called)
        covered = int(exists.sum())
        note = None
        if covered < len(CLASS_NAMES):
            note = f"over {covered} of {len(CLASS_NAMES)} classes"
        for scope in ("macro", "weighted"):
            bases[f"{metric}:{scope}"] = Basis(
                len(labels), _patients(patients, everyone), reason="no class has this metric", note=note
            )
    sick = labels != NORMAL_INDEX
    only = "there are no Normal films" if sick.all() else "there are no films with a disease"
    bases["sick_vs_normal"] = auroc_basis(sick, ~sick, patients, reason=f"one class only: {only}")
    for name in DISEASES:
        true = labels == CLASS_NAMES.index(name)
        lacking = f"there are no {name} films" if not true.any() else "there are no Normal films"
        bases[f"pair:{name}"] = auroc_basis(true, ~sick, patients, reason=f"one class only: {lacking}")
    return bases


def auroc_basis(positive: BoolArray, negative: BoolArray, patients: IntArray, *, reason: str) -> Basis:
    """Return the basis of an AUROC: the smaller class, in films and in patients."""
    return Basis(
        films=min(int(positive.sum()), int(negative.sum())),
        patients=min(_patients(patients, positive), _patients(patients, negative)),
        is_auroc=True,
        reason=reason,
    )


def _patients(patients: IntArray, mask: BoolArray) -> int:
    return len(np.unique(patients[mask]))
