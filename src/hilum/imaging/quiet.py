"""Keep the decoders' warnings away from the user while a file is decoded.

A damaged or sloppy header makes Pillow and pydicom warn, and the decoders log it too, quoting header values,
which may be patient data. `warnings.catch_warnings` swaps process-wide state, so two threads that overlap
can leave the filters of one behind for ever; here the first reader in swaps, the last one out restores.
"""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_SILENT = logging.CRITICAL + 1
_DECODERS = ("pydicom", "pylibjpeg", "openjpeg", "jpeg_ls", "PIL")

_lock = threading.Lock()
_restore = ExitStack()
_readers: list[None] = []  # one entry for each caller inside


@contextmanager
def decoder_warnings_ignored() -> Iterator[None]:
    """Ignore warnings and the decoders' logs until the last overlapping caller leaves; then restore both."""
    with _lock:
        if not _readers:
            _restore.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            for log in map(logging.getLogger, _DECODERS):
                # A filter sees no record of child loggers (pydicom.pixels.decoders); they inherit a level.
                _restore.callback(log.setLevel, log.level)
                log.setLevel(_SILENT)
        _readers.append(None)
    try:
        yield
    finally:
        with _lock:
            _readers.pop()
            if not _readers:
                _restore.close()
