"""Damage that leaves every record as it was, and hides some from a search."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hilum.journal.journal import Journal
from hilum.journal.verify import ChainVerdict
from tests.journal.conftest import CHAIN_KEY, FakeClock, make_event

RECORDS = 20


@pytest.fixture
def database(tmp_path: Path, clock: FakeClock) -> Path:
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.db", chain_key=CHAIN_KEY, clock=clock)
    for number in range(RECORDS):
        journal.append(make_event(number))
    journal.close()
    return tmp_path / "journal.db"


def verify(database: Path) -> ChainVerdict:
    with closing(Journal.open(f"sqlite:///{database}", chain_key=CHAIN_KEY)) as journal:
        return journal.verify()


def index_page(database: Path, index: str) -> tuple[int, int]:
    """Return (size, start) of the root page of an index, which in a small database is all of it."""
    with closing(sqlite3.connect(database)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (index,)).fetchone()[0]
    return size, (root - 1) * size


def spoil_index(database: Path, index: str, old: bytes, new: bytes) -> None:
    """Write other bytes over an entry of an index; the table is not touched."""
    size, start = index_page(database, index)
    content = bytearray(database.read_bytes())
    at = content.index(old, start, start + size)
    content[at : at + len(new)] = new
    database.write_bytes(content)


def test_an_entry_of_an_index_that_was_altered_is_found_at_its_record(database: Path):
    spoil_index(database, "journal_request", b"request-7", b"request-X")
    with closing(Journal.open(f"sqlite:///{database}", chain_key=CHAIN_KEY)) as journal:
        assert journal.read(request_id="request-7") == []  # this is what was not seen
        verdict = journal.verify()
    assert (verdict.ok, verdict.records, verdict.first_bad) == (False, RECORDS, 8)
    assert verdict.reason.startswith("record 8: whole, but index journal_request hides it from a search")
    assert "REINDEX" in verdict.reason


def test_an_index_made_anew_is_whole_again(database: Path):
    spoil_index(database, "journal_kind", b"predict", b"predicT")
    assert not verify(database).ok
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("REINDEX")
    assert verify(database) == ChainVerdict(True, 20, None, "20 records, up to number 20, are whole")


def test_a_key_that_its_index_hides_is_told_as_damage_of_no_record(database: Path):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "INSERT INTO api_keys (id, digest, label, role, created_at, expires_at)"
            " VALUES ('0123456789abcdef', 'd', 'l', 'admin', 'c', 'e')"
        )
        connection.commit()
    spoil_index(database, "sqlite_autoindex_api_keys_1", b"0123456789abcdef", b"0123456789abcdeX")
    verdict = verify(database)
    assert (verdict.ok, verdict.records, verdict.first_bad) == (False, RECORDS, None)
    assert "in no record" in verdict.reason


def test_a_page_that_is_no_page_is_told_and_raises_nothing(database: Path):
    size, start = index_page(database, "journal_timestamp")
    content = bytearray(database.read_bytes())
    content[start : start + size] = b"\xff" * size
    database.write_bytes(content)
    verdict = verify(database)
    assert (verdict.ok, verdict.first_bad) == (False, None)
    assert "damaged" in verdict.reason


def test_the_chain_is_told_before_the_indexes(database: Path):
    spoil_index(database, "journal_request", b"request-7", b"request-X")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE journal NOT INDEXED SET status = 500 WHERE seq = 3")
        connection.commit()
    assert verify(database).first_bad == 3
