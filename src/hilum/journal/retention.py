"""Forget in time: after 90 days user and address, after a year the whole record. Report 9.3.

Records go from the oldest on, as one stretch without holes: anonymised up to a number, purged up to a number.
Both numbers are recorded in the journal itself, in the transaction that changes the rows, and the end of what
was purged is signed; so the chain still verifies, a kill in between loses nothing, and a user or an address
that is gone without such a record is found as tampering. A record whose timestamp lies in the future of those
after it (a clock ran ahead) holds the stretch up; the outcome names it, and a confirmed run passes it.

A clock that jumps ahead would make everything due at once. So a run that would change more than a fifth of
the records is refused until someone confirms it. A legal hold (`hilum.journal.switches`) stops everything.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from hilum.domain.errors import RetentionRefused
from hilum.domain.thresholds import (
    JOURNAL_ANONYMISE_DAYS,
    JOURNAL_MAX_RETENTION_SHARE,
    JOURNAL_PURGE_DAYS,
    JOURNAL_RETENTION_BATCH,
    MIN_GROUP_FILMS,
)
from hilum.journal.chain import sign_head
from hilum.journal.clock import format_utc
from hilum.journal.journal import Journal
from hilum.journal.record import RETENTION, Event
from hilum.journal.storage import Storage
from hilum.journal.switches import read_switch
from hilum.journal.tables import AlertRow, FeedbackRow, JournalRow, MonitorCountRow, PurgedSegment
from hilum.journal.writer import append_events

_LOG = logging.getLogger(__name__)
_PERSONAL = or_(JournalRow.user_commitment.is_not(None), JournalRow.ip_commitment.is_not(None))
_SCRUB_TRIES = 20
_DAY = 10  # characters of a moment
_SCRUB_PAUSE_S = 0.05
_BETWEEN_BATCHES_S = 0.01  # appends get their turn


@dataclass(frozen=True, slots=True)
class RetentionOutcome:
    """What a run did.

    Parameters
    ----------
    anonymised, purged
        Records changed.
    held_up_by
        Number of a record whose later timestamp keeps due records behind it from being forgotten; None when
        nothing does. Look at the clock, then confirm.
    is_scrubbed
        Nothing of what was forgotten is left in the database's files. Always False with PostgreSQL, which
        overwrites freed space in its own time.
    """

    anonymised: int
    purged: int
    held_up_by: int | None
    is_scrubbed: bool


def run_retention(journal: Journal, now: datetime, *, confirmed: bool = False) -> RetentionOutcome:
    """Anonymise and purge what is due; again at any time, also after a run that was killed.

    Parameters
    ----------
    journal
        The journal.
    now
        The time of day, aware.
    confirmed
        A person looked: let any share of the records go, and pass records with a timestamp ahead of its time.

    Raises
    ------
    RetentionRefused
        More is due at once than a right clock explains, or there is a legal hold; nothing was changed.
    JournalUnavailable
        The database does not answer; a rerun goes on from there.
    """
    anonymise_before = format_utc(now - timedelta(days=JOURNAL_ANONYMISE_DAYS))
    purge_before = format_utc(now - timedelta(days=JOURNAL_PURGE_DAYS))
    with journal.storage.read(is_long=True) as connection:
        if read_switch(connection, "legal-hold").is_on:
            raise RetentionRefused("retention: a legal hold is on; release it first")
        purge_through = _find_due(connection, purge_before, confirmed=confirmed)
        anonymise_through = _find_due(connection, anonymise_before, confirmed=confirmed)
        last_due = _find_due(connection, anonymise_before, confirmed=True)
        if not confirmed:
            _refuse_too_many(connection, "purge", JournalRow.seq > 0, purge_through)
            _refuse_too_many(
                connection, "anonymise", _PERSONAL & JournalRow.salt.is_not(None), anonymise_through
            )
    purged = _repeat(lambda: _purge(journal, purge_through, now))
    anonymised = _repeat(lambda: _anonymise(journal, anonymise_through))
    _anonymise_feedback_and_alerts(journal.storage, anonymise_before)
    _thin_counts(journal.storage, purge_before)
    outcome = RetentionOutcome(
        anonymised=anonymised,
        purged=purged,
        held_up_by=anonymise_through + 1 if anonymise_through < last_due else None,
        is_scrubbed=_scrub(journal.storage),
    )
    if outcome.held_up_by is not None:
        _LOG.warning("retention: record %d is ahead of its time and holds up others", outcome.held_up_by)
    return outcome


def _find_due(connection: Connection, before: str, *, confirmed: bool) -> int:
    """Return the last number of the oldest stretch that is due, 0 when nothing is."""
    is_due = JournalRow.timestamp <= before
    if confirmed:
        return int(connection.execute(select(func.max(JournalRow.seq)).where(is_due)).scalar() or 0)
    first_young = connection.execute(select(func.min(JournalRow.seq)).where(~is_due)).scalar()
    if first_young is not None:
        return int(first_young) - 1
    return int(connection.execute(select(func.max(JournalRow.seq))).scalar() or 0)


def _refuse_too_many(
    connection: Connection, verb: str, candidates: ColumnElement[bool], through: int
) -> None:
    counted = select(func.count()).select_from(JournalRow).where(candidates)
    total = connection.execute(counted).scalar_one()
    due = connection.execute(counted.where(JournalRow.seq <= through)).scalar_one()
    if due > JOURNAL_MAX_RETENTION_SHARE * total:
        raise RetentionRefused(
            f"retention: {due} of {total} records are due to {verb} at once, more than"
            f" {JOURNAL_MAX_RETENTION_SHARE:.0%}; check the clock, then confirm with --confirm"
        )


def _repeat(change: Callable[[], int]) -> int:
    total = 0
    while changed := change():
        total += changed
        time.sleep(_BETWEEN_BATCHES_S)
    return total


def _purge(journal: Journal, through: int, now: datetime) -> int:
    """Delete a batch of the oldest records, sign where it ended, and record it; one transaction."""
    with journal.storage.write() as connection:
        due = (
            select(JournalRow.seq, JournalRow.hash).where(JournalRow.seq <= through).order_by(JournalRow.seq)
        )
        rows = connection.execute(due.limit(JOURNAL_RETENTION_BATCH)).all()
        if not rows:
            return 0
        last_seq, last_hash = rows[-1]
        _record(journal, connection, {"purged": len(rows), "purged_through": last_seq})
        at = format_utc(now)
        mac = sign_head(journal.chain_key, "purged", seq=last_seq, link=last_hash, at=at)
        connection.execute(delete(JournalRow).where(JournalRow.seq <= last_seq))
        segment = {"last_seq": last_seq, "last_hash": last_hash, "purged_at": at, "mac": mac}
        connection.execute(insert(PurgedSegment), segment)
        return len(rows)


def _anonymise(journal: Journal, through: int) -> int:
    """Delete user, address and salt of a batch of the oldest records, and record it; one transaction."""
    with journal.storage.write() as connection:
        due = select(JournalRow.seq).where(JournalRow.seq <= through, JournalRow.salt.is_not(None))
        rows = connection.execute(due.order_by(JournalRow.seq).limit(JOURNAL_RETENTION_BATCH)).scalars().all()
        if not rows:
            return 0
        _record(journal, connection, {"anonymised": len(rows), "anonymised_through": rows[-1]})
        forgotten = update(JournalRow).where(JournalRow.seq <= rows[-1], JournalRow.salt.is_not(None))
        connection.execute(forgotten.values(user_id=None, ip_address=None, salt=None))
        return len(rows)


def _record(journal: Journal, connection: Connection, facts: dict[str, int]) -> None:
    event = Event(RETENTION, str(uuid.uuid4()), "journal", None, None, 0, facts=facts)
    append_events(connection, [event], chain_key=journal.chain_key, clock=journal.clock)


def _anonymise_feedback_and_alerts(storage: Storage, before: str) -> None:
    due = (FeedbackRow.created_at <= before) & FeedbackRow.user_id.is_not(None)
    with storage.write() as connection:
        connection.execute(update(FeedbackRow).where(due).values(user_id=None))
        taken = (AlertRow.acknowledged_at <= before) & AlertRow.acknowledged_by.is_not(None)
        connection.execute(update(AlertRow).where(taken).values(acknowledged_by=None))


def _thin_counts(storage: Storage, before: str) -> None:
    """Of counts whose records are gone keep those of days, and of them no group that may be one person."""
    day = before[:_DAY]
    old = select(MonitorCountRow.period, MonitorCountRow.model_version, MonitorCountRow.name,
                 MonitorCountRow.counts).where(MonitorCountRow.period < day)  # fmt: skip
    with storage.write() as connection:
        connection.execute(
            delete(MonitorCountRow).where(
                MonitorCountRow.period < day, func.length(MonitorCountRow.period) > _DAY
            )
        )
        for row in connection.execute(old).all():
            if sum(json.loads(row.counts)) < MIN_GROUP_FILMS:
                connection.execute(
                    delete(MonitorCountRow).where(
                        MonitorCountRow.period == row.period,
                        MonitorCountRow.model_version == row.model_version,
                        MonitorCountRow.name == row.name,
                    )
                )


def _scrub(storage: Storage) -> bool:
    """Take the forgotten out of the files: SQLite overwrites freed cells, its log still has the old pages."""
    if storage.file is None:
        return False
    for _ in range(_SCRUB_TRIES):
        try:
            with storage.engine.connect() as connection:
                is_busy, *_ = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()
        except SQLAlchemyError:
            return False
        if not is_busy:
            return True
        time.sleep(_SCRUB_PAUSE_S)
    return False
