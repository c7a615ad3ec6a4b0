"""Groups P and Q: without a disk or a database nothing is answered that is not recorded, and both come back.

Who asks is told within two seconds; what was answered is in the journal afterwards, whatever was done to it.
Files of mode 000 are not tried: these trials run as root, who reads them.
"""

import contextlib
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hilum.domain.errors import HilumError
from hilum.journal.journal import Journal
from tests.harness.films import real_png
from tests.harness.keys import KEY, issue_keys
from tests.harness.processes import open_files, thread_count, wait_until
from tests.harness.server import Server, run
from tests.journal.conftest import CHAIN_KEY, PostgresServer, make_event
from tests.reliability.conftest import GENEROUS, start, stub_model
from tests.reliability.test_survival import records_of

from .journal import _acknowledge_early
from .results import sabotaged
from .tracing import run_traced
from .trial import Finding, trial

FULL_ROUNDS, STORE_ROUNDS, POSTGRES_ROUNDS = 8, 4, 3
AWAY_S = 3.0
ANSWER_S, RECOVERY_S = 2.0, 5.0
DISK = "8m"
APPENDS = 8
ERRORS = ("ENOSPC", "EIO", "EROFS")
CALLS = {"pwrite64": 14, "fdatasync": 8, "write": 2, "fsync": 2}
MANY = 300
EMPTY_ROUNDS, AT_ONCE = 10, 40


