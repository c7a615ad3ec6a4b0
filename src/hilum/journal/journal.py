"""The journal as others see it: open, append, read, verify, close.

An acknowledged record survives a kill and a power cut, and an altered, deleted or reordered one is found.
Knows nothing of HTTP; who asks has masked the address already.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, make_url, select

from hilum.domain.errors import ConfigError, JournalUnavailable
from hilum.domain.thresholds import MIN_SECRET_BYTES
from hilum.journal.checkpoints import Checkpoints, CheckpointsAltered
from hilum.journal.clock import Clock, now_utc, parse_utc
from hilum.journal.record import Event, Record, read_facts
from hilum.journal.storage import Storage
from hilum.journal.structure import find_structure_fault
from hilum.journal.tables import JournalRow
from hilum.journal.verify import ChainVerdict, verify_chain
from hilum.journal.writer import Writer

CHECKPOINTS_NAME = "journal.checkpoints"
_COLUMNS = JournalRow.__table__.columns


class Journal:
    """The journal; thread-safe, and shared by any number of processes through its database.

    Parameters
    ----------
    storage
        The database; keys, feedback and switches live in the same one.
    checkpoints
        Signed heads, outside the database.
    chain_key
        Key of the chain, 32 bytes or more.
    clock
        Gives the timestamps.
    """

    def __init__(self, storage: Storage, checkpoints: Checkpoints, *, chain_key: bytes, clock: Clock) -> None:
        self.storage = storage
        self.checkpoints = checkpoints
        self.chain_key = chain_key
        self.clock = clock
        self._writer = Writer(storage, checkpoints, chain_key=chain_key, clock=clock)

    def __repr__(self) -> str:
        return f"Journal({self.storage!r})"

    @classmethod
    def open(
        cls,
        url: str,
        *,
        chain_key: bytes,
        checkpoints: Path | None = None,
        clock: Clock = now_utc,
        must_exist: bool = False,
    ) -> "Journal":
        """Open a journal; a new database is made, an older form is brought up to date.

        Parameters
        ----------
        url
            `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.
        chain_key
            32 random bytes or more, kept apart from the database.
        checkpoints
            Folder for the signed heads, best on another host than the database; or a file when the name has a
            suffix. FILE.checkpoints beside a SQLite database when not given.
        clock
            Gives the timestamps.
        must_exist
            Make no new SQLite database.

        Raises
        ------
        ConfigError
            The key is short, the URL is of no known kind, a PostgreSQL journal has no checkpoints file, or
            there is no database and must be one.
        JournalUnavailable
            The database does not answer.
        """
        if len(chain_key) < MIN_SECRET_BYTES:
            raise ConfigError(
                f"journal: the chain key has {len(chain_key)} bytes; give {MIN_SECRET_BYTES} or more"
            )
        storage = Storage.open(url, must_exist=must_exist)
        if checkpoints is None and storage.file is None:
            storage.close()
            raise ConfigError(
                "journal: name a checkpoints file; beside PostgreSQL there is no place of its own"
            )
        path = checkpoints or Path(f"{make_url(url).database}.checkpoints")
        if path.is_dir() or not path.suffix:
            path /= CHECKPOINTS_NAME
        return cls(storage, Checkpoints(path, chain_key), chain_key=chain_key, clock=clock)

    def append(self, event: Event) -> int:
        """Record an event and return its number once it is durable.

        Raises
        ------
        JournalUnavailable
            It is not durable: do not answer.
        """
        return self._writer.append(event)

    def read(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        request_id: str | None = None,
        kinds: Collection[str] = (),
    ) -> list[Record]:
        """Return records in order, or the newest first when `before` is given.

        Parameters
        ----------
        after
            Only numbers above this one.
        before
            Only numbers below this one.
        limit
            At most so many.
        request_id, kinds
            Only those of the request, only those of the kinds.

        Raises
        ------
        JournalUnavailable
            The database does not answer, or a row was altered beyond reading.
        """
        query = select(*_COLUMNS).where(JournalRow.seq > after).limit(limit)
        if before is None:
            query = query.order_by(JournalRow.seq)
        else:
            query = query.where(JournalRow.seq < before).order_by(JournalRow.seq.desc())
        if request_id is not None:
            query = query.where(JournalRow.request_id == request_id)
        if kinds:
            query = query.where(JournalRow.kind.in_(kinds))
        with self.storage.read() as connection:
            rows = list(connection.execute(query).mappings())
        return [_to_record(row) for row in rows]

    def verify(self) -> ChainVerdict:
        """Check every record against the chain, the checkpoints and the indexes; reads the whole journal.

        Raises
        ------
        JournalUnavailable
            The database or the checkpoints cannot be read at all.
        """
        try:
            seen = self.checkpoints.read()  # before the view: a checkpoint is never ahead of its records
            problem = None if seen else "there are no checkpoints, so a cut tail would go unseen"
        except CheckpointsAltered as altered:
            seen, problem = [], str(altered)
        with self.storage.read() as connection:
            verdict = verify_chain(connection, seen, key=self.chain_key)
            if verdict.ok and self.storage.file is not None:
                fault = find_structure_fault(connection)
                if fault is not None:
                    return ChainVerdict(False, verdict.records, fault.seq, fault.reason)
        if problem is not None and verdict.ok and (verdict.records or "no checkpoints" not in problem):
            return ChainVerdict(False, verdict.records, None, problem)
        return verdict

    def close(self) -> None:
        """Write what waits, sign the head, close every connection."""
        self._writer.close()
        self.storage.close()


def _to_record(row: RowMapping) -> Record:
    fields: dict[str, Any] = {name: row[name] for name in Record.__slots__ if name in row}
    has_commitments = row["user_commitment"] is not None or row["ip_commitment"] is not None
    try:
        fields["timestamp"] = parse_utc(row["timestamp"])
        fields["facts"] = read_facts(row["facts"])
    except (ValueError, TypeError):
        raise JournalUnavailable(
            f"journal: record {row['seq']} is altered; run hilum audit-log verify"
        ) from None
    return Record(**fields, is_anonymised=has_commitments and row["salt"] is None)
