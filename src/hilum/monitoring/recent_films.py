"""Which films were asked about lately, so that one sent again and again is told. Digests alone, in memory."""

import threading
from collections import OrderedDict

from hilum.domain.thresholds import REPEAT_MEMORY_FILMS, REPEATS_ALLOWED


class RecentFilms:
    """Counts of the last films of one worker; thread-safe."""

    def __init__(self, memory: int = REPEAT_MEMORY_FILMS) -> None:
        self._memory = memory
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, digest: str) -> bool:
        """Count a film; return whether it was asked about more often than is usual."""
        with self._lock:
            times = self._seen.pop(digest, 0) + 1
            self._seen[digest] = times
            if len(self._seen) > self._memory:
                self._seen.popitem(last=False)
        return times > REPEATS_ALLOWED
