"""Group N: what is due is forgotten, to the second and out of every file; what is not due stays."""

import os
import random
import shutil
import signal
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hilum.domain.errors import HilumError
from hilum.journal import retention, sqlite_file
from hilum.journal.journal import Journal
from hilum.journal.record import RETENTION, Event
from hilum.journal.retention import run_retention
from tests.harness.canary import files_below, new_token, scan
from tests.journal.conftest import CHAIN_KEY, START, FakeClock, make_event

from .tracing import run_traced
from .trial import Finding, trial

SEED = 14
HISTORIES, STEPS = 200, 25
PLANTED_HISTORIES, PLANTED_RECORDS = 25, 20
CALLS = ("pwrite64", "fdatasync", "ftruncate", "openat", "write", "fsync", "close")
STRIDE = 3
MOST_CALLS = 300
DAY = timedelta(days=1)
EDGE = timedelta(microseconds=1)
KEPT, NAMED = 365 * DAY, 90 * DAY
KILLED_NOW = START + 455 * DAY  # of 20 records a month apart 4 are to be purged, 9 to be anonymised


@trial(
    "N1",
    f"{HISTORIES} generated histories of {STEPS} steps: appends and retention runs at random moments, half of"
    " the runs a microsecond around the moment at which a record is due",
    target="user and records are there exactly as in a model of 90 and 365 days; the chain verifies",
    sabotage="users are forgotten after 91 days",
)
def histories(folder: Path, broken: bool) -> Finding:
    """Append and forget, and hold against a list."""
    if broken:
        retention.JOURNAL_ANONYMISE_DAYS = 91  # type: ignore[attr-defined]
    runs = wrong = at_edge = 0
    first = ""
    for number in range(HISTORIES if not broken else 20):
        dice = random.Random(f"{SEED}-{number}")
        clock = FakeClock(START + timedelta(days=dice.randrange(1_500), seconds=dice.randrange(86_400)))
        path = folder / f"{number}.db"
        journal = Journal.open(f"sqlite:///{path}", chain_key=CHAIN_KEY, clock=clock)
        model: list[tuple[datetime, bool]] = []
        for _ in range(STEPS):
            clock.advance(hours=dice.randrange(24 * 40), microseconds=dice.randrange(1_000_000))
            if dice.random() < 0.7:
                journal.append(make_event())
                model.append((clock.now, False))
                continue
            edges = [
                at + age + dice.choice((-EDGE, 0 * EDGE, EDGE)) for at, _ in model for age in (NAMED, KEPT)
            ]
            to_come = [edge for edge in edges if edge >= clock.now]
            if to_come and dice.random() < 0.5:
                clock.now = min(to_come)
                at_edge += 1
            run_retention(journal, clock.now, confirmed=True)
            runs += 1
            model = [(at, is_old or at <= clock.now - NAMED) for at, is_old in model if at > clock.now - KEPT]
        found = [(one.timestamp, one.user_id is None) for one in journal.read(limit=1_000, kinds=["predict"])]
        if found != model or not journal.verify().ok:
            wrong += 1
            first = first or f"; first: seed {SEED}-{number}"
        journal.close()
        for file in folder.glob(f"{number}.db*"):
            file.unlink()
    return Finding(
        runs,
        wrong == 0,
        f"{wrong} histories differ, in {runs} runs, {at_edge} of them at an edge{first}",
    )


@trial(
    "N2",
    f"SIGKILL of a retention run at every {STRIDE}rd {', '.join(CALLS)}",
    target="the chain verifies after the kill; a rerun ends where an undisturbed run ends",
    sabotage="what was forgotten is recorded in a transaction of its own",
)
def killed_runs(folder: Path, broken: bool) -> Finding:
    """Kill, verify, run again, compare."""
    retention.JOURNAL_RETENTION_BATCH = 2  # type: ignore[attr-defined]
    if broken:
        _record_later()
    clock = FakeClock()
    whole = folder / "whole"
    whole.mkdir()
    journal = Journal.open(f"sqlite:///{whole}/j.db", chain_key=CHAIN_KEY, clock=clock)
    for number in range(20):
        journal.append(make_event(number))
        clock.advance(days=30)
    journal.close()
    kills = bad = 0
    first = ""
    for call in CALLS:
        for number in range(1, MOST_CALLS, STRIDE) if not (broken and bad) else ():
            place = folder / f"{call}{number}"
            shutil.copytree(whole, place)
            inject = f"{call}:signal=SIGKILL:when={number}"
            ended = run_traced(folder, inject, lambda _, place=place: _forget(place))
            if not os.WIFSIGNALED(ended.status):
                break
            assert os.WTERMSIG(ended.status) == signal.SIGKILL
            kills += 1
            if not _ends_well(place):
                bad += 1
                first = first or f"; first at {call} {number}"
            shutil.rmtree(place)
    return Finding(kills, bad == 0 and kills > len(CALLS), f"{bad} of {kills} ended otherwise{first}")


