"""One writer at a time for a registry; the lock goes with the process, however it ends.

Whoever waits for the lock holds the turn, and takes it before the lock: a writer that ends one change and
begins the next stands behind the one that waits, instead of taking the lock again between two of its looks.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hilum.domain.errors import RunFolderBusy
from hilum.domain.thresholds import REGISTRY_LOCK_WAIT_S

LOCK_FILE = ".lock"
TURN_FILE = ".lock.turn"
_RETRY_S = 0.02


@contextmanager
def hold_lock(root: Path, *, wait_s: float = REGISTRY_LOCK_WAIT_S) -> Iterator[None]:
    """Hold a folder for one writer, between processes and between threads.

    Raises
    ------
    RunFolderBusy
        If another writer keeps it for longer than `wait_s` seconds.
    """
    until = time.monotonic() + wait_s
    with (root / LOCK_FILE).open("a") as lock:
        with (root / TURN_FILE).open("a") as turn:
            for file in (turn, lock):
                _take(file, root, until, wait_s)
        yield


def _take(file: IO[str], root: Path, until: float, wait_s: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise RunFolderBusy(
                    f"{root}: another process has been changing this registry for {wait_s:g} s."
                    " Wait for it to end, then try again."
                ) from error
            time.sleep(_RETRY_S)
