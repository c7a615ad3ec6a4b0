"""While the database is away appends are refused soon; when it is back all is well without a restart."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hilum.domain.errors import ConfigError, JournalUnavailable
from hilum.journal.journal import Journal
from hilum.journal.storage import Storage
from tests.journal.conftest import CHAIN_KEY, make_event

ROOT = Path(__file__).parents[2]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def assert_refused_soon(journal: Journal) -> None:
    started = time.monotonic()
    with pytest.raises(JournalUnavailable):
        journal.append(make_event(99))
    assert time.monotonic() - started < 2.5


def test_a_lock_that_lasts_is_refused_within_two_seconds_and_recovers(journal: Journal, database: Path):
    journal.append(make_event(1))
    locker = sqlite3.connect(database, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    assert_refused_soon(journal)
    assert_refused_soon(journal)
    locker.execute("ROLLBACK")
    locker.close()
    assert journal.append(make_event(2)) == 2
    assert journal.verify().records == 2


def test_a_removed_file_takes_no_record_and_is_not_made_anew(journal: Journal, database: Path):
    journal.append(make_event(1))
    away = database.with_suffix(".away")
    database.rename(away)
    assert_refused_soon(journal)
    with pytest.raises(JournalUnavailable, match="no answers until it can"):
        journal.read()
    assert not database.exists()
    away.rename(database)
    assert journal.append(make_event(2)) == 2
    assert journal.verify().ok


def test_a_folder_in_place_of_the_file_is_refused(journal: Journal, database: Path):
    journal.append(make_event(1))
    database.rename(database.with_suffix(".away"))
    database.mkdir()
    assert_refused_soon(journal)
    database.rmdir()
    database.with_suffix(".away").rename(database)
    assert journal.append(make_event(2)) == 2


def test_a_record_in_a_deleted_log_is_not_acknowledged(journal: Journal, database: Path):
    journal.append(make_event(1))
    Path(f"{database}-wal").unlink()
    assert_refused_soon(journal)
    journal.append(make_event(2))
    verdict = journal.verify()
    assert verdict.ok, verdict.reason
    assert {"request-1", "request-2"} <= {record.request_id for record in journal.read()}


def test_a_file_replaced_by_another_is_refused_once_and_found_by_verify(
    journal: Journal, database: Path, tmp_path: Path
):
    for number in range(3):
        journal.append(make_event(number))
    other = Journal.open(f"sqlite:///{tmp_path}/other.db", chain_key=CHAIN_KEY)
    other.append(make_event(7))
    other.close()
    (tmp_path / "other.db").replace(database)
    for leftover in ("-wal", "-shm"):
        Path(f"{database}{leftover}").unlink(missing_ok=True)
    assert_refused_soon(journal)
    journal.checkpoints.append(seq=3, link="0" * 64, at="2026-01-16T02:44:40.000000Z")
    assert not journal.verify().ok


def test_a_ruined_header_is_refused(database: Path, journal: Journal):
    journal.append(make_event(1))
    journal.storage.close()
    with database.open("r+b") as file:
        file.write(b"x" * 100)
    assert_refused_soon(journal)
    with pytest.raises(JournalUnavailable, match="SQLITE_NOTADB"):
        Storage.open(f"sqlite:///{database}")


FULL_DISK = """
import resource, signal, sys
from hilum.domain.errors import JournalUnavailable
from hilum.journal.journal import Journal
from tests.journal.conftest import CHAIN_KEY, make_event

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal.open(sys.argv[1], chain_key=CHAIN_KEY)
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, unlimited[1]))
acknowledged, refused = [], 0
while refused < 5:
    try:
        acknowledged.append(journal.append(make_event(len(acknowledged))))
    except JournalUnavailable:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
acknowledged.append(journal.append(make_event(0)))
verdict = journal.verify()
records = {record.seq for record in journal.read(limit=100_000)}
print(verdict.ok, set(acknowledged) <= records, len(records) - len(acknowledged), len(acknowledged) > 10)
journal.close()
"""


def test_a_full_disk_refuses_and_recovers_without_a_restart(url: str):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == ["True", "True", "0", "True"], done.stderr


def test_checkpoints_that_cannot_be_written_refuse_appends(journal: Journal, tmp_path: Path):
    journal.checkpoints.path = tmp_path / "a file" / "checkpoints"
    (tmp_path / "a file").write_text("in the way")
    assert_refused_soon(journal)
    (tmp_path / "a file").unlink()
    assert journal.append(make_event(1)) == 1


def test_a_database_is_made_for_its_owner_alone(journal: Journal, database: Path):
    journal.append(make_event(1))
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in database.parent.iterdir()}
    assert modes == {
        "journal.db": "0o600",
        "journal.db-wal": "0o600",
        "journal.db-shm": "0o600",
        "journal.db.checkpoints": "0o600",
    }


def test_every_commit_is_flushed_and_deleted_content_overwritten(journal: Journal):
    with journal.storage.read() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "journal_mode", "secure_delete")
        ]
    assert pragmas == [2, "wal", 1]


@pytest.mark.parametrize("url", ["", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_other_urls_are_refused(url: str):
    with pytest.raises(ConfigError, match="must be sqlite:///FILE or postgresql://"):
        Storage.open(url)


def test_a_wrong_path_makes_no_new_database_where_one_must_exist(tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no database journal.db"):
        Storage.open(f"sqlite:///{tmp_path}/journal.db", must_exist=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_storage_fault(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnavailable, match="cannot make the database"):
        Storage.open(f"sqlite:///{tmp_path}/file/journal.db")


def test_an_unreachable_postgres_is_refused_soon(tmp_path: Path):
    started = time.monotonic()
    with pytest.raises(JournalUnavailable, match="OperationalError"):
        Storage.open(f"postgresql://hilum:secret@/postgres?host={tmp_path}")
    assert time.monotonic() - started < 4


def test_neither_password_nor_values_are_shown(journal: Journal, database: Path):
    assert repr(journal) == "Journal(Storage(sqlite))"
    journal.append(make_event(1))
    database.rename(database.with_suffix(".away"))
    with pytest.raises(JournalUnavailable) as caught:
        journal.append(make_event(2, user_id="canary"))
    seen = f"{caught.value!r} {caught.value.__cause__!r}"
    assert "canary" not in seen
    assert str(database.parent) not in str(caught.value)


def test_a_fault_leaves_no_connection_open(journal: Journal, database: Path):
    journal.append(make_event(1))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        database.rename(database.with_suffix(".away"))
        assert_refused_soon(journal)
        database.with_suffix(".away").rename(database)
        journal.append(make_event(2))
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_a_storage_that_was_closed_begins_afresh_with_another_log(tmp_path: Path):
    storage = Storage.open(f"sqlite:///{tmp_path}/journal.db")
    with storage.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    log = tmp_path / "journal.db-wal"
    storage.close()
    assert not log.exists()
    (tmp_path / "other").touch()  # takes the number of the old log on disk, so that the next has another
    with storage.write() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    storage.close()
