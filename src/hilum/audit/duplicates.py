"""Films that are in a set twice: the same file, or the same picture in another coat.

A hash alone cries wolf, since chest films look alike: candidates within 6 bits are compared by their pixels,
first coarsely, then by their fine detail, which two films of one patient do not share.
A copy that was turned, mirrored, cropped or shifted by more than a few percent is not found.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.audit.measures import FilmMeasures
from hilum.audit.record import AuditFinding, Severity
from hilum.domain.thresholds import DUPLICATE_MIN_CORRELATION, DUPLICATE_MIN_DETAIL_CORRELATION
from hilum.imaging.fingerprint import correlate_pairs, fine_detail
from hilum.imaging.near_pairs import find_near_pairs


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two films of one picture: positions in the manifest, and whether the files are the same bytes."""

    first: int
    second: int
    is_exact: bool
    crosses_splits: bool
    crosses_labels: bool


@dataclass(frozen=True, slots=True)
class DuplicateAudit:
    """What the search found.

    Parameters
    ----------
    alike_by_hash, alike_by_pixels
        Pairs that the hash alone calls near, and those of them that the pixels confirm.
    exact_pairs, near_pairs
        Pairs of the same bytes, and of the same picture in other bytes.
    is_complete
        False when a crowd of alike hashes was cut short.
    """

    alike_by_hash: int
    alike_by_pixels: int
    exact_pairs: int
    near_pairs: int
    is_complete: bool


def audit_duplicates(
    measures: FilmMeasures, pixels: NDArray[np.uint8]
) -> tuple[DuplicateAudit, list[AuditFinding]]:
    """Find films that are in the set twice, across splits and labels and inside one.

    Parameters
    ----------
    pixels
        uint8 (N, side, side), film for film.
    """
    films = measures.table
    exact = _exact_pairs(films)
    # A blank film correlates with nothing and would only crowd the search.
    shown = np.flatnonzero(measures.thumbnails.any(axis=(1, 2)))
    alike = find_near_pairs(measures.hashes[shown])
    first, second = shown[alike.first], shown[alike.second]
    same = correlate_pairs(measures.thumbnails, first, second) >= DUPLICATE_MIN_CORRELATION
    alike_pairs = zip(first[same].tolist(), second[same].tolist(), strict=True)
    confirmed = {pair for pair in alike_pairs if _same_detail(pixels, *pair)}
    pairs = [_describe(films, *pair, is_exact=True) for pair in sorted(exact)]
    pairs += [
        _describe(films, *pair, is_exact=False) for pair in sorted(confirmed - _same_bytes(films, confirmed))
    ]
    audit = DuplicateAudit(
        alike_by_hash=len(first),
        alike_by_pixels=len(confirmed),
        exact_pairs=len(exact),
        near_pairs=len(pairs) - len(exact),
        is_complete=alike.is_complete,
    )
    return audit, _judge(films, pairs)


def _exact_pairs(films: pd.DataFrame) -> set[tuple[int, int]]:
    """Return each file with its next equal: a chain per group, so that a thousand copies are 999 pairs.

    Inside a group the files are ordered by split and label, so that every crossing is in the chain.
    """
    known = films[films["sha256"].notna()].reset_index()
    ordered = known.sort_values(["sha256", "split", "label", "path"])
    mates = ordered["sha256"].to_numpy()[1:] == ordered["sha256"].to_numpy()[:-1]
    places = ordered["index"].to_numpy()
    return {
        (min(pair), max(pair))
        for pair in zip(places[:-1][mates].tolist(), places[1:][mates].tolist(), strict=True)
    }


def _same_detail(pixels: NDArray[np.uint8], first: int, second: int) -> bool:
    correlation = float((fine_detail(pixels[first]) * fine_detail(pixels[second])).sum())
    return correlation >= DUPLICATE_MIN_DETAIL_CORRELATION


def _same_bytes(films: pd.DataFrame, pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    digests = films["sha256"].to_numpy()
    return {(first, second) for first, second in pairs if digests[first] == digests[second]}


def _describe(films: pd.DataFrame, first: int, second: int, *, is_exact: bool) -> DuplicatePair:
    splits, labels = films["split"].to_numpy(), films["label"].to_numpy()
    return DuplicatePair(
        first=first,
        second=second,
        is_exact=is_exact,
        crosses_splits=bool(splits[first] != splits[second]),
        crosses_labels=bool(labels[first] != labels[second]),
    )


def _judge(films: pd.DataFrame, pairs: list[DuplicatePair]) -> list[AuditFinding]:
    """Name each pair by the worst that it does, exact and near apart."""
    kinds: tuple[tuple[str, Severity, Severity, Callable[[DuplicatePair], bool], str, str], ...] = (
        (
            "duplicate-across-splits",
            Severity.BLOCKER,
            Severity.BLOCKER,
            lambda pair: pair.crosses_splits,
            "in two splits",
            "Keep each picture in one split: what was trained on must not be tested on.",
        ),
        (
            "duplicate-other-label",
            Severity.BLOCKER,
            Severity.WARNING,
            lambda pair: pair.crosses_labels,
            "under two labels",
            "One of the labels is wrong: read the film again and remove the copy.",
        ),
        (
            "duplicate",
            Severity.WARNING,
            Severity.NOTE,
            lambda pair: not pair.crosses_splits and not pair.crosses_labels,
            "twice in one class and split",
            "Remove the copy: it counts one patient twice.",
        ),
    )
    findings = []
    for is_exact, how in ((True, "exact"), (False, "near")):
        for code, worst, mild, applies, where, advice in kinds:
            hits = [pair for pair in pairs if pair.is_exact == is_exact and applies(pair)]
            if not hits:
                continue
            word = "same file" if is_exact else "same picture in another file"
            findings.append(
                AuditFinding(
                    f"{how}-{code}",
                    worst if is_exact else mild,
                    f"{len(hits):,} {'pair' if len(hits) == 1 else 'pairs'} of films: the {word} {where}.",
                    advice,
                    films=tuple(
                        str(films["path"].iloc[place]) for pair in hits for place in (pair.first, pair.second)
                    ),
                    figures={"pairs": len(hits)},
                )
            )
    return findings
