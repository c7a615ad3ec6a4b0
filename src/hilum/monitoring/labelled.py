"""Answers that a reader has labelled: what accuracy and calibration are measured on.

The newest label of an answer counts. An answer whose request held several films cannot be told apart from its
neighbours and is left out, and counted as left out.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.inputs import FloatArray, IntArray
from hilum.journal.feedback import REPORTED_KINDS
from hilum.journal.record import read_facts
from hilum.journal.tables import FeedbackRow, JournalRow
from hilum.monitoring.rollup import ANSWERS

_OK = 200


@dataclass(frozen=True, slots=True)
class LabelledFilms:
    """N labelled answers, in the order of their labels.

    Parameters
    ----------
    request_ids
        Of the answers.
    truth, called
        int64 (N,) in the order of CLASS_NAMES.
    probabilities
        Calibrated, float64 (N, K).
    is_referred
        Whether the answer sent the film to a reader, bool (N,).
    is_report
        Whether the label came as a report of a misdiagnosis, or of its review, bool (N,).
    ambiguous
        Labels that could not be matched to one film.
    """

    request_ids: tuple[str, ...]
    truth: IntArray
    called: IntArray
    probabilities: FloatArray
    is_referred: np.ndarray[tuple[int], np.dtype[np.bool_]]
    is_report: np.ndarray[tuple[int], np.dtype[np.bool_]]
    ambiguous: int

    def __len__(self) -> int:
        return len(self.request_ids)

    @property
    def confidence(self) -> FloatArray:
        """Probability of the called class, float64 (N,)."""
        return np.asarray(self.probabilities.max(axis=1)) if len(self) else np.empty(0)


def read_labelled(
    connection: Connection, *, since: str, until: str, model_version: str | None
) -> LabelledFilms:
    """Return the answers whose labels came between two moments (texts of `hilum.journal.clock`).

    Parameters
    ----------
    model_version
        Only its answers; None for all.
    """
    stated = select(FeedbackRow.request_id, FeedbackRow.label, FeedbackRow.kind).where(
        FeedbackRow.created_at > since, FeedbackRow.created_at <= until
    )
    labels = {
        row.request_id: (row.label, row.kind)
        for row in connection.execute(
            stated.order_by(FeedbackRow.created_at, FeedbackRow.request_id, FeedbackRow.id)
        )
    }
    rows: list[Any] = []
    wanted = list(labels)
    for start in range(0, len(wanted), 500):  # SQLite takes some 32,000 parameters
        query = select(
            JournalRow.request_id, JournalRow.prediction, JournalRow.model_version, JournalRow.facts
        ).where(
            JournalRow.request_id.in_(wanted[start : start + 500]),
            JournalRow.kind.in_(ANSWERS),
            JournalRow.status == _OK,
        )
        rows.extend(connection.execute(query).all())
    times = Counter(row.request_id for row in rows)
    found = [
        (row.request_id, row.prediction, read_facts(row.facts), *labels[row.request_id])
        for row in rows
        if times[row.request_id] == 1 and model_version in {None, row.model_version}
    ]
    order = {request_id: place for place, request_id in enumerate(wanted)}
    found.sort(key=lambda one: order[one[0]])
    kept = [one for one in found if one[1] in CLASS_NAMES and one[3] in CLASS_NAMES]
    return LabelledFilms(
        tuple(one[0] for one in kept),
        np.array([CLASS_NAMES.index(one[3]) for one in kept], np.int64),
        np.array([CLASS_NAMES.index(one[1]) for one in kept], np.int64),
        np.array(
            [[float(one[2].get(f"p_{name.lower()}", 0.0)) for name in CLASS_NAMES] for one in kept],
            np.float64,
        ).reshape(-1, len(CLASS_NAMES)),
        np.array([bool(one[2].get("referred")) for one in kept], bool),
        np.array([one[4] in REPORTED_KINDS for one in kept], bool),
        sum(1 for number in times.values() if number > 1),
    )
