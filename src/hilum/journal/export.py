"""The journal as JSON lines, for archives and for whoever verifies it without hilum.

The first line says where the chain starts; each further line is a record with its salt, link and commitments,
in canonical JSON, so that its body can be rebuilt to the byte (`hilum.journal.chain`).
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select

from hilum.journal.chain import GENESIS, to_canonical
from hilum.journal.journal import Journal
from hilum.journal.tables import JournalRow, PurgedSegment

FORMAT = "hilum-journal-1"
_PAGE_ROWS = 1_000
_COLUMNS = JournalRow.__table__.columns


def export_lines(journal: Journal) -> Iterator[str]:
    """Yield the lines of an export, each without its line end; one view of the database for all.

    Raises
    ------
    JournalUnavailable
        The database does not answer.
    """
    with journal.storage.read() as connection:
        start = _find_start(connection)
        yield to_canonical({"format": FORMAT} | start)
        after = start["starts_after"]
        while True:
            page = select(*_COLUMNS).where(JournalRow.seq > after).order_by(JournalRow.seq).limit(_PAGE_ROWS)
            rows = connection.execute(page).mappings().all()
            for row in rows:
                salt = row["salt"]
                yield to_canonical({**row, "salt": None if salt is None else salt.hex()})
            if not rows:
                return
            after = rows[-1]["seq"]


def _find_start(connection: Connection) -> dict[str, Any]:
    table = PurgedSegment.__table__
    first = connection.execute(select(JournalRow.seq).order_by(JournalRow.seq).limit(1)).scalar()
    row = (
        connection.execute(select(table).order_by(table.c.last_seq.desc()).limit(1)).mappings().one_or_none()
    )
    if row is None or (first is not None and row["last_seq"] >= first):
        return {"starts_after": 0, "starts_hash": GENESIS, "purged_at": None, "purged_mac": None}
    return {
        "starts_after": row["last_seq"],
        "starts_hash": row["last_hash"],
        "purged_at": row["purged_at"],
        "purged_mac": row["mac"],
    }
