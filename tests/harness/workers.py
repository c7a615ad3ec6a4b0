"""Connections to a worker of one's choice: the kernel gives a new one to whoever asks first."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .raw_http import RawAnswer, connect, split_answers
from .server import Server

LIVE = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"


def ask(connection: socket.socket, requests: bytes, count: int = 1) -> list[RawAnswer]:
    """Send requests on an open connection, and read as many answers."""
    connection.sendall(requests)
    received, answers = b"", []
    while len(answers) < count:
        data = connection.recv(65536)
        assert data, f"closed after {len(answers)} of {count} answers: {received[-300:]!r}"
        received += data
        answers, _ = split_answers(received)
    return answers


@contextmanager
def connections_to_each(server: Server, count: int) -> Iterator[dict[int, list[socket.socket]]]:
    """Give `count` open connections to each worker: the others are stopped while one takes them."""
    workers = server.workers()
    with ExitStack() as stack:
        yield {worker: _connect_to(server, worker, workers, count, stack) for worker in workers}


def _connect_to(
    server: Server, worker: int, workers: list[int], count: int, stack: ExitStack
) -> list[socket.socket]:
    others = [pid for pid in workers if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        opened = [
            stack.enter_context(connect(server.address, timeout_s=20, tls=server.tls)) for _ in range(count)
        ]
        for connection in opened:
            assert ask(connection, LIVE)[0].status == 200
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
    return opened
