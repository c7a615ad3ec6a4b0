import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from hilum.serving import body as module
from hilum.serving.body import read_all, read_chunks, replay
from hilum.serving.refusals import TooLarge, TooSlow


def channel(*messages: Any, pause_s: float = 0.0) -> Any:
    waiting = list(messages)

    async def receive() -> Any:
        await asyncio.sleep(pause_s)
        if not waiting:
            await asyncio.sleep(60)
        return waiting.pop(0)

    return receive


def part(data: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def test_a_body_comes_out_whole():
    receive = channel(part(b"ab"), part(b""), part(b"c", more=False))
    assert asyncio.run(read_all(receive, max_bytes=3)) == b"abc"


def test_more_than_allowed_is_refused_whatever_was_declared():
    with pytest.raises(TooLarge):
        asyncio.run(read_all(channel(part(b"ab"), part(b"cd")), max_bytes=3))


def test_a_client_that_leaves_is_noticed():
    with pytest.raises(ClientDisconnect):
        asyncio.run(read_all(channel(part(b"ab"), {"type": "http.disconnect"}), max_bytes=10))


def test_silence_is_cut_short(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BODY_GRACE_S", 0.1)
    with pytest.raises(TooSlow):
        asyncio.run(read_all(channel(part(b"ab")), max_bytes=10))


def test_a_trickle_is_cut_short_though_it_never_stops(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BODY_GRACE_S", 0.2)
    taken: list[bytes] = []

    async def read() -> None:
        async for chunk in read_chunks(channel(*[part(b"a")] * 1000, pause_s=0.02), max_bytes=10_000):
            taken.append(chunk)

    with pytest.raises(TooSlow):
        asyncio.run(read())
    assert 2 <= len(taken) <= 12


def test_a_body_that_is_fast_enough_may_take_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BODY_GRACE_S", 0.1)
    monkeypatch.setattr(module, "MIN_BODY_BYTES_PER_S", 100)
    receive = channel(*[part(b"a" * 10)] * 9, part(b"a" * 10, more=False), pause_s=0.03)
    assert len(asyncio.run(read_all(receive, max_bytes=1000))) == 100


def test_a_body_that_was_read_is_given_again_and_then_what_comes():
    async def go() -> list[Any]:
        give = replay(b"abc", channel({"type": "http.disconnect"}))
        return [await give(), await give()]

    first, second = asyncio.run(go())
    assert first == part(b"abc", more=False)
    assert second == {"type": "http.disconnect"}
