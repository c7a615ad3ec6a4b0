"""What readers say of answers: a misdiagnosis, a confirmed label, or the label that a review ended with.

It is the review queue and the retraining count. Holds codes alone, no text. A repeated request (same user,
same idempotency key) is stored once. The newest label of an answer holds, so that of a review stands above
the report that it was about, and both count as one labelled answer.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from hilum.domain.errors import InputError
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import JOURNAL_MAX_TEXT
from hilum.journal.clock import Clock, format_utc, now_utc, parse_utc
from hilum.journal.storage import Storage
from hilum.journal.tables import FeedbackRow

FeedbackKind = Literal["misdiagnosis", "confirmed", "reviewed"]
"""`reviewed` is written by `FeedbackStore.review` alone."""
FEEDBACK_KINDS: tuple[FeedbackKind, ...] = ("misdiagnosis", "confirmed")
"""What a reader may say."""
REPORTED_KINDS: frozenset[FeedbackKind] = frozenset({"misdiagnosis", "reviewed"})
"""Kinds of labels that are there because somebody took an answer for wrong."""

_TABLE = FeedbackRow.__table__
_WAITS = (FeedbackRow.kind == "misdiagnosis") & FeedbackRow.reviewed_at.is_(None)
_LATER = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Feedback:
    """One statement about the answer to `request_id`; `label` is the class that the reader found."""

    id: str
    created_at: datetime
    request_id: str
    kind: FeedbackKind
    label: str
    user_id: str | None
    reviewed_at: datetime | None


class FeedbackStore:
    """Every statement, in order.

    Parameters
    ----------
    storage
        The journal's database.
    clock
        Gives the timestamps.
    """

    def __init__(self, storage: Storage, *, clock: Clock = now_utc) -> None:
        self._storage, self._clock = storage, clock

    def add(
        self,
        request_id: str,
        kind: FeedbackKind,
        label: str,
        user_id: str,
        idempotency_key: str | None = None,
    ) -> tuple[str, bool]:
        """Store a statement; return its id and whether it is new.

        Parameters
        ----------
        request_id
            Of the answer it is about.
        kind, label
            One of FEEDBACK_KINDS; a class name.
        user_id
            Who says so; forgotten after 90 days.
        idempotency_key
            Of the request: the same one from the same user is stored once. Without it, the same statement is.

        Raises
        ------
        InputError
            Kind or label are unknown, or the idempotency key was used for another statement.
        JournalUnavailable
            It could not be stored.
        """
        if kind not in FEEDBACK_KINDS or label not in CLASS_NAMES:
            raise InputError(
                f"feedback: kind is one of {', '.join(FEEDBACK_KINDS)}; label one of {', '.join(CLASS_NAMES)}"
            )
        if not request_id.isprintable() or len(request_id) > JOURNAL_MAX_TEXT:
            raise InputError("feedback: the request id is not one of ours")
        stated = (request_id, kind, label)
        once = _hash_once(user_id, *(stated if idempotency_key is None else ("key", idempotency_key)))
        with self._storage.write() as connection:
            known = (
                connection.execute(select(_TABLE).where(FeedbackRow.once == once)).mappings().one_or_none()
            )
            if known is not None:
                if (known["request_id"], known["kind"], known["label"]) != stated:
                    raise InputError(
                        "feedback: this idempotency key was used for another statement; make a new one"
                    )
                return str(known["id"]), False
            row = {
                "id": str(uuid.uuid4()),
                "created_at": format_utc(self._clock()),
                "request_id": request_id,
                "kind": kind,
                "label": label,
                "user_id": user_id,
                "once": once,
            }
            connection.execute(insert(FeedbackRow), row)
        return row["id"], True

    def list(self, *, unreviewed: bool = False, limit: int = 100) -> list[Feedback]:
        """Return statements, oldest first; those that wait for review alone when asked."""
        query = select(_TABLE).order_by(FeedbackRow.created_at, FeedbackRow.id).limit(limit)
        if unreviewed:
            query = query.where(_WAITS)
        with self._storage.read() as connection:
            return [_to_feedback(row) for row in connection.execute(query).mappings()]

    def find(self, feedback_id: str) -> Feedback | None:
        """Return the statement of an id."""
        with self._storage.read() as connection:
            row = _select(connection, feedback_id)
        return None if row is None else _to_feedback(row)

    def count_waiting(self) -> int:
        """Return how many reports wait for review."""
        with self._storage.read() as connection:
            return int(
                connection.execute(select(func.count()).select_from(FeedbackRow).where(_WAITS)).scalar_one()
            )

    def review(self, feedback_id: str, label: str, reviewer: str) -> str:
        """End the wait of a report, and of others on the same answer, with the label that a reviewer gives.

        Parameters
        ----------
        feedback_id
            Of the report.
        label
            Class that the film shows; it is the newest label of the answer from then on.
        reviewer
            Who says so; forgotten after 90 days.

        Returns
        -------
        Id of the label.

        Raises
        ------
        InputError
            The label is unknown, or no report of this id waits: there is none, or somebody was faster.
        """
        if label not in CLASS_NAMES:
            raise InputError(f"feedback: the label is one of {', '.join(CLASS_NAMES)}")
        with self._storage.write() as connection:
            report = _select(connection, feedback_id)
            if report is None or report["kind"] != "misdiagnosis" or report["reviewed_at"] is not None:
                raise InputError("feedback: no report of this id waits for review")
            of_answer = FeedbackRow.request_id == report["request_id"]
            newest = connection.execute(
                select(func.max(FeedbackRow.created_at)).where(of_answer)
            ).scalar_one()
            # the newest label holds: it must be this one even when a clock was set back
            moment = format_utc(max(self._clock(), parse_utc(newest) + _LATER))
            row = {
                "id": str(uuid.uuid4()),
                "created_at": moment,
                "request_id": report["request_id"],
                "kind": "reviewed",
                "label": label,
                "user_id": reviewer,
                "once": _hash_once("", "reviewed", feedback_id),
                "reviewed_at": moment,
            }
            connection.execute(insert(FeedbackRow), row)
            connection.execute(update(FeedbackRow).where(of_answer, _WAITS).values(reviewed_at=moment))
        return str(row["id"])

    def mark_reviewed(self, feedback_id: str) -> None:
        """Take a statement from the review queue.

        Raises
        ------
        InputError
            There is no such statement.
        """
        now = format_utc(self._clock())
        with self._storage.write() as connection:
            done = update(FeedbackRow).where(FeedbackRow.id == feedback_id).values(reviewed_at=now)
            if connection.execute(done).rowcount == 0:
                raise InputError("feedback: there is no statement of this id")

    def count_labelled(self) -> int:
        """Return how many answers have a reader's label, each once: what retraining could learn from."""
        with self._storage.read() as connection:
            return int(connection.execute(select(func.count(FeedbackRow.request_id.distinct()))).scalar_one())

    def labels(self) -> dict[str, str]:
        """Return the newest label by request id."""
        query = select(FeedbackRow.request_id, FeedbackRow.label).order_by(
            FeedbackRow.created_at, FeedbackRow.id
        )
        with self._storage.read() as connection:
            return {row.request_id: row.label for row in connection.execute(query)}


def _select(connection: Connection, feedback_id: str) -> RowMapping | None:
    return connection.execute(select(_TABLE).where(FeedbackRow.id == feedback_id)).mappings().one_or_none()


def _hash_once(*parts: str) -> str:
    # a caller's idempotency key is a text of theirs: only its hash is kept
    return hashlib.sha256(
        "\n".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "replace")
    ).hexdigest()


def _to_feedback(row: RowMapping) -> Feedback:
    return Feedback(
        id=row["id"],
        created_at=parse_utc(row["created_at"]),
        request_id=row["request_id"],
        kind=cast(FeedbackKind, row["kind"]),
        label=row["label"],
        user_id=row["user_id"],
        reviewed_at=None if row["reviewed_at"] is None else parse_utc(row["reviewed_at"]),
    )