class Asked:
    """What a service answered while its journal was now and then away."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.acknowledged: set[str] = set()
        self.statuses: Counter[str] = Counter()
        self.slowest_s = self.slowest_recovery_s = 0.0
        self.notes: list[str] = []
        self._film = real_png(128)

    def ask(self) -> str:
        """Send a film; return what came."""
        try:
            answer = self.server.predict(self._film, timeout_s=30)
        except OSError as error:
            self.statuses[type(error).__name__] += 1
            return type(error).__name__
        told = f"{answer.status} {answer.code or ''}".strip()
        self.statuses[told] += 1
        self.slowest_s = max(self.slowest_s, answer.elapsed_s)
        if answer.status == 200:
            self.acknowledged.add(answer.headers["x-request-id"])
        return told

    def expect(self, holds: bool, note: str) -> None:
        """Write down what should have been."""
        if not holds and note not in self.notes:
            self.notes.append(note)

    def note_recovery(self) -> None:
        """Ask until it answers and is ready again; write down how long that took."""
        began = time.monotonic()
        wait_until(
            lambda: self.ask() == "200" and self.server.get("/ready").status == 200, timeout_s=20, every_s=0.2
        )
        self.slowest_recovery_s = max(self.slowest_recovery_s, time.monotonic() - began)

    def finish(self) -> tuple[bool, str]:
        """Hold the journal against what was answered."""
        is_whole = self.server.get("/audit/verify", role="auditor").json()["ok"] is True
        recorded = {record["request_id"] for record in records_of(self.server) if record["kind"] == "predict"}
        lost = self.acknowledged - recorded
        others = {
            told: number for told, number in self.statuses.items() if told not in {"200", "503 storage"}
        }
        passed = (
            not lost and not others and not self.notes and is_whole and self.statuses["503 storage"] > 0
            and self.slowest_s <= ANSWER_S and self.slowest_recovery_s <= RECOVERY_S
        )  # fmt: skip
        return passed, (
            f"{len(lost)} of {len(self.acknowledged)} acknowledged lost,"
            f" {self.statuses['503 storage']} refused, others {others or 'none'},"
            f" slowest answer {self.slowest_s:.2f} s, slowest recovery"
            f" {self.slowest_recovery_s:.1f} s, chain {'whole' if is_whole else 'BROKEN'}"
            + "".join(f"; {note}" for note in self.notes)
        )


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a few megabytes of memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until there is no byte left."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass


@trial(
    "P1",
    f"a disk of 8 MB, with the journal and the log on it, filled to the last byte under a service,"
    f" {FULL_ROUNDS} times",
    target="every film answered and recorded or 503 storage, each within 2 s; live 200, ready 503; answers"
    " again 5 s after there is space, without a restart; nothing acknowledged lost",
    sabotage="an answer whose record cannot be written leaves all the same",
)
def full_disk(folder: Path, broken: bool) -> Finding:
    """Fill, ask, make space, ask."""
    with sabotaged("unrecorded-answers", broken=broken), small_disk(folder / "disk") as disk:
        server = start(disk / "data", environment=GENEROUS)
        try:
            asked = Asked(server)
            for _ in range(FULL_ROUNDS if not broken else 2):
                for _ in range(5):
                    asked.ask()
                fill(disk / "filler")
                # the log of the database has room for some more records
                asked.expect(
                    any(asked.ask() == "503 storage" for _ in range(MANY)), "a full disk was not noticed"
                )
                asked.expect(server.get("/health/live").status == 200, "live was not 200")
                is_unready = wait_until(lambda: server.get("/ready").status == 503, timeout_s=1.5)
                asked.expect(is_unready, "ready was not 503")
                for _ in range(3):
                    asked.ask()
                (disk / "filler").unlink()
                asked.note_recovery()
            passed, told = asked.finish()
        finally:
            server.end()
    return Finding(FULL_ROUNDS, passed, told)


@trial(
    "P2",
    f"{', '.join(ERRORS)} from the n-th {', '.join(CALLS)} of a process that appends, once and from then on",
    target="nothing acknowledged lost, the chain verifies; after a single error appends succeed again",
    sabotage="records are acknowledged before they are written",
)
def failing_calls(folder: Path, broken: bool) -> Finding:
    """Let a system call of the writer fail, at every place."""
    if broken:
        _acknowledge_early()
    hit = lost = bad = stuck = acknowledged = 0
    first = ""
    for error in ERRORS if not broken else ERRORS[:1]:
        for call, most in CALLS.items():
            for number in range(1, most + 1) if not broken else (1, 2):
                for lasting in ("", "+"):
                    name = f"{call}-{error}-{number}{lasting}"
                    url = f"sqlite:///{folder}/{name}.db"
                    Journal.open(url, chain_key=CHAIN_KEY).close()
                    inject = f"{call}:error={error}:when={number}{lasting}"
                    ended = run_traced(folder, inject, lambda say, url=url: _append_some(url, say))
                    said = ended.said
                    hit += ended.was_hit
                    told = [int(word) for word in said if word != "refused"]
                    acknowledged += len(told)
                    stuck += not lasting and said[-1:] in ([], ["refused"])
                    before = lost, bad
                    try:
                        journal = Journal.open(url, chain_key=CHAIN_KEY, must_exist=True)
                        found = {record.seq for record in journal.read(limit=1_000)}
                        bad += not journal.verify().ok
                        journal.close()
                        lost += len(set(told) - found)
                    except HilumError:
                        bad += 1
                    if (lost, bad) != before:
                        first = first or f"; first at {name}"
    return Finding(
        hit,
        lost == bad == stuck == 0 and hit > 0 and acknowledged > 0,
        f"{hit} errors given: {lost} of {acknowledged} acknowledged records lost, {bad} journals that do not"
        f" verify, {stuck} that refused for ever after one error{first}",
    )


def _append_some(url: str, say: Callable[[str], None]) -> None:
    try:
        journal = Journal.open(url, chain_key=CHAIN_KEY)
    except HilumError:  # it did not start: somebody starts it again
        journal = Journal.open(url, chain_key=CHAIN_KEY)
    for number in range(APPENDS):
        try:
            say(str(journal.append(make_event(number))))
        except HilumError:
            say("refused")


@trial(
    "P3",
    f"a service that may open no file and take no connection, {EMPTY_ROUNDS} times: {AT_ONCE} connections at"
    " once and films meanwhile",
    target="each connection answered or closed within 2 s, no answer 5xx but 503 storage; the service lives"
    " and answers again 5 s after it may; nothing acknowledged lost",
    sabotage="it may never again",
)
def without_descriptors(folder: Path, broken: bool) -> Finding:
    """Take the limit down to what is open, ask, put it up again, ask."""
    server = start(folder / "data", environment=GENEROUS)
    closed = answered = left_open = 0
    try:
        asked = Asked(server)
        soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        for number in range(EMPTY_ROUNDS if not broken else 1):
            asked.ask()
            highest = max(int(name) for name in os.listdir(f"/proc/{server.pid}/fd"))
            free = number % 3  # none, one or two
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (highest + 1 + free, hard))
            lines = [socket.create_connection(server.address, timeout=2) for _ in range(AT_ONCE)]
            for line in lines:
                with contextlib.suppress(OSError):
                    line.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            for line in lines:
                try:
                    said = line.recv(64)
                    answered, closed = answered + (b" 200 " in said), closed + (not said)
                except TimeoutError:
                    left_open += 1
                except OSError:
                    closed += 1
            for _ in range(5):
                asked.ask()
            for line in lines:
                line.close()
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft if not broken else 3, hard))
            asked.note_recovery()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
        asked.expect(server.is_running, "it ended")
        recorded = {record["request_id"] for record in records_of(server) if record["kind"] == "predict"}
    finally:
        server.end()
    lost = len(asked.acknowledged - recorded)
    failed = sum(count for told, count in asked.statuses.items() if told[0] == "5" and told != "503 storage")
    return Finding(
        answered + closed + left_open,
        left_open == lost == failed == 0 and not asked.notes and asked.slowest_recovery_s <= RECOVERY_S,
        f"{answered} answered, {closed} closed, {left_open} left open; films: {dict(asked.statuses)}; {lost}"
        f" of {len(asked.acknowledged)} acknowledged lost; answers again after"
        f" {asked.slowest_recovery_s:.1f} s" + "".join(f"; {note}" for note in asked.notes),
    )


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    locker = sqlite3.connect(database, isolation_level=None, timeout=5)
    locker.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        locker.execute("ROLLBACK")
        locker.close()


@contextmanager
def _removed(database: Path) -> Iterator[None]:
    away = database.with_suffix(".away")
    database.rename(away)
    try:
        yield
    finally:
        away.rename(database)


@contextmanager
def _a_folder(database: Path) -> Iterator[None]:
    with _removed(database):
        database.mkdir()
        try:
            yield
        finally:
            database.rmdir()


@contextmanager
def _ruined(database: Path) -> Iterator[None]:
    junk = b"x" * 100
    with database.open("r+b", buffering=0) as file:
        header = file.read(len(junk))
        file.seek(0)
        file.write(junk)
        yield
        file.seek(0)
        if file.read(len(junk)) == junk:  # unless the service wrote a good one meanwhile
            file.seek(0)
            file.write(header)


@contextmanager
def _without_log(database: Path) -> Iterator[None]:
    Path(f"{database}-wal").unlink(missing_ok=True)
    yield


HARMS: dict[str, Callable[[Path], contextlib.AbstractContextManager[None]]] = {
    "locked": _locked,
    "removed": _removed,
    "a folder": _a_folder,
    "header ruined": _ruined,
    "log deleted": _without_log,
}


@trial(
    "Q1",
    f"the journal's file, {STORE_ROUNDS} times each for {AWAY_S:.0f} s under a service: {', '.join(HARMS)}",
    target="every film answered and recorded or 503 storage, each within 2 s; answers again after 5 s;"
    " nothing acknowledged lost, no thread and no file kept open",
    sabotage="an answer whose record cannot be written leaves all the same",
)
def harmed_file(folder: Path, broken: bool) -> Finding:
    """Harm the file while films come."""
    with sabotaged("unrecorded-answers", broken=broken):
        server = start(folder / "data", environment=GENEROUS)
        try:
            asked = Asked(server)
            for _ in range(20):
                asked.ask()
            before = thread_count(server.pid), len(open_files(server.pid))
            count = 0
            for _ in range(STORE_ROUNDS if not broken else 1):
                for harm in HARMS.values():
                    with harm(server.data / "journal.sqlite"):
                        end = time.monotonic() + AWAY_S
                        while time.monotonic() < end:
                            asked.ask()
                            time.sleep(0.05)
                    asked.note_recovery()
                    count += 1

            def is_as_before() -> bool:
                threads, files = thread_count(server.pid), len(open_files(server.pid))
                return (
                    threads <= before[0] + 32 and files <= before[1] + 4
                )  # the pool for records may fill up

            asked.expect(wait_until(is_as_before, timeout_s=5), "threads or files were kept")
            passed, told = asked.finish()
        finally:
            server.end()
    return Finding(count, passed, told)


@contextmanager
def _stopped(postgres: PostgresServer) -> Iterator[None]:
    postgres.stop()
    yield
    postgres.start()


@contextmanager
def _killed(postgres: PostgresServer) -> Iterator[None]:
    postgres.signal(signal.SIGKILL)
    postgres.server.wait(10)
    yield
    (postgres.base / "data" / "postmaster.pid").unlink(missing_ok=True)
    postgres.start()


@contextmanager
def _standing(postgres: PostgresServer) -> Iterator[None]:
    postgres.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        postgres.signal(signal.SIGCONT)


@trial(
    "Q2",
    f"a journal in PostgreSQL that is stopped, killed or stands still, {POSTGRES_ROUNDS} times each for"
    f" {AWAY_S:.0f} s",
    target="every film answered and recorded or 503 storage, each within 2 s; answers again after 5 s;"
    " nothing acknowledged lost",
    sabotage="an answer whose record cannot be written leaves all the same",
)
def postgres_away(folder: Path, broken: bool) -> Finding:
    """Take the database away while films come."""
    postgres = PostgresServer()
    postgres.start()
    with sabotaged("unrecorded-answers", broken=broken):
        own = {"HILUM_JOURNAL_URL": postgres.url, "HILUM_CHECKPOINTS": str(folder / "checkpoints")}
        server = Server(folder / "data", ["--model", str(stub_model())], GENEROUS | own)
        try:
            words = ("keys", "create", "--data", str(server.data), "--role", "admin", "--label", "first")
            server.data.mkdir(parents=True)
            made = KEY.search(run(*words, **own).stdout)
            assert made is not None
            server.keys["admin"] = made[0]
            server.start()
            issue_keys(server)
            asked = Asked(server)
            count = 0
            for _ in range(POSTGRES_ROUNDS if not broken else 1):
                for harm in (_stopped, _killed, _standing):
                    for _ in range(3):
                        asked.ask()
                    with harm(postgres):
                        end = time.monotonic() + AWAY_S
                        while time.monotonic() < end:
                            asked.ask()
                            time.sleep(0.05)
                    asked.note_recovery()
                    count += 1
            passed, told = asked.finish()
        finally:
            server.end()
            postgres.signal(signal.SIGKILL)
            postgres.server.wait(10)
            postgres.remove()
    return Finding(count, passed, told)
