"""Bring a database to the present form, once, whoever comes first.

Most openings find it there already and do not even import Alembic.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from hilum.domain.errors import ConfigError

PRESENT = "0003"
"""The newest step in `migrations/versions`."""

_Transaction = Callable[[], AbstractContextManager[Connection]]


def migrate(read: _Transaction, write: _Transaction) -> None:
    """Apply the steps that are missing.

    Parameters
    ----------
    read, write
        Give a view, and a transaction that excludes every other writer (`hilum.journal.storage.Storage`).

    Raises
    ------
    ConfigError
        The database was made by a newer hilum.
    """
    with read() as connection:
        found = _find_revision(connection)
    if found == PRESENT:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with write() as connection:
        if (found := _find_revision(connection)) == PRESENT:  # another process was faster
            return
        _refuse_newer(found, folder)
        config.attributes["connection"] = connection
        command.upgrade(config, PRESENT)


def _find_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _refuse_newer(found: str | None, folder: Path) -> None:
    known = {path.stem.removeprefix("step_") for path in (folder / "versions").glob("step_*.py")}
    if found is not None and found not in known:
        raise ConfigError(
            f"journal: the database has form {found}, this hilum knows forms up to {PRESENT};"
            " use the hilum that made it, or a newer one"
        )
