"""What readers say of answers: a misdiagnosis, or a confirmed label.

It is the review queue and the retraining count. Holds codes alone, no text. A repeated request (same user,
same idempotency key) is stored once.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast, get_args

from sqlalchemy import RowMapping, func, insert, select, update

from hilum.domain.errors import InputError
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import JOURNAL_MAX_TEXT
from hilum.journal.clock import Clock, format_utc, now_utc, parse_utc
from hilum.journal.storage import Storage
from hilum.journal.tables import FeedbackRow

FeedbackKind = Literal["misdiagnosis", "confirmed"]
FEEDBACK_KINDS: tuple[FeedbackKind, ...] = get_args(FeedbackKind)

_TABLE = FeedbackRow.__table__


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
            waits = (FeedbackRow.kind == "misdiagnosis") & FeedbackRow.reviewed_at.is_(None)
            query = query.where(waits)
        with self._storage.read() as connection:
            return [_to_feedback(row) for row in connection.execute(query).mappings()]

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
