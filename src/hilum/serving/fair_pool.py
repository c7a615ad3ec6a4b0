"""Threads that work for several callers, and next for the one who has the least in work, in turn.

A plain pool takes work in the order in which it came, so that one film of a clinician waits behind all those
that an archive has sent at once.
"""

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
                if not self._at_work[caller]:
                    del self._at_work[caller]

    def _take(self) -> tuple[str, _Job]:
        """Take from the caller with the least at work, of several from who waits longest since the last turn.

        Whoever begins to wait goes behind all who wait already: nobody is overtaken for ever by newcomers.
        """
        with self._lock:
            caller = min(self._waiting, key=lambda one: self._at_work[one])  # of equals the first in line
            jobs = self._waiting[caller]
            job = jobs.popleft()
            if jobs:
                self._waiting.move_to_end(caller)
            else:
                del self._waiting[caller]
            self._at_work[caller] += 1
            return caller, job


def _run(future: "Future[Any]", work: Callable[[], Any]) -> None:
    try:
        result = work()
    except BaseException as error:  # it is the caller's, who waits for it
        future.set_exception(error)
    else:
        future.set_result(result)
