"""One database, SQLite or PostgreSQL, and the two ways to use it: one writer at a time, and snapshots.

`write` is a transaction that no other writer of any process shares; leaving it without an error means that
the commit is on disk. Whatever goes wrong below becomes JournalUnavailable, and every connection is closed,
because a handle whose flush failed must not be trusted with the next one. Knows nothing of records.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from hilum.domain.errors import ConfigError, JournalUnavailable
from hilum.domain.thresholds import JOURNAL_LOCK_SECONDS
from hilum.journal.migrate import migrate
from hilum.journal.sqlite_file import SqliteFile, is_busy

_WRITER_LOCK = 0x68696C756D  # "hilum": the advisory lock of PostgreSQL that all writers share
_MIGRATION_WAIT_S = 20.0
_POLL_S = 0.001
_LONG_S = 3600.0
_INSTANTLY_S = 0.2


class Storage:
    """The journal's database; thread-safe.

    Parameters
    ----------
    engine
        Of SQLAlchemy.
    file
        The file of a SQLite database, None for PostgreSQL.
    """

    def __init__(self, engine: Engine, file: SqliteFile | None) -> None:
        self.engine = engine
        self.file = file
        self._generation = 0
        event.listen(engine, "connect", self._mark)
        event.listen(engine, "checkin", self._close_stale)

    def __repr__(self) -> str:
        return f"Storage({self.engine.dialect.name})"

    @classmethod
    def open(cls, url: str, *, must_exist: bool = False) -> "Storage":
        """Connect, and bring the tables to the present form; safe when several processes do so at once.

        Parameters
        ----------
        url
            `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.
        must_exist
            Make no new SQLite database.

        Raises
        ------
        ConfigError
            The URL is of neither kind, there is no database and must be one, or a newer hilum made it.
        JournalUnavailable
            The database does not answer.
        """
        engine, file = _make_engine(url)
        if must_exist and file is not None and not file.path.is_file():
            raise ConfigError(f"journal: there is no database {file.path.name} at that place; check the path")
        storage = cls(engine, file)
        try:
            if file is not None:
                file.create()
            migrate(storage.read, lambda: storage.write(wait_s=_MIGRATION_WAIT_S))
        except OSError as fault:
            raise JournalUnavailable(f"journal: cannot make the database ({fault.strerror})") from fault
        except BaseException:
            engine.dispose()
            raise
        return storage

    @contextmanager
    def write(self, *, wait_s: float = JOURNAL_LOCK_SECONDS) -> Iterator[Connection]:
        """Give a transaction that excludes every other writer; it is durable once the block is left.

        Parameters
        ----------
        wait_s
            Seconds to wait for other writers.

        Raises
        ------
        JournalUnavailable
            The lock was not to be had, or anything failed: nothing may be acknowledged.
        """
        with self._guard(), self._begin(lambda connection: self._take_lock(connection, wait_s)) as connection:
            yield connection
            connection.commit()
            if self.file is not None:
                self.file.check_log_in_place()

    @contextmanager
    def read(self, *, is_long: bool = False) -> Iterator[Connection]:
        """Give one unchanging view of the database.

        Parameters
        ----------
        is_long
            Single statements may take longer than a request may wait.

        Raises
        ------
        JournalUnavailable
            The database does not answer.
        """
        with (
            self._guard(),
            self._begin(lambda connection: self._take_view(connection, is_long)) as connection,
        ):
            yield connection
            connection.rollback()

    def close(self) -> None:
        """Close every connection; the next use begins afresh."""
        self.engine.dispose()
        if self.file is not None:
            self.file.forget()  # the last connection took the log with it: the next one is another file

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            if self.file is not None:
                self.file.check_in_place()
            yield
        except (SQLAlchemyError, OSError, UnicodeDecodeError) as fault:
            # SQLite quotes a damaged schema in its message, and Python cannot read the message then
            self._start_afresh()
            raise JournalUnavailable(
                f"journal: cannot use the database ({_name_fault(fault)}); no answers until it can"
            ) from fault

    def _mark(self, _: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info["generation"] = self._generation

    def _close_stale(self, connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        # one that another thread had in use when the pool was thrown away: nobody else would close it
        if connection is not None and record.info.get("generation") != self._generation:
            connection.close()

    def _start_afresh(self) -> None:
        self._generation += 1
        self.engine.dispose()
        if self.file is not None:
            self.file.forget()

    def _begin(self, take: Callable[[Connection], None]) -> Connection:
        """Return a connection on which `take` has begun a transaction."""
        connection = self.engine.connect()
        started = time.monotonic()
        try:
            take(connection)
        except DBAPIError as fault:
            connection.close()
            if not fault.connection_invalidated or time.monotonic() - started > _INSTANTLY_S:
                raise
            # it had died in the pool, which SQLAlchemy has thrown away by now: this one is new
            connection = self.engine.connect()
            take(connection)
        return connection

    def _take_lock(self, connection: Connection, wait_s: float) -> None:
        if self.file is not None:
            _insist(connection, ("BEGIN IMMEDIATE",), wait_s)
            return
        self._set_patience(connection, wait_s + JOURNAL_LOCK_SECONDS)
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(wait_s * 1000)}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")

    def _take_view(self, connection: Connection, is_long: bool) -> None:
        if self.file is not None:
            # the first read takes the view
            _insist(connection, ("BEGIN", "SELECT count(*) FROM sqlite_schema"), JOURNAL_LOCK_SECONDS)
            return
        connection.execution_options(isolation_level="REPEATABLE READ")
        self._set_patience(connection, _LONG_S if is_long else 2 * JOURNAL_LOCK_SECONDS)

    def _set_patience(self, connection: Connection, seconds: float) -> None:
        from hilum.journal.postgres import set_patience

        set_patience(connection, seconds)


def _insist(connection: Connection, statements: tuple[str, ...], wait_s: float) -> None:
    """Run SQLite statements, again while another connection is in the way."""
    deadline = time.monotonic() + wait_s
    done = 0
    while done < len(statements):
        try:
            connection.exec_driver_sql(statements[done])
            done += 1
        except OperationalError as fault:
            if not is_busy(fault.orig) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0, _POLL_S))


def _make_engine(url: str) -> tuple[Engine, SqliteFile | None]:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if (
        parsed is not None
        and parsed.get_backend_name() == "sqlite"
        and parsed.database not in {None, "", ":memory:"}
    ):
        file = SqliteFile(Path(str(parsed.database)))
        connect: Callable[[], object] = file.connect
        engine = create_engine(
            "sqlite://",
            creator=connect,
            poolclass=QueuePool,
            pool_timeout=JOURNAL_LOCK_SECONDS,
            hide_parameters=True,
        )
        return engine, file
    if parsed is not None and parsed.get_backend_name() == "postgresql":
        try:
            from hilum.journal.postgres import make_postgres_engine
        except ImportError:
            raise ConfigError("journal: PostgreSQL needs psycopg; pip install hilum[postgres]") from None
        return make_postgres_engine(parsed), None
    raise ConfigError("journal: the URL must be sqlite:///FILE or postgresql://USER@HOST/NAME")


def _name_fault(fault: BaseException) -> str:
    original = fault.orig if isinstance(fault, DBAPIError) and fault.orig is not None else fault
    return str(getattr(original, "sqlite_errorname", None) or type(original).__name__)
