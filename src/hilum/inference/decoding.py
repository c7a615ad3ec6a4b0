"""Films decoded in processes of their own, which may die without harm (`hilum.inference.decode_child`)."""

import fcntl
import json
import os
import queue
import select
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain import errors
from hilum.domain.errors import (
    DecoderFailed,
    DecoderLate,
    InputError,
    UnreadableImage,
    UnsuitableImage,
)
from hilum.domain.thresholds import DECODE_SECONDS, MAX_PIXELS
from hilum.imaging.exposed_field import ExposedField
from hilum.imaging.radiograph import ImageFacts

LENGTH = struct.Struct("<I")  # before each part of what is asked and answered, to and from the child

_START_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20
_PIPE_BYTES = 1 << 20  # the most that Linux gives to anybody: few turns between the processes for one film
_MAX_HEAD_BYTES = 1 << 16
_REFUSALS: dict[str, type[InputError]] = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, UnreadableImage | UnsuitableImage)
}
_QUIET_NUMERICS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFilm:
    """A film for the network: `pixels` uint8 (side, side) of its exposed `field`, `sha256` of its bytes.

    `picture` is the whole film in the same form, `display_png` as a viewer first shows it, 8-bit grey; None
    unless asked for.
    """

    pixels: NDArray[np.uint8]
    field: ExposedField
    facts: ImageFacts
    sha256: str
    picture: NDArray[np.uint8]
    display_png: bytes | None


class DecodePool:
    """Decoding processes, one for each film at a time.

    Parameters
    ----------
    side_px
        Side of the network's films.
    workers
        Number of processes.
    formats
        Formats that are decoded ("PNG", "JPEG", "DICOM", ...); None for all that hilum reads.
    seconds
        Time for one film.
    """

    def __init__(
        self,
        *,
        side_px: int,
        workers: int,
        formats: tuple[str, ...] | None = None,
        seconds: float = DECODE_SECONDS,
    ) -> None:
        self._side_px, self._seconds = side_px, seconds
        self._requests = {
            display: json.dumps(
                {"side_px": side_px, "display": display, "formats": formats}, allow_nan=False
            ).encode()
            for display in (False, True)
        }
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._closed = False
        self.deaths = 0
        """Processes that died or were ended over a film since the start."""
        for child in [_Child() for _ in range(workers)]:
            self._children.add(child)
            self._idle.put(child)

    def decode(self, data: bytes, *, display: bool = False) -> DecodedFilm:
        """Decode one film.

        Raises
        ------
        InputError
            As `hilum.data.pixel_cache.decode_film`, and `UnsupportedFormat` for a format not among those
            allowed.
        DecoderFailed
            If the process died twice, or took longer than it may (`DecoderLate`, not tried again).
        """
        for is_last in (False, True):
            child = self._take()
            try:
                head, pixels, png = child.ask(self._requests[display], data, self._seconds)
            except (OSError, TimeoutError, ValueError) as error:
                self._replace(child)
                if isinstance(error, TimeoutError):
                    raise DecoderLate(
                        f"film: it was not decoded within {self._seconds:g} s. Ask again later;"
                        " if it stays so, export the film again."
                    ) from error
                if is_last:
                    raise DecoderFailed("film: the decoder dies over it. Copy or export it again.") from error
                continue
            self._idle.put(child)
            return self._read(json.loads(head), pixels, png)
        raise AssertionError  # the loop returns or raises

    def _take(self) -> "_Child":
        """Return an idle process; one that died while it was idle is replaced, for no film is to blame."""
        for _ in range(len(self._children)):
            child = self._idle.get()
            if child.process.poll() is None:
                return child
            self._replace(child)
        return self._idle.get()

    def wait_ready(self) -> None:
        """Wait until every process has started, so that the first film waits for none.

        Raises
        ------
        DecoderFailed
            If one does not start.
        """
        with self._lock:
            children = list(self._children)
        try:
            for child in children:
                child.wait_ready()
        except (OSError, TimeoutError, ValueError) as error:
            raise DecoderFailed(
                "a process that decodes films does not start; look at the machine."
            ) from error

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            self._closed = True
            for child in self._children:
                child.end()
            self._children.clear()

    def process_ids(self) -> list[int]:
        """Return the ids of the processes."""
        with self._lock:
            return [child.process.pid for child in self._children]

    def _read(self, head: dict[str, Any], pixels: bytes, png: bytes) -> DecodedFilm:
        if "error" in head:
            raise _REFUSALS.get(head["error"], UnreadableImage)(head["message"])
        films = np.frombuffer(pixels, np.uint8).reshape(-1, self._side_px, self._side_px)
        field, facts = ExposedField(**head["field"]), ImageFacts.from_record(head["facts"])
        return DecodedFilm(films[0], field, facts, head["film_sha256"], films[-1], png or None)

    def _replace(self, child: "_Child") -> None:
        """Put a new process in place of a dead one, without making the caller wait for its start."""
        child.end()
        with self._lock:
            self.deaths += 1
            self._children.discard(child)
            if self._closed:
                return
            fresh = _Child()
            self._children.add(fresh)
        self._idle.put(fresh)


