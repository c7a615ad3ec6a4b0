from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from hilum.domain.errors import ConfigError
from hilum.journal import migrate
from hilum.journal.storage import Storage
from hilum.journal.tables import Base


def test_the_steps_make_the_tables_that_the_code_names(url: str):
    storage = Storage.open(url)
    with storage.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    storage.close()
    assert differences == []


def test_the_steps_make_the_same_on_postgres(postgres_url: str):
    storage = Storage.open(postgres_url)
    with storage.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    storage.close()
    assert differences == []


def test_the_present_form_is_the_newest_step():
    steps = sorted(Path(migrate.__file__).parent.glob("migrations/versions/step_*.py"))
    assert steps[-1].stem == f"step_{migrate.PRESENT}"


def test_a_database_of_a_newer_hilum_is_refused(url: str):
    storage = Storage.open(url)
    with storage.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    storage.close()
    with pytest.raises(ConfigError, match="the database has form 9999, this hilum knows forms up to"):
        Storage.open(url)


def test_opening_again_changes_nothing(url: str, tmp_path: Path):
    Storage.open(url).close()
    before = (tmp_path / "journal.db").read_bytes()
    Storage.open(url).close()
    assert (tmp_path / "journal.db").read_bytes() == before
