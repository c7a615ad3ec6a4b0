"""One thread that writes: whatever waits goes into one transaction, so that many appends share one flush.

An append returns when its transaction is on disk, or raises: nothing is acknowledged before. A failed
transaction fails everyone in it. The number and the link of a record are chosen inside the transaction, from
the newest row, so that they are gap-free over any number of processes; so is the timestamp.
"""

import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLong
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from hilum.domain.errors import JournalUnavailable
from hilum.domain.thresholds import (
    JOURNAL_APPEND_SECONDS,
    JOURNAL_BATCH_RECORDS,
    JOURNAL_CHECKPOINT_RECORDS,
    JOURNAL_CHECKPOINT_SECONDS,
    JOURNAL_MAX_WAITING,
    SALT_BYTES,
)
from hilum.journal.chain import GENESIS, commit_to, make_link, to_canonical
from hilum.journal.checkpoints import Checkpoints
from hilum.journal.clock import Clock, format_utc
from hilum.journal.record import Event
from hilum.journal.storage import Storage
from hilum.journal.tables import JournalRow, PurgedSegment

_NEWEST = select(JournalRow.seq, JournalRow.hash).order_by(JournalRow.seq.desc()).limit(1)
_PURGED = (
    select(PurgedSegment.last_seq, PurgedSegment.last_hash).order_by(PurgedSegment.last_seq.desc()).limit(1)
)
_ADD = insert(JournalRow)
_RETRY_S = 1.0
_LET_OTHERS_IN_S = 0.002


class Head(NamedTuple):
    """The newest record: its number and link."""

    seq: int
    link: str


def find_head(connection: Connection) -> Head:
    """Return the newest record, or where the chain starts when there is none."""
    row = connection.execute(_NEWEST).one_or_none()
    if row is None:
        row = connection.execute(_PURGED).one_or_none()
    return Head(0, GENESIS) if row is None else Head(*row)


def append_events(connection: Connection, events: Sequence[Event], *, chain_key: bytes, clock: Clock) -> Head:
    """Add records behind the newest one; the caller holds a write transaction and commits.

    Parameters
    ----------
    connection
        In `Storage.write`.
    events
        What to record, in order.
    chain_key
        Key of the links.
    clock
        Gives the timestamps.

    Returns
    -------
    Head
        The last record added.
    """
    head = find_head(connection)
    rows = []
    for event in events:
        row = _make_row(event, head.seq + 1, format_utc(clock()))
        row["hash"] = make_link(chain_key, head.link, row)
        head = Head(head.seq + 1, row["hash"])
        rows.append(row)
    connection.execute(_ADD, rows)
    return head


def _make_row(event: Event, seq: int, timestamp: str) -> dict[str, Any]:
    is_personal = event.user_id is not None or event.ip_address is not None
    salt = secrets.token_bytes(SALT_BYTES) if is_personal else None
    return {
        "seq": seq,
        "timestamp": timestamp,
        "kind": event.kind,
        "request_id": event.request_id,
        "endpoint": event.endpoint,
        "user_id": event.user_id,
        "ip_address": event.ip_address,
        "salt": salt,
        "user_commitment": commit_to(salt or b"", "user_id", event.user_id),
        "ip_commitment": commit_to(salt or b"", "ip_address", event.ip_address),
        "status": int(event.status),
        "code": event.code,
        "prediction": event.prediction,
        "confidence": _to_real(event.confidence),
        "inference_time_ms": _to_real(event.inference_time_ms),
        "model_version": event.model_version,
        "facts": to_canonical(event.facts),
    }


def _to_real(value: float | None) -> float | None:
    # as every database gives it back: 1 as 1.0, and SQLite knows no negative zero
    return None if value is None else float(value) + 0.0


