"""So many at once, in the order in which they came.

`threading.Semaphore` wakes who waits and lets whoever asks meanwhile go first: under a load without a pause
one film of thousands waited until the load was over.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Places for threads; one that ends hands its place to who waits longest."""

    def __init__(self, places: int) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a place; waits for one."""
        mine = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                mine.set()
            else:
                self._waiting.append(mine)
        try:
            mine.wait()
            yield
        finally:
            self._hand_over(mine)

    def _hand_over(self, mine: threading.Event) -> None:
        with self._lock:
            if not mine.is_set():  # interrupted while it waited
                self._waiting.remove(mine)
            elif self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
