"""Group H: the journal loses nothing that it acknowledged, and finds what was done to it."""

import os
import random
import sqlite3
import time
from pathlib import Path

from hilum.domain.errors import HilumError
from hilum.journal import journal as journal_module
from hilum.journal import sqlite_file
from hilum.journal.journal import Journal
from hilum.journal.verify import ChainVerdict
from tests.journal.appender import append_until
from tests.journal.conftest import CHAIN_KEY, make_event

from .disk import cut_power, make_disk, mounted
from .trial import Finding, trial

KILLS, POWER_CUTS, TAMPERINGS = 1_000, 100, 10_000
SEED = 6


@trial(
    "H1",
    "SIGKILL of one of two processes that append with four threads each, at random moments",
    target="0 acknowledged records lost, 0 numbers twice, the chain verifies",
    sabotage="records are acknowledged before they are written",
)
def kill_writers(folder: Path, broken: bool) -> Finding:
    """Two processes write while one of them is killed, again and again."""
    import signal

    if broken:
        _acknowledge_early()
    url = f"sqlite:///{folder}/journal.db"
    Journal.open(url, chain_key=CHAIN_KEY).close()
    moments = random.Random(SEED)
    told: list[str] = []
    kills = KILLS if not broken else 40

    def start(run: int) -> tuple[int, int]:
        hear, say = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(say, 1)
                append_until(signal.pause, url, f"run{run}", threads=4)
            finally:
                os._exit(1)
        os.close(say)
        return child, hear

    waiting = [start(0)]
    for run in range(1, kills + 1):
        child, hear = waiting.pop()
        waiting.append(start(run))
        time.sleep(moments.uniform(0.0, 0.05))
        told += _end(child, hear)
    child, hear = waiting.pop()
    told += _end(child, hear)
    return _hold_against(url, told, kills)


def _end(child: int, hear: int) -> list[str]:
    import signal

    os.kill(child, signal.SIGKILL)
    with os.fdopen(hear) as lines:
        said = lines.read()
    os.waitpid(child, 0)
    return [line for line in said.splitlines(keepends=True) if line.endswith("\n")]


def _hold_against(url: str, told: list[str], kills: int) -> Finding:
    acknowledged = {request_id: int(seq) for request_id, seq in (line.split() for line in told)}
    journal = Journal.open(url, chain_key=CHAIN_KEY)
    records = journal.read(limit=10_000_000)
    verdict = journal.verify()
    journal.close()
    found = {record.request_id: record.seq for record in records}
    lost = sum(1 for request_id, seq in acknowledged.items() if found.get(request_id) != seq)
    twice = len(records) - len({record.seq for record in records})
    is_enough = len(acknowledged) >= kills  # or nothing was tried
    return Finding(
        kills,
        lost == 0 and twice == 0 and verdict.ok and is_enough,
        f"{lost} of {len(acknowledged)} acknowledged records lost, {twice} numbers twice,"
        f" chain {'whole' if verdict.ok else 'BROKEN'}",
    )


def _acknowledge_early() -> None:
    from hilum.journal.writer import Writer

    real = Writer.append

    def early(self: Writer, event: object) -> int:
        import threading

        threading.Timer(0.05, real, (self, event)).start()
        return 1_000_000 + random.randrange(1_000_000)

    Writer.append = early  # type: ignore[method-assign]


@trial(
    "H3",
    "power cut while a process appends, on an ext4 that only fsync writes back",
    target="0 acknowledged records lost, the chain verifies",
    sabotage="SQLite with synchronous=NORMAL",
)
def cut_the_power(folder: Path, broken: bool) -> Finding:
    """Append, kill, and read what the disk holds."""
    if broken:
        _flush_lazily()
    moments = random.Random(SEED)
    lost = acknowledged = unreadable = 0
    rounds = POWER_CUTS if not broken else 10
    for _ in range(rounds):
        image, after = folder / "disk.img", folder / "after.img"
        make_disk(image)
        with mounted(image, folder / "disk") as disk:
            url = f"sqlite:///{disk}/journal.db"
            Journal.open(url, chain_key=CHAIN_KEY).close()
            os.sync()
            pause = moments.uniform(0.05, 0.3)
            lines = cut_power(
                disk,
                image,
                after,
                lambda say, url=url: _append(url, say),
                lambda _, pause=pause: time.sleep(pause),
            )
        with mounted(after, folder / "again") as disk:
            told = {int(line) for line in lines if line.strip()}
            acknowledged += len(told)
            try:
                journal = Journal.open(f"sqlite:///{disk}/journal.db", chain_key=CHAIN_KEY, must_exist=True)
                found = {record.seq for record in journal.read(limit=1_000_000)}
                unreadable += not journal.verify().ok
                journal.close()
            except HilumError:
                found = set()
                unreadable += 1
            lost += len(told - found)
    return Finding(
        rounds,
        lost == 0 and unreadable == 0 and acknowledged >= rounds,
        f"{lost} of {acknowledged} acknowledged records lost, {unreadable} journals that do not verify",
    )


def _append(url: str, say: int) -> None:
    journal = Journal.open(url, chain_key=CHAIN_KEY)
    while True:
        os.write(say, f"{journal.append(make_event())}\n".encode())


def _flush_lazily() -> None:
    real = sqlite_file.SqliteFile.connect

    def lazy(self: sqlite_file.SqliteFile) -> sqlite3.Connection:
        connection = real(self)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    sqlite_file.SqliteFile.connect = lazy  # type: ignore[method-assign]


@trial(
    "H5",
    "random edits of a journal: a changed byte, a row edited, deleted, inserted or swapped, a cut tail,"
    " an older copy, a chain made anew without the key",
    target="every edit that changes what is read is found, at the right record where there is one",
    sabotage="verification always says ok",
)
def tamper(folder: Path, broken: bool) -> Finding:
    """Edit a copy, verify, and compare what is read."""
    if broken:
        journal_module.verify_chain = lambda *_, **__: ChainVerdict(True, 0, None, "fine")
    from .tampering import EDITS, Tampering

    world = Tampering(folder)
    counts = {edit.__name__.strip("_"): [0, 0] for edit in EDITS}
    missed: list[str] = []
    edits = TAMPERINGS if not broken else 200
    for number in range(edits):
        edit = EDITS[number % len(EDITS)]
        outcome = world.try_out(edit, random.Random(f"{SEED}-{number}"))
        tally = counts[edit.__name__.strip("_")]
        tally[0] += 1
        tally[1] += outcome == "found"
        if outcome == "missed":
            missed.append(f"{edit.__name__} seed {SEED}-{number}")
    told = ", ".join(f"{name} {found} of {tried}" for name, (tried, found) in counts.items())
    return Finding(
        edits,
        not missed,
        f"{len(missed)} missed{': ' + missed[0] if missed else ''}; found {told}"
        " (a byte in free space changes nothing that is read)",
    )
