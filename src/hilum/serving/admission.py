"""How much work is taken at once: films with the engine, and bytes of bodies in memory.

What does not fit is refused before its body is read, at no cost. One caller gets no more than a share of the
places, so that who floods the service leaves room for the others. Counted on the event loop alone, so no lock
is needed.
"""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from hilum.domain.thresholds import (
    MAX_FILMS_IN_WORK,
    MAX_FILMS_OF_ONE_CALLER,
    MAX_UPLOAD_BYTES,
    MAX_UPLOAD_BYTES_OF_ONE_CALLER,
    MAX_UPLOADS,
    MAX_UPLOADS_OF_ONE_CALLER,
)
from hilum.serving.refusals import Unavailable


class Admission:
    """Counts what is in work; raises when there is too much."""

    def __init__(
        self,
        *,
        films: int = MAX_FILMS_IN_WORK,
        films_of_one: int = MAX_FILMS_OF_ONE_CALLER,
        uploads: int = MAX_UPLOADS,
        uploads_of_one: int = MAX_UPLOADS_OF_ONE_CALLER,
        upload_bytes: int = MAX_UPLOAD_BYTES,
        upload_bytes_of_one: int = MAX_UPLOAD_BYTES_OF_ONE_CALLER,
    ) -> None:
        self._max_films = films
        self._max_of_one = films_of_one
        self._max_uploads = uploads
        self._max_uploads_of_one = uploads_of_one
        self._max_bytes = upload_bytes
        self._max_bytes_of_one = upload_bytes_of_one
        self.films = 0
        self.uploads = 0
        self.upload_bytes = 0
        self._of: Counter[str] = Counter()
        self._uploads_of: Counter[str] = Counter()
        self._bytes_of: Counter[str] = Counter()

    @contextmanager
    def upload(self, size: int, *, caller: str | None = None) -> Iterator[None]:
        """Hold the place of a body of `size` bytes from before it is read until it is answered.

        Raises
        ------
        Unavailable
            With code `overload`.
        """
        if (
            self.is_full(caller)
            or self.uploads >= self._max_uploads
            or self.upload_bytes + size > self._max_bytes
            or self._holds_its_share(caller, size)
        ):
            raise overloaded()
        self.uploads += 1
        self.upload_bytes += size
        _add(self._uploads_of, caller, 1)
        _add(self._bytes_of, caller, size)
        try:
            yield
        finally:
            self.uploads -= 1
            self.upload_bytes -= size
            _add(self._uploads_of, caller, -1)
            _add(self._bytes_of, caller, -size)

    @contextmanager
    def work(self, films: int = 1, *, caller: str | None = None) -> Iterator[None]:
        """Hold the place of `films` that go to the engine; a batch may go beyond the limit from below.

        Raises
        ------
        Unavailable
            With code `overload`.
        """
        if self.is_full(caller):
            raise overloaded()
        self.films += films
        _add(self._of, caller, films)
        try:
            yield
        finally:
            self.films -= films
            _add(self._of, caller, -films)

    def is_full(self, caller: str | None) -> bool:
        """Return whether there is no place left, or none for this caller."""
        is_greedy = caller is not None and self._of[caller] >= self._max_of_one
        return is_greedy or self.films >= self._max_films

    def _holds_its_share(self, caller: str | None, size: int) -> bool:
        """Return whether this caller's bodies, that may stall, leave it no place for one of `size` bytes."""
        if caller is None:
            return False
        uploads, held = self._uploads_of[caller], self._bytes_of[caller]
        return uploads >= self._max_uploads_of_one or held + size > self._max_bytes_of_one


def _add(counts: Counter[str], caller: str | None, amount: int) -> None:
    """Count for a caller, if there is one; who has nothing left is forgotten."""
    if caller is not None:
        counts[caller] += amount
        if not counts[caller]:
            del counts[caller]


def overloaded() -> Unavailable:
    """Return the refusal; clients are told different waits, or they would all come back at once."""
    return Unavailable("More films wait than may wait.", code="overload", retry_after_s=random.randint(1, 5))
