"""Whether answers are still right: confidence, accuracy and errors by class on labelled films.

Readers label some answers, and report wrong ones more readily than right ones, so an accuracy of labelled
films is a lower bound unless all films of a period were labelled: every sentence says how many were reports.
When accuracy falls because other films come (more of a class that was always hard), no class is called worse
than before: `accuracy_at` tells the accuracy that the released model would have on the classes as they come.
"""

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import (
    CRITICAL_CONFIDENCE,
    CRITICAL_MISSES,
    LABELLED_ALPHA,
    MAX_ACCURACY_DROP,
    MAX_CLASS_ERROR_RATE,
    MIN_FILMS_FOR_CLAIM,
    MIN_LABELLED_FILMS,
    MIN_MEAN_CONFIDENCE,
    MIN_SHARE_FILMS,
)
from hilum.evaluation.histogram import grid_edges
from hilum.evaluation.inputs import FloatArray, IntArray
from hilum.evaluation.reference_profile import ReferenceProfile
from hilum.monitoring.drift import CONFIDENCES, binomial_interval
from hilum.monitoring.labelled import LabelledFilms
from hilum.monitoring.signal import Group, Signal, State, judge_above, judge_below, not_judged, too_few
from hilum.monitoring.windows import DailyCounts

_NORMAL = CLASS_NAMES.index(Finding.NORMAL)
_Z = float(-ndtri(0.005))  # of a two-sided 99 % interval


def mean_confidence(daily: DailyCounts) -> Signal:
    """Return the mean confidence of the newest films."""
    window = daily.holding(CONFIDENCES, MIN_SHARE_FILMS)
    counts = np.sum([window.histogram(name) for name in CONFIDENCES], axis=0)
    films = int(counts.sum())
    if films < MIN_SHARE_FILMS:
        return too_few(
            "confidence", Group.PERFORMANCE, MIN_MEAN_CONFIDENCE, films=films, needed=MIN_SHARE_FILMS,
            since=window.since, until=window.until, what="mean confidence",
        )  # fmt: skip
    edges = grid_edges("confidence")
    middles = (edges[:-1] + edges[1:]) / 2
    mean = float((counts * middles).sum() / films)
    deviation = float(np.sqrt((counts * (middles - mean) ** 2).sum() / films))
    half = _Z * deviation / np.sqrt(films)
    return Signal(
        "confidence", Group.PERFORMANCE, mean, float(mean - half), float(mean + half), MIN_MEAN_CONFIDENCE,
        judge_below(mean, float(mean + half), MIN_MEAN_CONFIDENCE), films, MIN_SHARE_FILMS, window.since,
        window.until,
        f"mean confidence: {mean:.2f} of {films} films since {window.since}, at least"
        f" {MIN_MEAN_CONFIDENCE:g}.", is_floor=True,
    )  # fmt: skip


def accuracy_drop(labelled: LabelledFilms, reference: ReferenceProfile, *, since: str, until: str) -> Signal:
    """Return by how many points the accuracy on labelled films lies below that of the reference."""
    name, what = "accuracy", "accuracy on labelled films"
    if reference.labelled is None:
        return not_judged(
            name, Group.PERFORMANCE, MAX_ACCURACY_DROP, why=f"{what}: the reference has no labels."
        )
    films = len(labelled)
    if films < MIN_LABELLED_FILMS:
        return too_few(
            name, Group.PERFORMANCE, MAX_ACCURACY_DROP, films=films, needed=MIN_LABELLED_FILMS, since=since,
            until=until, what=what,
        )  # fmt: skip
    right = int((labelled.truth == labelled.called).sum())
    before = reference.labelled.accuracy
    low, high = binomial_interval(right, films, LABELLED_ALPHA)
    drop = before - right / films
    expected = accuracy_at(reference.labelled.confusion, class_shares(labelled.truth))
    reports = int(labelled.is_report.sum())
    return Signal(
        name, Group.PERFORMANCE, drop, before - high, before - low, MAX_ACCURACY_DROP,
        judge_above(drop, before - high, MAX_ACCURACY_DROP), films, MIN_LABELLED_FILMS, since, until,
        f"{what}: {right / films:.1%} ({low:.1%} to {high:.1%}) of {films}, at release {before:.1%}; a drop"
        f" of {MAX_ACCURACY_DROP:.0%} points is the most. {reports} of the labels are reports of errors.",
        {"accuracy": right / films, "reference_accuracy": before, "expected_for_these_classes": expected,
         "reports": reports, "ambiguous": labelled.ambiguous},
    )  # fmt: skip


def class_errors(labelled: LabelledFilms, *, since: str, until: str) -> Iterator[Signal]:
    """Yield `errors:` signals: the share of each class's labelled films that was called another."""
    for index, label in enumerate(CLASS_NAMES):
        name, what = f"errors:{label}", f"labelled {label} films called another class"
        of_class = labelled.truth == index
        films, wrong = int(of_class.sum()), int((of_class & (labelled.called != index)).sum())
        if films < MIN_FILMS_FOR_CLAIM:
            yield too_few(
                name, Group.PERFORMANCE, MAX_CLASS_ERROR_RATE, films=films, needed=MIN_FILMS_FOR_CLAIM,
                since=since, until=until, what=what,
            )  # fmt: skip
            continue
        low, high = binomial_interval(wrong, films, LABELLED_ALPHA)
        value = wrong / films
        yield Signal(
            name, Group.PERFORMANCE, value, low, high, MAX_CLASS_ERROR_RATE,
            judge_above(value, low, MAX_CLASS_ERROR_RATE), films, MIN_FILMS_FOR_CLAIM, since, until,
            f"{what}: {value:.1%} ({low:.1%} to {high:.1%}) of {films}, at most {MAX_CLASS_ERROR_RATE:.0%}.",
        )  # fmt: skip


def critical_misses(labelled: LabelledFilms, *, since: str, until: str) -> Iterator[Signal]:
    """Yield `critical:` signals: films of a disease called Normal with confidence and sent to nobody."""
    sure = (labelled.called == _NORMAL) & (labelled.confidence >= CRITICAL_CONFIDENCE) & ~labelled.is_referred
    for index, label in enumerate(CLASS_NAMES):
        if index == _NORMAL:
            continue
        missed = np.flatnonzero(sure & (labelled.truth == index))
        state = State.OVER if len(missed) >= CRITICAL_MISSES else State.OK
        yield Signal(
            f"critical:{label}", Group.PERFORMANCE, float(len(missed)), None, None, CRITICAL_MISSES - 1,
            state, int((labelled.truth == index).sum()), 0, since, until,
            f"{label} films called Normal at {CRITICAL_CONFIDENCE:g} or more and sent to nobody:"
            f" {len(missed)}; {CRITICAL_MISSES} are a pattern.",
            {"request_ids": [labelled.request_ids[place] for place in missed[:CRITICAL_MISSES]]},
        )  # fmt: skip


def class_shares(truth: IntArray) -> FloatArray:
    """Return the share of each class, float64 (K,)."""
    counts = np.bincount(truth, minlength=len(CLASS_NAMES))
    return np.asarray(counts / max(int(counts.sum()), 1), np.float64)


def accuracy_at(confusion: IntArray, shares: FloatArray) -> float:
    """Return the accuracy of a model with these errors by class, were the classes as frequent as `shares`."""
    totals = confusion.sum(axis=1)
    recall = np.divide(np.diag(confusion), totals, out=np.zeros(len(totals)), where=totals > 0)
    return float((recall * shares).sum())
