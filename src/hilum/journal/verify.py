"""Walk the chain from its start to its head, and hold it against the checkpoints.

The first bad number is the first record that is not what was acknowledged: altered, inserted, or missing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hilum.journal.chain import GENESIS, commit_to, is_same, make_link, sign_head
from hilum.journal.checkpoints import Checkpoint
from hilum.journal.record import RETENTION, read_facts
from hilum.journal.tables import JournalRow, PurgedSegment

_PAGE_ROWS = 1_000
_COLUMNS = JournalRow.__table__.columns


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """What a check of the whole journal found.

    Parameters
    ----------
    ok
        Every record is there, as it was acknowledged.
    records
        Records that were found to be right, before the first bad one.
    first_bad
        Its number; None when all is well, or when no record but the checkpoints or an index is at fault.
    reason
        A sentence.
    """

    ok: bool
    records: int
    first_bad: int | None
    reason: str


class _Bad(Exception):
    """A record is not what it was."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(reason)
        self.seq = seq


def verify_chain(connection: Connection, checkpoints: list[Checkpoint], *, key: bytes) -> ChainVerdict:
    """Check every record of a view.

    Parameters
    ----------
    connection
        In `Storage.read`, opened after the checkpoints were read.
    checkpoints
        Each with a good mac.
    key
        The chain key.
    """
    walk = _Walk(connection, key, {point.seq for point in checkpoints})
    try:
        walk.run()
        walk.hold_against(checkpoints)
        walk.refuse_early_anonymised()
    except _Bad as bad:
        return ChainVerdict(False, walk.records, bad.seq, f"record {bad.seq}: {bad}")
    return ChainVerdict(
        True, walk.records, None, f"{walk.records} records, up to number {walk.seq}, are whole"
    )


class _Walk:
    """The state of one check: where it is and what it saw."""

    def __init__(self, connection: Connection, key: bytes, wanted: set[int]) -> None:
        self._connection, self._key, self._wanted = connection, key, wanted
        self.records = 0
        self.seq, self._link = 0, GENESIS
        self._start = 0
        self._links: dict[int, str] = {}
        self._anonymised_through = 0
        self._last_anonymised: list[int] = []

    def run(self) -> None:
        self._find_start()
        for row in self._rows():
            self._check(dict(row))
            self.seq, self._link = row["seq"], row["hash"]
            self.records += 1
            if self.seq in self._wanted:
                self._links[self.seq] = self._link

    def hold_against(self, checkpoints: list[Checkpoint]) -> None:
        for point in sorted(checkpoints, key=lambda one: one.seq):
            if point.seq > self.seq:
                raise _Bad(self.seq + 1, f"missing; a checkpoint saw {point.seq} records at {point.at}")
            if point.seq >= self._start and not is_same(self._links.get(point.seq), point.hash):
                raise _Bad(self._after_last_agreed(checkpoints, point), "another one than a checkpoint saw")

    def refuse_early_anonymised(self) -> None:
        early = [seq for seq in self._last_anonymised if seq > self._anonymised_through]
        if early:
            raise _Bad(early[0], "lost its user and address before retention took them")

    def _find_start(self) -> None:
        self._links[0] = GENESIS
        first = self._connection.execute(select(JournalRow.seq).order_by(JournalRow.seq).limit(1)).scalar()
        table = PurgedSegment.__table__
        segments = self._connection.execute(select(table).order_by(table.c.last_seq.desc())).mappings()
        for segment in segments.all():
            mac = sign_head(
                self._key,
                "purged",
                seq=segment["last_seq"],
                link=segment["last_hash"],
                at=segment["purged_at"],
            )
            if is_same(mac, segment["mac"]) and (
                first is None or segment["last_seq"] < first
            ):  # the newest one
                self.seq = self._start = segment["last_seq"]
                self._link = self._links[self.seq] = segment["last_hash"]
                return

    def _rows(self) -> Iterator[RowMapping]:
        after = self.seq
        while page := self._read_page(after):
            yield from page
            after = page[-1]["seq"]

    def _read_page(self, after: int) -> list[RowMapping]:
        query = select(*_COLUMNS).where(JournalRow.seq > after).order_by(JournalRow.seq)
        try:
            return list(self._connection.execute(query.limit(_PAGE_ROWS)).mappings())
        except SQLAlchemyError as fault:
            if _is_outage(fault):
                raise
        # something on the page cannot even be read: go up to it one by one
        try:
            return list(self._connection.execute(query.limit(1)).mappings())
        except SQLAlchemyError as fault:
            raise _Bad(after + 1, "the database cannot read it") from fault

    def _check(self, row: Mapping[str, Any]) -> None:
        expected = self.seq + 1
        if row["seq"] != expected:
            raise _Bad(expected, f"missing; the next one is {row['seq']}")
        try:
            link = make_link(self._key, self._link, row)
        except (TypeError, ValueError):
            raise _Bad(expected, "holds what hilum never writes") from None
        if not is_same(link, row["hash"]):
            raise _Bad(expected, "altered, or not written with this chain key")
        self._check_personal_fields(row)
        if row["kind"] == RETENTION:
            through = read_facts(row["facts"]).get("anonymised_through", 0)
            self._anonymised_through = max(self._anonymised_through, through)
            self._last_anonymised = [seq for seq in self._last_anonymised if seq > through]

    def _check_personal_fields(self, row: Mapping[str, Any]) -> None:
        if row["salt"] is None:
            if row["user_id"] is not None or row["ip_address"] is not None:
                raise _Bad(row["seq"], "has a user or an address that it did not have")
            if row["user_commitment"] is not None or row["ip_commitment"] is not None:
                self._last_anonymised.append(row["seq"])
            return
        for field, commitment in (("user_id", "user_commitment"), ("ip_address", "ip_commitment")):
            try:
                found = commit_to(row["salt"], field, row[field])
            except (TypeError, ValueError, AttributeError):
                raise _Bad(row["seq"], "holds what hilum never writes") from None
            if found != row[commitment]:
                raise _Bad(row["seq"], "its user or address was altered")

    def _after_last_agreed(self, checkpoints: list[Checkpoint], bad: Checkpoint) -> int:
        agreed = [
            point.seq
            for point in checkpoints
            if point.seq < bad.seq and self._links.get(point.seq) == point.hash
        ]
        return max([self._start, *agreed]) + 1


def _is_outage(fault: SQLAlchemyError) -> bool:
    """Whether the database is away, rather than holding something unreadable."""
    if not isinstance(fault, DBAPIError) or fault.connection_invalidated:
        return True
    name = getattr(fault.orig, "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_BUSY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_LOCKED"))
