import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hilum.domain.errors import ConfigError, JournalUnavailable
from hilum.journal import writer
from hilum.journal.clock import format_utc, parse_utc
from hilum.journal.journal import Journal
from tests.journal.conftest import CHAIN_KEY, START, FakeClock, make_event


def test_a_record_holds_the_fields_of_the_report(journal: Journal):
    assert journal.append(make_event(123)) == 1
    (record,) = journal.read()
    assert record.timestamp == datetime(2026, 1, 16, 2, 44, 40, tzinfo=UTC)
    assert record.request_id == "request-123"
    assert record.endpoint == "/predict"
    assert record.user_id == "clinician_123"
    assert record.ip_address == "192.168.1.x"
    assert record.prediction == "Pneumonia"
    assert record.confidence == 0.92
    assert record.inference_time_ms == 45
    assert record.model_version == "v1.0.0"
    assert record.facts == {"mean": 101.5, "width": 512, "is_dicom": True, "site": None}
    assert (record.seq, record.is_anonymised, len(record.hash)) == (1, False, 64)


def test_numbers_rise_without_gaps_over_threads(journal: Journal):
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda number: journal.append(make_event(number)), range(100)))
    assert sorted(numbers) == list(range(1, 101))
    found = {record.request_id: record.seq for record in journal.read(limit=100)}
    assert found == {f"request-{index}": seq for index, seq in enumerate(numbers)}


def test_records_are_read_by_page_request_and_kind(journal: Journal):
    for number in range(5):
        journal.append(make_event(number, kind="explain" if number % 2 else "predict"))
    assert [record.seq for record in journal.read(after=2, limit=2)] == [3, 4]
    assert [record.seq for record in journal.read(request_id="request-3")] == [4]
    assert [record.seq for record in journal.read(kinds=["explain"])] == [2, 4]
    assert journal.read(after=5) == []
    assert [record.seq for record in journal.read(before=4, limit=2)] == [3, 2]
    assert [record.seq for record in journal.read(after=1, before=2**63 - 1)] == [5, 4, 3, 2]
    assert [record.seq for record in journal.read(before=5, kinds=["explain"])] == [4, 2]
    assert journal.read(before=1) == []


@pytest.mark.parametrize(
    "changes", [{"confidence": 1}, {"confidence": -0.0}, {"confidence": 1e-300}, {"facts": {"é": "ü"}}]
)
def test_numbers_and_letters_come_back_so_that_the_chain_holds(journal: Journal, changes: dict[str, object]):
    journal.append(make_event(**changes))
    assert journal.verify().ok


def test_a_clock_that_goes_back_does_not_disturb_the_order(journal: Journal, clock: FakeClock):
    for days in (0, 3653, -7000, 40):
        clock.advance(days=days)
        journal.append(make_event())
    assert [record.seq for record in journal.read()] == [1, 2, 3, 4]
    assert journal.verify().ok


def test_an_empty_journal_is_whole(journal: Journal):
    verdict = journal.verify()
    assert (verdict.ok, verdict.records) == (True, 0)


def test_a_closed_journal_refuses(journal: Journal):
    journal.append(make_event())
    journal.close()
    with pytest.raises(JournalUnavailable, match="it is closed"):
        journal.append(make_event())


def test_closing_twice_or_unused_is_fine(url: str):
    journal = Journal.open(url, chain_key=CHAIN_KEY)
    journal.close()
    journal.close()


def test_a_short_chain_key_is_refused(url: str):
    with pytest.raises(ConfigError, match="the chain key has 5 bytes; give 32 or more"):
        Journal.open(url, chain_key=b"short")


def test_checkpoints_can_be_a_folder(url: str, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    journal = Journal.open(url, chain_key=CHAIN_KEY, checkpoints=tmp_path / "elsewhere")
    journal.append(make_event())
    journal.close()
    assert (tmp_path / "elsewhere" / "journal.checkpoints").stat().st_size > 0


def test_another_chain_key_adds_nothing_to_a_journal(url: str):
    journal = Journal.open(url, chain_key=CHAIN_KEY)
    journal.append(make_event())
    journal.close()
    other = Journal.open(url, chain_key=b"another key, also of 32 bytes!!!")
    with pytest.raises(JournalUnavailable, match="signed with another key; restore the chain key"):
        other.append(make_event())
    other.close()
    again = Journal.open(url, chain_key=CHAIN_KEY)
    assert again.append(make_event()) == 2
    assert again.verify().ok
    again.close()


def test_a_journal_whose_checkpoints_vanished_says_so_in_itself(url: str, tmp_path: Path):
    for _ in range(2):
        journal = Journal.open(url, chain_key=CHAIN_KEY)
        journal.append(make_event())
        journal.close()
        (tmp_path / "journal.db.checkpoints").unlink()
    journal = Journal.open(url, chain_key=CHAIN_KEY)
    assert [(record.kind, record.code) for record in journal.read()][1:2] == [
        ("admin", "checkpoints-missing")
    ]
    journal.close()


def test_the_head_is_signed_after_so_many_records(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer, "JOURNAL_CHECKPOINT_RECORDS", 10)
    for number in range(25):
        journal.append(make_event(number))
    time.sleep(0.1)
    assert [point.seq for point in journal.checkpoints.read()] == [0, 10, 20]


def test_the_head_is_signed_after_a_while_without_further_records(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer, "JOURNAL_CHECKPOINT_SECONDS", 0.2)
    monkeypatch.setattr(writer, "_RETRY_S", 0.05)
    journal.append(make_event())
    deadline = time.monotonic() + 5
    while [point.seq for point in journal.checkpoints.read()] != [0, 1]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_too_many_waiting_appends_are_refused_at_once(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer, "JOURNAL_MAX_WAITING", 0)
    with pytest.raises(JournalUnavailable, match="0 records wait already"):
        journal.append(make_event())


def test_our_own_mistake_reaches_the_caller_and_the_writer_lives_on(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(writer, "make_link", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            journal.append(make_event())
    assert journal.append(make_event()) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_died_is_replaced(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    journal.append(make_event())

    def die(_: writer.Writer) -> None:
        raise MemoryError

    monkeypatch.setattr(writer.Writer, "_collect", die)
    journal.append(make_event())  # by the turn that waited already; the next one dies
    monkeypatch.undo()
    deadline = time.monotonic() + 5
    while journal._writer._is_at_work() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert journal.append(make_event()) == 3


def test_reading_an_altered_record_says_what_to_do(journal: Journal):
    journal.append(make_event())
    with journal.storage.write() as connection:
        connection.exec_driver_sql("UPDATE journal SET timestamp = 'yesterday'")
    with pytest.raises(JournalUnavailable, match="record 1 is altered; run hilum audit-log verify"):
        journal.read()


def test_moments_are_written_in_utc_and_sort_as_texts():
    east = START.astimezone(tz=None)
    assert format_utc(east) == "2026-01-16T02:44:40.000000Z"
    assert parse_utc(format_utc(START)) == START
    assert (
        format_utc(START)
        < format_utc(START + timedelta(microseconds=1))
        < format_utc(START + timedelta(days=365))
    )
    with pytest.raises(ValueError, match="without a time zone"):
        format_utc(datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_journal_imports_neither_torch_nor_the_web():
    code = (
        "import sys, hilum.journal.journal, hilum.journal.keys, hilum.journal.vault, hilum.journal.retention;"
        "print(sorted({'torch', 'fastapi', 'alembic', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