def _forget(place: Path) -> None:
    journal = Journal.open(f"sqlite:///{place}/j.db", chain_key=CHAIN_KEY, clock=FakeClock(KILLED_NOW))
    run_retention(journal, KILLED_NOW, confirmed=True)
    journal.close()


def _ends_well(place: Path) -> bool:
    try:
        journal = Journal.open(f"sqlite:///{place}/j.db", chain_key=CHAIN_KEY, clock=FakeClock(KILLED_NOW))
        if not journal.verify().ok:
            return False
        run_retention(journal, KILLED_NOW, confirmed=True)
        records = journal.read(limit=1_000)
        named = [one.user_id is None for one in records if one.kind == "predict"]
        is_well = (
            journal.verify().ok
            and [one.seq for one in records] == list(range(5, 5 + len(records)))
            and named == [True] * 9 + [False] * 7
            and sum(one.facts.get("purged", 0) for one in records) == 4
            and sum(one.facts.get("anonymised", 0) for one in records) == 9
        )
        journal.close()
        return is_well
    except HilumError:
        return False


def _record_later() -> None:
    waiting: list[dict[str, int]] = []
    retention._record = lambda _, __, facts: waiting.append(facts)  # type: ignore[attr-defined]

    def recorded_after(change: Any) -> Any:
        def changed(journal: Journal, *arguments: Any) -> int:
            count = change(journal, *arguments)
            while waiting:
                journal.append(Event(RETENTION, "-", "journal", None, None, 0, facts=waiting.pop()))
            return count

        return changed

    retention._purge = recorded_after(retention._purge)  # type: ignore[attr-defined]
    retention._anonymise = recorded_after(retention._anonymise)  # type: ignore[attr-defined]


@trial(
    "N3",
    f"{PLANTED_HISTORIES} journals of {PLANTED_RECORDS} records with a planted user and a planted request"
    " each: every byte of every file looked through after users, and after whole records, were forgotten",
    target="no trace of what was forgotten, and traces of everything that was not",
    sabotage="SQLite does not overwrite what is deleted",
)
def planted(folder: Path, broken: bool) -> Finding:
    """Plant, forget, scan while the journal is open."""
    if broken:
        _delete_carelessly()
    count = left = missing = 0
    for number in range(PLANTED_HISTORIES if not broken else 3):
        dice = random.Random(f"{SEED}-{number}")
        clock, place = FakeClock(), folder / str(number)
        place.mkdir()
        journal = Journal.open(f"sqlite:///{place}/j.db", chain_key=CHAIN_KEY, clock=clock)
        records = []
        for each in range(PLANTED_RECORDS):
            clock.advance(days=dice.randrange(1, 40))
            user, request = (new_token(f"{number}-{each}-{what}") for what in ("user", "request"))
            size = dice.randrange(1, 40)
            facts = {f"fact{at}": float(at) for at in range(size)}
            journal.append(make_event(user_id=user, request_id=request, facts=facts))
            records.append((clock.now, user, request))
        for now in (clock.now + 10 * DAY, clock.now + 250 * DAY):
            clock.now = now
            outcome = run_retention(journal, now, confirmed=True)
            gone = {user for at, user, _ in records if at <= now - NAMED}
            gone |= {request for at, _, request in records if at <= now - KEPT}
            tokens = {token for _, *both in records for token in both}
            found = {hit.token for hit in scan(list(files_below(place)), tokens)}
            left += len(found & gone) + (not outcome.is_scrubbed)
            missing += len(tokens - gone - found)
            count += len(gone)
        journal.close()
    return Finding(
        count,
        left == 0 and missing == 0,
        f"{left} traces of {count} forgotten; {missing} that were to be kept are missing",
    )


def _delete_carelessly() -> None:
    real = sqlite_file.SqliteFile.connect

    def careless(self: sqlite_file.SqliteFile) -> sqlite3.Connection:
        connection = real(self)
        connection.execute("PRAGMA secure_delete=OFF")
        return connection

    sqlite_file.SqliteFile.connect = careless  # type: ignore[method-assign]
