"""Whether a SQLite file holds together: every record is in every index, and nothing else is.

The chain is read by rows, in the order of their numbers, and so says nothing of the indexes: a bit that flips
there alters no record, but hides one from a search. SQLite compares the two itself. Knows nothing of chains.
"""

import re
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from hilum.domain.thresholds import JOURNAL_STRUCTURE_FAULTS

_HIDDEN = re.compile(r"row (\d+) missing from index (journal_\w+)")
_REMEDY = "keep a copy of the file, then rebuild its indexes (REINDEX)"


class StructureFault(NamedTuple):
    """Something that SQLite found wrong.

    Parameters
    ----------
    seq
        The first record known to be hidden from a search; None when the fault lies elsewhere in the file.
    reason
        A sentence.
    """

    seq: int | None
    reason: str


def find_structure_fault(connection: Connection) -> StructureFault | None:
    """Compare every table of a SQLite database with its indexes; reads the whole file.

    Parameters
    ----------
    connection
        In `Storage.read`, of a SQLite database.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        The file cannot be read just now.
    """
    try:
        found = connection.exec_driver_sql(f"PRAGMA integrity_check({JOURNAL_STRUCTURE_FAULTS})").scalars()
        faults = [str(line) for line in found if line != "ok"]
    except DatabaseError as fault:
        if getattr(fault.orig, "sqlite_errorname", "") != "SQLITE_CORRUPT":
            raise
        return StructureFault(None, f"the database file is damaged; {_REMEDY}")
    if not faults:
        return None
    hidden = sorted((int(match[1]), match[2]) for line in faults if (match := _HIDDEN.search(line)))
    if not hidden:
        return StructureFault(None, f"the database file is damaged, in no record; {_REMEDY}")
    seq, index = hidden[0]
    return StructureFault(seq, f"record {seq}: whole, but index {index} hides it from a search; {_REMEDY}")
