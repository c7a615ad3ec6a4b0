"""Threads that work for several callers, and next for the one who has the least in work.

A plain pool takes work in the order in which it came, so that one film of a clinician waits behind all those
that an archive has sent at once.
"""

import itertools
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_Job = tuple["Future[Any]", Callable[[], Any]]


class FairPool:
    """A pool of threads; thread-safe.

    Parameters
    ----------
    threads
        How many.
    name
        Prefix of their names.
    """

    def __init__(self, threads: int, *, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._at_work: Counter[str] = Counter()
        self._turns = itertools.count()
        self._last_turn: dict[str, int] = {}

    def submit(self, work: Callable[[], Any], *, caller: str) -> "Future[Any]":
        """Run `work` in a thread when it is the caller's turn; what was not begun can be cancelled."""
        future: Future[Any] = Future()
        with self._lock:
            self._waiting.setdefault(caller, deque()).append((future, work))
        self._pool.submit(self._run_next)
        return future

    def shutdown(self) -> None:
        """End once everything is done. Blocking."""
        self._pool.shutdown()

    def _run_next(self) -> None:
        caller, (future, work) = self._take()
        try:
            if future.set_running_or_notify_cancel():
                _run(future, work)
        finally:
            with self._lock:
                self._at_work[caller] -= 1
                if not self._at_work[caller] and caller not in self._waiting:
                    del self._at_work[caller]
                    self._last_turn.pop(caller, None)

    def _take(self) -> tuple[str, _Job]:
        """Take from the caller with the least at work, of several from the one whose turn is longest ago."""
        with self._lock:
            caller = min(
                self._waiting, key=lambda one: (self._at_work[one], self._last_turn.get(one, -1))
            )  # of equals the first who came
            jobs = self._waiting[caller]
            job = jobs.popleft()
            if not jobs:
                del self._waiting[caller]
            self._at_work[caller] += 1
            self._last_turn[caller] = next(self._turns)
            return caller, job


def _run(future: "Future[Any]", work: Callable[[], Any]) -> None:
    try:
        result = work()
    except BaseException as error:  # it is the caller's, who waits for it
        future.set_exception(error)
    else:
        future.set_result(result)