class _Child:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hilum.inference.decode_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders write what they find in headers there
            env={**os.environ, **_QUIET_NUMERICS},
        )
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None  # both were asked for
        assert stdout is not None
        self._stdin, self._stdout = stdin.fileno(), stdout.fileno()
        os.set_blocking(self._stdin, False)
        for pipe in (self._stdin, self._stdout):
            _widen(pipe)
        self._writable, self._readable = select.poll(), select.poll()
        self._writable.register(self._stdin, select.POLLOUT)
        self._readable.register(self._stdout, select.POLLIN)
        self._received = bytearray()
        self._is_ready = False

    def wait_ready(self) -> None:
        if not self._is_ready:
            self._receive(time.monotonic() + _START_SECONDS, most=_MAX_HEAD_BYTES)
            self._is_ready = True

    def ask(self, request: bytes, data: bytes, seconds: float) -> tuple[bytes, bytes, bytes]:
        """Return head, pixels and PNG.

        Raises
        ------
        TimeoutError
            If the answer does not come in time.
        OSError
            If the process is dead.
        """
        self.wait_ready()
        deadline = time.monotonic() + seconds
        self._send(deadline, request, data)
        head = self._receive(deadline, most=_MAX_HEAD_BYTES)
        pixels = self._receive(deadline, most=MAX_PIXELS)
        return head, pixels, self._receive(deadline, most=MAX_PIXELS)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was still to be flushed has no reader any more

    def _send(self, deadline: float, request: bytes, data: bytes) -> None:
        head = b"".join((LENGTH.pack(len(request)), request, LENGTH.pack(len(data))))
        for part in (head, data):
            left = memoryview(part)
            while left:
                try:
                    left = left[os.write(self._stdin, left) :]
                except BlockingIOError:
                    _wait(self._writable, deadline)

    def _receive(self, deadline: float, *, most: int) -> bytes:
        (length,) = LENGTH.unpack(self._read_exactly(LENGTH.size, deadline))
        if length > most:  # a decoder that was taken over is not believed
            raise ValueError(f"a frame of {length} bytes")
        return self._read_exactly(length, deadline)

    def _read_exactly(self, count: int, deadline: float) -> bytes:
        while len(self._received) < count:
            _wait(self._readable, deadline)
            part = os.read(self._stdout, _CHUNK_BYTES)
            if not part:
                raise BrokenPipeError
            self._received += part
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken


def _wait(pipe: select.poll, deadline: float) -> None:
    if not pipe.poll(1000 * max(0.0, deadline - time.monotonic())):
        raise TimeoutError


def _widen(pipe: int) -> None:
    """Let a pipe hold more; where that is not to be had films go in smaller pieces."""
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
