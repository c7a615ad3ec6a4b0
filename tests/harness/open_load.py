"""An open-loop load: requests leave on a schedule of the monotonic clock, whatever the answers do.

A closed loop waits for the slow answer and so hides it (coordinated omission); this one does not.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import uvloop

from .raw_http import RawAnswer, split_answers

_SOURCES = itertools.cycle(f"127.0.0.{number}" for number in range(1, 17))
"""An address has 28,000 ports, and each is kept for a minute: a thousand connections a second use them up."""


@dataclass(frozen=True)
class Outcome:
    """What became of one request.

    Parameters
    ----------
    due_s, done_s
        Monotonic clock: when it was due to leave and when its answer, or its failure, was complete.
    answer
        None if the connection failed.
    failure
        Name of the exception, "" if there was an answer.
    sent_s
        When it really left: later than due when this process had no time.
    """

    index: int
    due_s: float
    done_s: float
    answer: RawAnswer | None
    failure: str
    sent_s: float = 0.0

    @property
    def status(self) -> int | None:
        return None if self.answer is None else self.answer.status

    @property
    def latency_s(self) -> float:
        return self.done_s - self.due_s


async def send_once(address: tuple[str, int], request: bytes, timeout_s: float) -> RawAnswer | None:
    """Send a whole request on a connection of its own; None when it closes without an answer."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(*address, local_addr=(next(_SOURCES), 0))
        try:
            writer.write(request)
            await writer.drain()
            answers, _ = split_answers(await reader.read(-1), ended=True)
            return answers[0] if answers else None
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _run(
    address: tuple[str, int],
    requests: Sequence[bytes],
    rate_per_s: float,
    timeout_s: float,
    on_answer: Callable[[Outcome], None] | None,
) -> list[Outcome]:
    async def one(index: int, due: float, request: bytes) -> Outcome:
        sent = time.monotonic()
        answer, failure = None, ""
        try:
            answer = await send_once(address, request, timeout_s)
            failure = "" if answer else "closed without an answer"
        except (OSError, TimeoutError) as error:
            failure = type(error).__name__
        outcome = Outcome(index, due, time.monotonic(), answer, failure, sent)
        if on_answer is not None:
            on_answer(outcome)
        return outcome

    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for index, request in enumerate(requests):  # to make all tasks first would be a burst at the start
            due = start + index / rate_per_s
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            tasks.append(group.create_task(one(index, due, request)))
    return [task.result() for task in tasks]


def open_load(
    address: tuple[str, int],
    requests: Sequence[bytes],
    *,
    rate_per_s: float,
    timeout_s: float = 20.0,
    on_answer: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Send each request, whole and with `Connection: close`, at its time; return what became of each.

    Parameters
    ----------
    requests
        Complete HTTP/1.1 requests, as `raw_request` writes them.
    on_answer
        Called in the loop as soon as an answer is complete: what it has seen was acknowledged.
    """
    return uvloop.run(_run(address, requests, rate_per_s, timeout_s, on_answer))


def raw_request(method: str, path: str, *, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Write a complete request that asks for the connection to be closed afterwards."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
