"""The same journal on a real PostgreSQL server, started here and ended by its id."""

import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from hilum.domain.errors import ConfigError, JournalUnavailable
from hilum.journal.journal import Journal
from hilum.journal.keys import KeyStore
from hilum.journal.retention import run_retention
from hilum.journal.storage import Storage
from hilum.journal.switches import Switches
from tests.journal.conftest import CHAIN_KEY, PEPPER, START, FakeClock, PostgresServer, make_event
from tests.journal.test_crash import kill_after, start_appender


@pytest.fixture
def on_postgres(postgres_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Journal]:
    storage = Storage.open(postgres_url)
    with storage.write() as connection:
        for table in ("journal", "purged_segments", "api_keys", "feedback", "switches"):
            connection.execute(text(f"DELETE FROM {table}"))
    storage.close()
    journal = Journal.open(
        postgres_url, chain_key=CHAIN_KEY, checkpoints=tmp_path / "checkpoints", clock=clock
    )
    yield journal
    journal.close()


def test_records_come_back_as_they_went_in_and_the_chain_verifies(on_postgres: Journal):
    threads = [
        threading.Thread(target=on_postgres.append, args=(make_event(number),)) for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = on_postgres.read()
    assert [record.seq for record in records] == list(range(1, 13))
    assert {record.request_id for record in records} == {f"request-{number}" for number in range(12)}
    assert records[0].facts == make_event().facts
    assert (records[0].timestamp, records[0].confidence) == (START, 0.92)
    verdict = on_postgres.verify()
    assert (verdict.ok, verdict.records) == (True, 12), verdict.reason


def test_an_edit_and_a_cut_tail_are_found(on_postgres: Journal, postgres_url: str, tmp_path: Path):
    for number in range(6):
        on_postgres.append(make_event(number))
    on_postgres.close()
    again = Journal.open(postgres_url, chain_key=CHAIN_KEY, checkpoints=tmp_path / "checkpoints")
    with again.storage.write() as connection:
        connection.execute(text("DELETE FROM journal WHERE seq > 4"))
    assert again.verify().first_bad == 5
    with again.storage.write() as connection:
        connection.execute(text("UPDATE journal SET confidence = 0.5 WHERE seq = 3"))
    assert again.verify().first_bad == 3
    again.close()


def test_two_processes_and_a_kill_make_one_chain(on_postgres: Journal, postgres_url: str, tmp_path: Path):
    names = ("one", "other")
    processes = [start_appender(postgres_url, name, checkpoints=tmp_path / "checkpoints") for name in names]
    acknowledged: dict[str, int] = {}
    for process in processes:
        acknowledged |= kill_after(process, 20)
    records = on_postgres.read(limit=1_000_000)
    found = {record.request_id: record.seq for record in records}
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert {request_id: found.get(request_id) for request_id in acknowledged} == acknowledged
    verdict = on_postgres.verify()
    assert verdict.ok, verdict.reason


def test_retention_keys_and_switches_work_there_too(on_postgres: Journal, clock: FakeClock):
    for number in range(10):
        on_postgres.append(make_event(number))
        clock.advance(days=1)
    assert run_retention(on_postgres, START + timedelta(days=91)).anonymised == 2
    assert run_retention(on_postgres, START + timedelta(days=365), confirmed=True).purged == 1
    verdict = on_postgres.verify()
    assert verdict.ok, verdict.reason
    keys = KeyStore(on_postgres.storage, pepper=PEPPER, clock=clock)
    key, plaintext = keys.create("lab", "auditor", clock.now + timedelta(days=1))
    assert keys.check(plaintext).key == key
    switches = Switches(on_postgres.storage, clock=clock)
    switches.engage(by=key.id, reason_code="breach")
    assert switches.state().is_on


def test_a_writer_that_holds_the_lock_makes_others_refuse_in_time(on_postgres: Journal):
    with on_postgres.storage.write():
        started = time.monotonic()
        with pytest.raises(JournalUnavailable):
            on_postgres.append(make_event())
        assert time.monotonic() - started < 2.5
    assert on_postgres.append(make_event()) == 1


def test_without_a_checkpoints_file_it_is_refused(on_postgres: Journal, postgres_url: str):
    with pytest.raises(ConfigError, match="name a checkpoints file"):
        Journal.open(postgres_url, chain_key=CHAIN_KEY)


def test_a_server_that_stands_still_is_refused_in_time_and_recovers(
    on_postgres: Journal, postgres: PostgresServer, clock: FakeClock
):
    keys = KeyStore(on_postgres.storage, pepper=PEPPER, clock=clock)
    _, plaintext = keys.create("lab", "auditor", clock.now + timedelta(days=1))
    on_postgres.append(make_event(1))
    postgres.signal(signal.SIGSTOP)
    try:
        for ask in (lambda: on_postgres.append(make_event(2)), lambda: keys.check(plaintext)):
            started = time.monotonic()
            with pytest.raises(JournalUnavailable):
                ask()
            assert time.monotonic() - started < 3
    finally:
        postgres.signal(signal.SIGCONT)
    deadline = time.monotonic() + 5
    while True:
        try:
            on_postgres.append(make_event(3))
            break
        except JournalUnavailable:
            assert time.monotonic() < deadline
    assert keys.check(plaintext).refusal is None
    assert on_postgres.verify().ok


def test_a_killed_server_loses_nothing_acknowledged(on_postgres: Journal, postgres: PostgresServer):
    acknowledged = [on_postgres.append(make_event(number)) for number in range(5)]
    postgres.signal(signal.SIGKILL)
    postgres.server.wait(10)
    started = time.monotonic()
    with pytest.raises(JournalUnavailable):
        on_postgres.append(make_event())
    assert time.monotonic() - started < 2.5
    (postgres.base / "data" / "postmaster.pid").unlink()
    postgres.start()
    assert on_postgres.append(make_event()) == 6
    assert [record.seq for record in on_postgres.read()] == [*acknowledged, 6]
    assert on_postgres.verify().ok


def test_a_restart_between_two_requests_goes_unnoticed(on_postgres: Journal, postgres: PostgresServer):
    on_postgres.append(make_event())
    on_postgres.read()
    postgres.stop()
    postgres.start()
    assert len(on_postgres.read()) == 1
    assert on_postgres.append(make_event()) == 2
