"""The body of a request, read under a limit on its bytes and on the time it may take.

Nothing here is written to disk. Reading starts only after the front door has let the request in.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from hilum.domain.thresholds import BODY_GRACE_S, MIN_BODY_BYTES_PER_S
from hilum.serving.refusals import TooLarge, TooSlow


async def read_chunks(
    receive: Receive, *, max_bytes: int, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[bytes]:
    """Yield a body as it comes.

    Raises
    ------
    TooLarge
        As soon as there are more than `max_bytes`, whatever was declared.
    TooSlow
        After `BODY_GRACE_S` of silence, or when less than `MIN_BODY_BYTES_PER_S` came on average after it.
    ClientDisconnect
        The client went away.
    """
    began = clock()
    received = 0
    has_more = True
    while has_more:
        left = BODY_GRACE_S + received / MIN_BODY_BYTES_PER_S - (clock() - began)
        if left <= 0:
            raise TooSlow(is_last=True)
        try:
            async with asyncio.timeout(min(left, BODY_GRACE_S)):
                message = await receive()
        except TimeoutError:
            raise TooSlow(is_last=True) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        received += len(chunk)
        if received > max_bytes:
            raise TooLarge(f"The body has more than {max_bytes} bytes.", is_last=True)
        has_more = message.get("more_body", False)
        if chunk:
            yield chunk


async def read_all(receive: Receive, *, max_bytes: int) -> bytes:
    """Return a whole small body; raises as `read_chunks` does."""
    return b"".join([chunk async for chunk in read_chunks(receive, max_bytes=max_bytes)])


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a receive channel that gives a body that was read already, then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give
