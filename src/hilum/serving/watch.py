"""A thread that looks after things again and again: alias, lockdown, a failed journal, signals."""

import logging
import threading
from collections.abc import Callable, Sequence

from hilum.serving.logs import fields, where_it_broke

_log = logging.getLogger(__name__)


class Watch:
    """Calls each of some functions again and again; one that fails is tried again at the next turn."""

    def __init__(self, tasks: Sequence[Callable[[], None]], *, every_s: float) -> None:
        self._tasks = tuple(tasks)
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin; the first turn comes after one period."""
        self._thread.start()

    def stop(self) -> None:
        """End after the turn under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            for task in self._tasks:
                try:
                    task()
                except Exception as error:  # the watch must go on, whatever one look ran into
                    _log.error("a look failed", extra=fields(error=where_it_broke(error)))
