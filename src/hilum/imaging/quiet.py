"""Keep the decoders' warnings away from the user while a file is decoded.

A damaged or sloppy header makes Pillow and pydicom warn, and the decoders log it too, quoting header values,
which may be patient data. `warnings.catch_warnings` swaps process-wide state, so two threads that overlap
can leave the filters of one behind for ever; here the first reader in swaps, the last one out restores.
"""

import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_SILENT = logging.CRITICAL + 1
_DECODERS = ("pydicom", "pylibjpeg", "openjpeg", "jpeg_ls", "PIL")

_STDERR = 2
_PRINTED = (b"Corrupt ", b"Premature ", b"Invalid ", b"Unsupported ", b"Bogus ", b"Warning", b"Error")
"""How the lines begin that libjpeg inside GDCM prints."""

_lock = threading.Lock()
_printing = threading.Lock()
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


@contextmanager
def printed_warnings_dropped() -> Iterator[None]:
    """Drop what a library in C prints of damaged data; what others write meanwhile comes a moment later.

    Around GDCM alone: there is no setting for it, and standard error is the process's.
    """
    with _printing, tempfile.TemporaryFile() as sink:
        own = os.dup(_STDERR)
        os.dup2(sink.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(own, _STDERR)
            sink.seek(0)
            kept = [line for line in sink.read().splitlines(keepends=True) if not line.startswith(_PRINTED)]
            os.write(own, b"".join(kept))
            os.close(own)
