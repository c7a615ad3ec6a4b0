"""Group O: the wall clock of a running service is moved; nothing fails, and the journal keeps its order.

libfaketime moves the wall clock alone: it reads the offset from a file while the service runs. Under it
`time.sleep` of Python 3.11 raises EINVAL, so the service sleeps by select here (variant `faked-clock`).
"""

import glob
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.harness.films import real_png
from tests.harness.server import Server, run
from tests.reliability.test_survival import records_of

from .sabotaged import sabotaged
from .service import serving
from .trial import Finding, trial

_LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"
MOVES = ("+0", "+3600", "-3600", "+315360000", "-315360000", "@2038-01-19 03:14:00", "+0",
         *(f"-{seconds}" for seconds in range(1, 21)), "+0")  # fmt: skip
FILMS_EACH, BACK_AFTER_S = 4, 0.2


@trial(
    "O1",
    f"the wall clock of a running service moved {len(MOVES)} times: by 1 h and 10 years each"
    " way, to 2038, back in"
    " steps of 1 s, while it answers films and the other routes",
    target="0 answers 5xx, the journal's numbers rise by one, the journal verifies",
    sabotage="a span of time is taken from the wall clock",
    alone=True,
)
def move_the_clock(folder: Path, broken: bool) -> Finding:
    """Move, ask, move."""
    library = next(iter(glob.glob(_LIBRARIES)), None)
    if library is None:
        return Finding(0, False, "libfaketime is not installed: run scripts/debian-packages")
    offset = folder / "offset"
    offset.write_text("+0\n")
    environment = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "HILUM_VARIANT": "faked-clock",
    }
    failed: list[str] = []
    asked, seen = 0, set()
    with (
        sabotaged("by-the-wall" if broken else None),
        serving(folder, environment=environment) as server,
    ):
        _lengthen_keys(server)
        for move in MOVES:
            offset.write_text(f"{move}\n")
            time.sleep(BACK_AFTER_S)
            for _ in range(FILMS_EACH):
                answer = server.predict(real_png(128))
                asked += 1
                if answer.status >= 500:
                    failed.append(f"{move}: {answer.status} {answer.code}")
            for path in ("/health", "/health/ready", "/model/info", "/audit?limit=1"):
                status = server.get(path, role="admin").status
                asked += 1
                if status >= 500:
                    failed.append(f"{move}: {status} to {path}")
            with closing(sqlite3.connect(server.data / "journal.sqlite")) as file:
                newest = file.execute("SELECT timestamp FROM journal ORDER BY seq DESC LIMIT 1").fetchone()[0]
            seen.add(str(newest)[:4])
        offset.write_text("+0\n")
        time.sleep(BACK_AFTER_S)
        numbers = [one["seq"] for one in records_of(server)]
        good = sum(1 for one in records_of(server) if one["kind"] == "predict" and one["status"] == 200)
        is_whole = server.get("/audit/verify", role="auditor").json()["ok"]
        server.kill()  # under libfaketime its exit may hang: what is judged here are answers and records
        checked = run("audit-log", "verify", "--data", str(server.data)).returncode == 0
    is_rising = numbers == list(range(1, len(numbers) + 1))
    return Finding(
        asked,
        not failed and is_rising and is_whole and checked and len(seen) >= 4,
        f"{len(failed)} of {asked} answers 5xx{': ' + failed[0] if failed else ''}, {good} films"
        " answered; years"
        f" that the journal saw: {', '.join(sorted(seen))}; its numbers"
        f" {'rise' if is_rising else 'DO NOT RISE'},"
        f" it is {'whole' if is_whole and checked else 'BROKEN'}",
    )


def _lengthen_keys(server: Server) -> None:
    """Let keys of the test outlast 2038: their end follows the wall clock, as it should."""
    with closing(sqlite3.connect(server.data / "journal.sqlite")) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
            if "expires_at" in columns:
                file.execute(f"UPDATE {table} SET expires_at = '2099-01-01T00:00:00.000000Z'")  # noqa: S608
        file.commit()
