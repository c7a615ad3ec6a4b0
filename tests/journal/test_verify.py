"""Every way to tamper with the database that we could think of, and the first bad number to be named."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.journal.chain import GENESIS, make_link
from hilum.journal.journal import Journal
from hilum.journal.verify import ChainVerdict
from tests.journal.conftest import CHAIN_KEY, START, FakeClock, make_event

RECORDS = 20


@pytest.fixture
def database(tmp_path: Path, clock: FakeClock) -> Path:
    """Twenty records, all under a checkpoint; nobody has it open."""
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.db", chain_key=CHAIN_KEY, clock=clock)
    for number in range(RECORDS):
        clock.advance(seconds=1)
        journal.append(make_event(number))
    journal.close()
    return tmp_path / "journal.db"


def verify(database: Path, key: bytes = CHAIN_KEY) -> ChainVerdict:
    journal = Journal.open(f"sqlite:///{database}", chain_key=key)
    try:
        return journal.verify()
    finally:
        journal.close()


def tamper(database: Path, *statements: str) -> None:
    connection = sqlite3.connect(database)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_an_untouched_journal_is_whole(database: Path):
    assert verify(database) == ChainVerdict(True, 20, None, "20 records, up to number 20, are whole")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("timestamp", "'2026-01-16T02:44:47.000001Z'"),
        ("kind", "'explain'"),
        ("request_id", "'request-9'"),
        ("endpoint", "'/admin/keys'"),
        ("user_id", "'clinician_9'"),
        ("user_id", "NULL"),
        ("ip_address", "'10.0.0.x'"),
        ("salt", "zeroblob(32)"),
        ("salt", "x'00'"),
        ("salt", "'text'"),
        ("user_commitment", "NULL"),
        ("ip_commitment", "user_commitment"),
        ("status", "503"),
        ("code", "'ok'"),
        ("prediction", "'Normal'"),
        ("confidence", "0.9200000000000001"),
        ("confidence", "NULL"),
        ("inference_time_ms", "x'ff'"),
        ("model_version", "'v1.0.1'"),
        ("facts", "'{}'"),
        ("facts", "replace(facts, '101.5', '101.50')"),
        ("hash", "upper(hash)"),
        ("hash", "'é'"),
    ],
)
def test_an_edit_of_any_column_is_found_at_its_record(database: Path, column: str, value: str):
    tamper(database, f"UPDATE journal SET {column} = {value} WHERE seq = 7")
    verdict = verify(database)
    assert (verdict.ok, verdict.records, verdict.first_bad) == (False, 6, 7), verdict.reason


SWAP = tuple(f"UPDATE journal SET seq = {new} WHERE seq = {old}" for old, new in ((5, 99), (6, 5), (99, 6)))
COPY = (
    "CREATE TEMP TABLE t AS SELECT * FROM journal WHERE seq = 3",
    "UPDATE t SET seq = 21",
    "INSERT INTO journal SELECT * FROM t",
)


@pytest.mark.parametrize(
    ("statements", "first_bad"),
    [
        (("DELETE FROM journal WHERE seq = 1",), 1),
        (("DELETE FROM journal WHERE seq = 5",), 5),
        (("DELETE FROM journal WHERE seq <= 5",), 1),
        (("DELETE FROM journal WHERE seq = 20",), 20),
        (("DELETE FROM journal WHERE seq > 11",), 12),
        (("DELETE FROM journal",), 1),
        (("DELETE FROM journal WHERE seq = 5", "UPDATE journal SET seq = seq - 1 WHERE seq > 5"), 5),
        (SWAP, 5),
        (COPY, 21),
        (("UPDATE journal SET seq = 0 WHERE seq = 1",), 1),
        (("UPDATE journal SET seq = -5 WHERE seq = 1",), 1),
    ],
)
def test_deleted_swapped_and_inserted_records_are_found(
    database: Path, statements: tuple[str, ...], first_bad: int
):
    tamper(database, *statements)
    verdict = verify(database)
    assert (verdict.ok, verdict.first_bad) == (False, first_bad), verdict.reason


def test_a_chain_made_anew_without_the_key_is_found(database: Path):
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    link = GENESIS
    for row in connection.execute("SELECT * FROM journal ORDER BY seq").fetchall():
        changed = dict(row) | {"prediction": "Normal"}
        link = make_link(b"another key, also of 32 bytes!!!", link, changed)
        connection.execute(
            "UPDATE journal SET prediction = 'Normal', hash = ? WHERE seq = ?", (link, row["seq"])
        )
    connection.commit()
    connection.close()
    assert verify(database).first_bad == 1


def test_an_older_copy_put_back_is_found(database: Path, tmp_path: Path):
    copy = tmp_path / "older"
    shutil.copy(database, copy)
    journal = Journal.open(f"sqlite:///{database}", chain_key=CHAIN_KEY)
    for number in range(5):
        journal.append(make_event(number))
    journal.close()
    shutil.copy(copy, database)
    verdict = verify(database)
    assert (verdict.ok, verdict.records, verdict.first_bad) == (False, 20, 21)
    assert "missing; a checkpoint saw 25 records" in verdict.reason


def test_an_older_copy_that_grew_again_is_found(database: Path, tmp_path: Path):
    copy = tmp_path / "older"
    shutil.copy(database, copy)
    for source in (None, copy):
        if source is not None:
            shutil.copy(source, database)
        journal = Journal.open(f"sqlite:///{database}", chain_key=CHAIN_KEY)
        for number in range(5):
            journal.append(make_event(number))
        journal.close()
    verdict = verify(database)
    assert (verdict.ok, verdict.first_bad) == (False, 21)
    assert "another one than a checkpoint saw" in verdict.reason


def test_another_key_verifies_nothing(database: Path):
    verdict = verify(database, b"another key, also of 32 bytes!!!")
    assert (verdict.ok, verdict.first_bad) == (False, 1)


def test_an_altered_checkpoint_is_found(database: Path):
    path = Path(f"{database}.checkpoints")
    lines = path.read_text().splitlines()
    stated = json.loads(lines[-1])
    lines[-1] = json.dumps(stated | {"seq": 3})
    path.write_text("\n".join(lines) + "\n")
    verdict = verify(database)
    assert (verdict.ok, verdict.records, verdict.first_bad) == (False, 20, None)
    assert verdict.reason == f"line {len(lines)} of the checkpoints is altered, or signed with another key"


@pytest.mark.parametrize("content", [None, "", "junk\n", "[]\n", '{"seq": 1}\n'])
def test_checkpoints_that_are_gone_or_junk_are_said(database: Path, content: str | None):
    path = Path(f"{database}.checkpoints")
    path.unlink() if content is None else path.write_text(content)
    verdict = verify(database)
    assert not verdict.ok
    assert "checkpoints" in verdict.reason


def test_a_torn_last_line_of_checkpoints_is_no_alarm_and_is_removed(database: Path):
    path = Path(f"{database}.checkpoints")
    with path.open("a") as file:
        file.write('{"at":"2026-01-')
    assert verify(database).ok
    journal = Journal.open(f"sqlite:///{database}", chain_key=CHAIN_KEY)
    journal.append(make_event())
    journal.close()
    assert verify(database).ok
    assert all(json.loads(line)["mac"] for line in path.read_text().splitlines())


def test_taking_a_user_out_before_his_time_is_found(database: Path):
    tamper(database, "UPDATE journal SET user_id = NULL, ip_address = NULL, salt = NULL WHERE seq = 4")
    verdict = verify(database)
    assert (verdict.ok, verdict.first_bad) == (False, 4)
    assert "before retention took them" in verdict.reason


def test_putting_a_user_into_an_anonymous_record_is_found(tmp_path: Path):
    database = tmp_path / "journal.db"
    journal = Journal.open(f"sqlite:///{database}", chain_key=CHAIN_KEY)
    journal.append(make_event(user_id=None, ip_address=None))
    journal.close()
    tamper(database, "UPDATE journal SET user_id = 'someone'")
    assert verify(database).first_bad == 1


@pytest.mark.parametrize(
    "forge", ["last_seq = last_seq + 1", "last_hash = replace(last_hash, 'a', 'b')", "mac = 'ab'"]
)
def test_a_purged_segment_cannot_be_forged(tmp_path: Path, clock: FakeClock, forge: str):
    from datetime import timedelta

    from hilum.journal.retention import run_retention

    database = tmp_path / "journal.db"
    journal = Journal.open(f"sqlite:///{database}", chain_key=CHAIN_KEY, clock=clock)
    for _ in range(10):
        journal.append(make_event())
        clock.advance(days=1)
    run_retention(journal, START + timedelta(days=366), confirmed=True)
    assert journal.verify().ok
    journal.close()
    tamper(database, f"UPDATE purged_segments SET {forge}")
    if "+ 1" in forge:
        tamper(database, "DELETE FROM journal WHERE seq = 3")
    verdict = verify(database)
    assert (verdict.ok, verdict.first_bad) == (False, 1)


def test_random_bytes_over_a_record_are_found_or_change_no_record(database: Path, tmp_path: Path):
    """200 places in the file: either the verdict is bad, or every record still reads as it did."""
    import random

    rng = random.Random(4)
    whole = database.read_bytes()
    journal = Journal.open(f"sqlite:///{database}", chain_key=CHAIN_KEY)
    original = journal.read(limit=50)
    journal.close()
    found = 0
    for _ in range(200):
        place = rng.randrange(len(whole))
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        database.write_bytes(damaged)
        found += not survives(database, lambda journal: journal.read(limit=50) == original)
    assert found > 4


def survives(database: Path, check: Callable[[Journal], bool]) -> bool:
    """Whether a damaged journal verifies; then it must also be the same."""
    from hilum.domain.errors import HilumError

    try:
        journal = Journal.open(f"sqlite:///{database}", chain_key=CHAIN_KEY)
    except HilumError:
        return False
    try:
        is_whole = journal.verify().ok
        assert not is_whole or check(journal)
    except HilumError:
        return False
    finally:
        journal.close()
    return is_whole
