"""A process that appends until it is killed: python -m tests.journal.appender URL NAME THREADS [CHECKPOINTS].

Writes one line `NAME SEQ` to stdout for each record, after it was acknowledged.
"""

import os
import sys
import threading
from pathlib import Path

from hilum.journal.journal import Journal
from tests.journal.conftest import CHAIN_KEY, make_event


def main() -> None:
    url, name, threads, *rest = sys.argv[1:]
    journal = Journal.open(url, chain_key=CHAIN_KEY, checkpoints=Path(rest[0]) if rest else None)

    stopping = threading.Event()

    def append_for_ever(thread: int) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            seq = journal.append(make_event(request_id=f"{name}-{thread}-{number}"))
            os.write(1, f"{name}-{thread}-{number} {seq}\n".encode())

    running = [threading.Thread(target=append_for_ever, args=(number,)) for number in range(int(threads))]
    for thread in running:
        thread.start()
    sys.stdin.read()  # until the parent closes it
    stopping.set()
    for thread in running:
        thread.join()
    journal.close()


if __name__ == "__main__":
    main()
