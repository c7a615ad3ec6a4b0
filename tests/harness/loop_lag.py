"""How late the event loop of a service under test gets to what is due: HILUM_LOOP_LAG=FILE.

A task in the loop sleeps for a hundredth of a second, again and again; by how much it wakes too late is the
lag that anything in the loop would have had. A thread writes the lags to the file, one a line: seconds of the
monotonic clock, and seconds late.
"""

import asyncio
import threading
import time
from collections import deque
from pathlib import Path
from types import ModuleType
from typing import Any

from .import_hook import patch_after_import
from .switch import replaced

LOOP_LAG = "HILUM_LOOP_LAG"
EVERY_S, WRITE_S = 0.01, 0.25


async def _watch(noted: "deque[tuple[float, float]]") -> None:
    while True:
        due = time.monotonic() + EVERY_S
        await asyncio.sleep(EVERY_S)
        now = time.monotonic()
        noted.append((now, now - due))


def _write(noted: "deque[tuple[float, float]]", path: Path) -> None:
    with path.open("a", buffering=1) as file:
        while True:
            time.sleep(WRITE_S)
            while noted:
                at, late = noted.popleft()
                file.write(f"{at:.6f} {late:.6f}\n")


def install(path: str) -> None:
    """Begin at the server's first tick."""
    noted: deque[tuple[float, float]] = deque()
    kept: list[Any] = []

    def make(on_tick: Any) -> Any:
        async def watching(self: Any, counter: int) -> bool:
            if not kept:
                kept.append(asyncio.create_task(_watch(noted)))
                threading.Thread(target=_write, args=(noted, Path(path)), daemon=True).start()
            return bool(await on_tick(self, counter))

        return watching

    def patch(module: ModuleType) -> None:
        replaced("DrainingServer.on_tick", make)(module)

    patch_after_import({"hilum.serving.server": patch})


def read_lags(path: Path, *, since: float, until: float) -> list[float]:
    """Return the lags between two moments of the monotonic clock, seconds, in order of time."""
    pairs = [line.split() for line in path.read_text().splitlines() if line.count(" ") == 1]
    return [float(late) for at, late in pairs if since <= float(at) <= until]
