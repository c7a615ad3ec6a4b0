"""A SQLite database as a file: made with mode 0600, opened for full durability, watched while in use.

A file that is deleted or replaced under a running process still takes commits, into nothing. So whoever
writes asks before the transaction and after the commit whether the file, and its write-ahead log, are still
the ones that it opened; and a missing file is never made anew once the journal is open.
"""

import os
import sqlite3
import stat
import time
from pathlib import Path
from urllib.parse import quote

from hilum.domain.thresholds import JOURNAL_LOCK_SECONDS

_BUSY_TIMEOUT_S = 0.004  # SQLite's own waiting backs off to 100 ms; we ask again ourselves, every 1 to 3 ms


class FileReplacedError(OSError):
    """The database file, or its log, is no longer the one that was opened."""


class SqliteFile:
    """The database at a path.

    Parameters
    ----------
    path
        Where the file is or shall be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._log = self.path.with_name(self.path.name + "-wal")
        self._seen: dict[Path, tuple[int, int]] = {}

    def create(self) -> None:
        """Make an empty file, readable by its owner alone, unless there is one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def connect(self) -> sqlite3.Connection:
        """Open a connection: write-ahead log, every commit flushed, deleted content overwritten."""
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=rw",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,  # transactions are ours: BEGIN IMMEDIATE, not what the driver guesses
            check_same_thread=False,
        )
        try:
            _set_journal_mode(connection)
            connection.execute("PRAGMA synchronous=FULL")  # NORMAL loses commits in a power cut
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA trusted_schema=OFF")
        except BaseException:
            connection.close()
            raise
        return connection

    def check_in_place(self) -> None:
        """Refuse unless the file is the one first seen.

        Raises
        ------
        FileReplacedError
            It is missing, replaced, or no plain file.
        """
        self._check(self.path)

    def check_log_in_place(self) -> None:
        """Refuse unless file and log are the ones first seen; ask after a commit, before it is acknowledged.

        Raises
        ------
        FileReplacedError
            One of them is missing or replaced: the commit may lie in a file that nobody can open.
        """
        self._check(self.path)
        self._check(self._log)

    def forget(self) -> None:
        """Take the files as they are found next; after every connection was closed."""
        self._seen = {}

    def _check(self, path: Path) -> None:
        try:
            found = path.stat()
        except OSError:
            raise FileReplacedError(f"{path.name} is gone") from None
        identity = (found.st_dev, found.st_ino)
        if not stat.S_ISREG(found.st_mode) or self._seen.setdefault(path, identity) != identity:
            raise FileReplacedError(f"{path.name} was replaced")


def _set_journal_mode(connection: sqlite3.Connection) -> None:
    # the change to WAL wants the file for itself and does not wait for it: two first openers meet here
    deadline = time.monotonic() + JOURNAL_LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as fault:
            if not is_busy(fault) or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_TIMEOUT_S)
        else:
            return


def is_busy(fault: BaseException | None) -> bool:
    """Whether another connection holds the database just now."""
    return getattr(fault, "sqlite_errorcode", None) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT}
