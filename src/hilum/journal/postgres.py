"""Connections to PostgreSQL that never wait for ever, and whose commits are flushed whatever its default.

Time limits on the server do not help when the server itself stands still: libpq then waits without end. So
each wait of a connection has a limit here, too; one that passes it is closed.
"""

import time
from collections.abc import Generator
from typing import Any

from psycopg import Connection, OperationalError
from sqlalchemy import URL, Engine, create_engine, event

from hilum.domain.thresholds import JOURNAL_LOCK_SECONDS

STATEMENT_S = 1.5
"""Seconds that the server gives a statement of a request."""

_GRACE_S = 0.1
_CONNECT_S = 2  # the least that libpq takes
_WAIT_INTERVAL_S = 0.05


class BoundedConnection(Connection[Any]):
    """A connection that closes itself when the server says nothing for `patience_s` seconds."""

    patience_s = STATEMENT_S + _GRACE_S

    def wait(self, gen: Any, interval: float = _WAIT_INTERVAL_S, timeout: float | None = None) -> Any:
        """Run one exchange with the server.

        Raises
        ------
        psycopg.OperationalError
            The server did not answer in time; the connection is closed.
        """
        bound = self._bound(gen)
        return super().wait(bound, interval) if timeout is None else super().wait(bound, interval, timeout)

    def _bound(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        deadline = time.monotonic() + self.patience_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.close()
                    raise OperationalError("the server does not answer")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


def make_postgres_engine(url: URL) -> Engine:
    """Return an engine of bounded connections."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={
            "connect_timeout": _CONNECT_S,
            "options": f"-c synchronous_commit=on -c statement_timeout={int(STATEMENT_S * 1000)}",
        },
        pool_timeout=JOURNAL_LOCK_SECONDS,
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_: Any, __: Any, arguments: Any, named: Any) -> BoundedConnection:
        return BoundedConnection.connect(*arguments, **named)

    return engine


def set_patience(connection: Any, seconds: float) -> None:
    """Give the statements of a transaction so many seconds; once it has begun, before anything else."""
    connection.connection.dbapi_connection.patience_s = seconds + _GRACE_S
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
