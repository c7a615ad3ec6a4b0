"""HTTP over a bare socket: what is sent is exactly what the test wrote, and every answer is kept.

Knows just enough of RFC 9112 to split a stream of bytes into answers.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

CHUNK_BYTES = 65536


@dataclass(frozen=True)
class RawAnswer:
    """One answer as it came over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Exchange:
    """All that came back on one connection.

    Parameters
    ----------
    answers
        In order; 1xx answers are left out.
    closed
        Whether the server ended the connection (in order or by a reset) within the time.
    rest
        Bytes that are no whole answer.
    sent_bytes
        How much the socket took before the server stopped reading or answered.
    """

    answers: list[RawAnswer] = field(default_factory=list)
    closed: bool = False
    rest: bytes = b""
    sent_bytes: int = 0
    elapsed_s: float = 0.0

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


def connect(
    address: tuple[str, int],
    *,
    source: str = "127.0.0.1",
    timeout_s: float = 5.0,
    tls: ssl.SSLContext | None = None,
) -> socket.socket:
    """Open a connection from one of the loopback addresses."""
    plain = socket.create_connection(address, timeout=timeout_s, source_address=(source, 0))
    return tls.wrap_socket(plain, server_hostname="localhost") if tls else plain


def exchange(
    address: tuple[str, int],
    pieces: bytes | Iterable[bytes],
    *,
    timeout_s: float = 5.0,
    expect: int = 1,
    pause_s: float = 0.0,
    source: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> Exchange:
    """Send pieces, and read until the connection closes, the time is up or enough answers have come.

    Parameters
    ----------
    expect
        Stop after so many answers plus a grace of 0.1 s for one that should not be there.
    pause_s
        Between pieces.
    """
    result = Exchange()
    started = time.monotonic()
    received = b""
    with connect(address, source=source, timeout_s=timeout_s, tls=tls) as connection:
        try:
            for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                connection.sendall(piece)
                result.sent_bytes += len(piece)
                if pause_s:
                    time.sleep(pause_s)
        except OSError:
            pass  # the server may well answer and close before it has read everything
        connection.settimeout(0.1)
        deadline = started + timeout_s
        while time.monotonic() < deadline:
            try:
                data = connection.recv(CHUNK_BYTES)
            except TimeoutError:
                if len(result.answers) >= expect:
                    break
                continue
            except OSError:
                result.closed = True
                break
            if not data:
                result.closed = True
                break
            received += data
            result.answers, result.rest = split_answers(received)
    result.answers, result.rest = split_answers(received, ended=result.closed)
    result.elapsed_s = time.monotonic() - started
    return result


def split_answers(data: bytes, *, ended: bool = False) -> tuple[list[RawAnswer], bytes]:
    """Split a byte stream into whole answers and what is left."""
    answers = []
    while True:
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found or not head.startswith(b"HTTP/"):
            return answers, data
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        headers = [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]
        named = {key.lower(): value for key, value in headers}
        if status < 200 or status in {204, 304}:
            body, data = b"", rest
        elif "chunked" in named.get("transfer-encoding", ""):
            whole = _dechunk(rest)
            if whole is None:
                return answers, data
            body, data = whole
        elif "content-length" in named:
            length = int(named["content-length"])
            if len(rest) < length:
                return answers, data
            body, data = rest[:length], rest[length:]
        elif ended:
            body, data = rest, b""
        else:
            return answers, data
        if status >= 200:
            answers.append(RawAnswer(status, headers, body))


def _dechunk(data: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while True:
        line, found, rest = data.partition(b"\r\n")
        if not found:
            return None
        size = int(line.split(b";")[0], 16)
        if len(rest) < size + 2:
            return None
        body, data = body + rest[:size], rest[size + 2 :]
        if size == 0:
            return body, data


def is_closed_within(connection: socket.socket, seconds: float) -> bool:
    """Tell whether the peer ends the connection in time; what it sends meanwhile is dropped."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(TimeoutError):
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                if not connection.recv(CHUNK_BYTES):
                    return True
            except TimeoutError:
                break
            except OSError:
                return True
    return False
