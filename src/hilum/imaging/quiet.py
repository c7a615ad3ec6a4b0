"""Keep third-party decoder warnings away from the user while a file is decoded.

A damaged or sloppy header makes Pillow and pydicom warn, sometimes quoting the header value, which may be
patient data. `warnings.catch_warnings` swaps process-wide state, so two threads that overlap can
leave the filters of one behind for ever; here the first reader in swaps and the last one out restores.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_catchers: list[Any] = []
_inside: list[None] = []  # one entry per caller


@contextmanager
def decoder_warnings_ignored() -> Iterator[None]:
    """Ignore warnings until the last overlapping caller leaves; then restore the filters as they were."""
    with _lock:
        if not _inside:
            catcher = warnings.catch_warnings()
            catcher.__enter__()
            warnings.simplefilter("ignore")
            _catchers.append(catcher)
        _inside.append(None)
    try:
        yield
    finally:
        with _lock:
            _inside.pop()
            if not _inside:
                _catchers.pop().__exit__(None, None, None)
