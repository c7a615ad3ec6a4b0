"""Appends until stdin ends or it is killed: python -m tests.journal.appender URL NAME THREADS [CHECKPOINTS].

Writes one line `NAME SEQ` to stdout for each record, after it was acknowledged.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from hilum.journal.journal import Journal
from tests.journal.conftest import CHAIN_KEY, make_event


def append_until(
    wait: Callable[[], object], url: str, name: str, *, threads: int, checkpoints: Path | None = None
) -> None:
    """Append from so many threads until `wait` returns or a signal comes."""
    journal = Journal.open(url, chain_key=CHAIN_KEY, checkpoints=checkpoints)

    stopping = threading.Event()

    def append_for_ever(thread: int) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            seq = journal.append(make_event(request_id=f"{name}-{thread}-{number}"))
            os.write(1, f"{name}-{thread}-{number} {seq}\n".encode())

    running = [threading.Thread(target=append_for_ever, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    wait()
    stopping.set()
    for thread in running:
        thread.join()
    journal.close()


if __name__ == "__main__":
    _, _url, _name, _threads, *_rest = sys.argv
    _checkpoints = Path(_rest[0]) if _rest else None
    append_until(sys.stdin.read, _url, _name, threads=int(_threads), checkpoints=_checkpoints)