class Writer:
    """The thread; started by the first append.

    Parameters
    ----------
    storage, checkpoints
        Where records and signed heads go.
    chain_key
        Key of the links.
    clock
        Gives the timestamps.
    """

    def __init__(self, storage: Storage, checkpoints: Checkpoints, *, chain_key: bytes, clock: Clock) -> None:
        self._storage, self._checkpoints = storage, checkpoints
        self._chain_key, self._clock = chain_key, clock
        self._waiting: SimpleQueue[tuple[Event, Future[int]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._busy_since: float | None = None
        self._is_closed = False
        self._head: Head | None = None
        self._signed_seq = 0
        self._unsigned_since: float | None = None

    def append(self, event: Event) -> int:
        """Record an event and return its number once it is on disk.

        Raises
        ------
        JournalUnavailable
            It is not, or not soon enough; it may still turn up, but was never acknowledged.
        """
        busy_since = self._busy_since
        if busy_since is not None and time.monotonic() - busy_since > JOURNAL_APPEND_SECONDS:
            raise JournalUnavailable("journal: the database has not answered for too long; ask again later")
        if self._waiting.qsize() >= JOURNAL_MAX_WAITING:
            raise JournalUnavailable(f"journal: {JOURNAL_MAX_WAITING} records wait already; ask again later")
        self._start()
        done: Future[int] = Future()
        self._waiting.put((event, done))
        try:
            return done.result(JOURNAL_APPEND_SECONDS)
        except WaitedTooLong:
            done.cancel()  # not written if its turn had not come
            raise JournalUnavailable(
                f"journal: not on disk after {JOURNAL_APPEND_SECONDS} s; ask again later"
            ) from None

    def close(self) -> None:
        """Write what waits, sign the head, and end the thread."""
        with self._starting:
            self._is_closed = True
            thread = self._thread
        if thread is not None:
            self._waiting.put(None)
            thread.join(2 * JOURNAL_APPEND_SECONDS)

    def _start(self) -> None:
        if self._is_at_work() and not self._is_closed:
            return
        with self._starting:
            if self._is_closed:
                raise JournalUnavailable("journal: it is closed")
            if not self._is_at_work():  # also in place of one that died, whatever it died of
                self._thread = threading.Thread(target=self._run, name="hilum-journal", daemon=True)
                self._thread.start()

    def _is_at_work(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._collect()
            self._busy_since = time.monotonic()
            is_shared = False
            try:
                self._sign_if_due(now=not is_open)
                if batch:
                    is_shared = self._commit(batch)
                    self._sign_if_due(now=False)
            except BaseException as error:  # whatever it is, nobody may wait for ever
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            self._busy_since = None
            if is_shared:
                time.sleep(_LET_OTHERS_IN_S)  # SQLite does not queue writers: step aside for other processes

    def _collect(self) -> tuple[list[tuple[Event, Future[int]]], bool]:
        """Wait for an append, a checkpoint or the end; return what waits and whether to go on."""
        batch: list[tuple[Event, Future[int]]] = []
        timeout = self._until_due()
        try:
            item = self._waiting.get(timeout=timeout)
            while item is not None:
                if item[1].set_running_or_notify_cancel():
                    batch.append(item)
                if len(batch) >= JOURNAL_BATCH_RECORDS:
                    return batch, True
                item = self._waiting.get_nowait()
        except Empty:
            return batch, True
        return batch, False

    def _commit(self, batch: list[tuple[Event, Future[int]]]) -> bool:
        """Write a batch and acknowledge it; return whether another process wrote since the last one."""
        if self._head is None:
            self._begin()
        events = [event for event, _ in batch]
        with self._storage.write() as connection:
            head = append_events(connection, events, chain_key=self._chain_key, clock=self._clock)
        first = head.seq - len(batch) + 1
        is_shared = self._head is not None and self._head.seq != first - 1
        self._head = head
        if self._unsigned_since is None:
            self._unsigned_since = time.monotonic()
        for offset, (_, done) in enumerate(batch):
            done.set_result(first + offset)
        return is_shared

    def _begin(self) -> None:
        """Sign the head that is found; a journal whose checkpoints are gone says so in itself."""
        self._checkpoints.refuse_another_key()
        with self._storage.read() as connection:
            head = find_head(connection)
        if head.seq > 0 and not self._checkpoints.exists():
            missing = Event("admin", "-", "journal", None, None, 0, code="checkpoints-missing")
            with self._storage.write() as connection:
                head = append_events(connection, [missing], chain_key=self._chain_key, clock=self._clock)
        self._sign(head)

    def _until_due(self) -> float | None:
        if self._head is None or self._unsigned_since is None:
            return None
        if self._head.seq - self._signed_seq >= JOURNAL_CHECKPOINT_RECORDS:  # it was tried, and failed
            return _RETRY_S
        return max(_RETRY_S, self._unsigned_since + JOURNAL_CHECKPOINT_SECONDS - time.monotonic())

    def _sign_if_due(self, *, now: bool) -> None:
        if self._head is None or self._unsigned_since is None:
            return
        is_late = time.monotonic() - self._unsigned_since >= JOURNAL_CHECKPOINT_SECONDS
        if now or is_late or self._head.seq - self._signed_seq >= JOURNAL_CHECKPOINT_RECORDS:
            self._sign(self._head)

    def _sign(self, head: Head) -> None:
        self._checkpoints.append(seq=head.seq, link=head.link, at=format_utc(self._clock()))
        self._head, self._signed_seq, self._unsigned_since = head, head.seq, None
