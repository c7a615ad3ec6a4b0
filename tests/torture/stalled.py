"""Connections that stall, by the hundred, from a process of their own: what test B2 holds against a service.

Knows nothing of what stalls, but the bytes that each kind sends before it falls silent.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TURN_S, GIVE_UP_S = 12.0, 15.0


@dataclass(frozen=True)
class Kind:
    """One way to stall.

    Parameters
    ----------
    said
        What is sent.
    is_secured
        After a handshake; else to the bare port.
    """

    said: bytes
    is_secured: bool = True


@dataclass(frozen=True)
class Stall:
    """What became of one connection: after how many seconds the service closed it, None if it did not."""

    kind: str
    closed_s: float | None


def stall(
    address: tuple[str, int], kinds: Mapping[str, Kind], authority: Path, *, count: int, seconds: float
) -> list[Stall]:
    """Hold `count` connections of each kind for a time, spread evenly; open anew what was closed."""
    return asyncio.run(_stall_all(address, kinds, authority, count, seconds))


async def _stall_all(
    address: tuple[str, int], kinds: Mapping[str, Kind], authority: Path, count: int, seconds: float
) -> list[Stall]:
    tls = ssl.create_default_context(cafile=str(authority))
    began = time.monotonic()

    async def hold(name: str, offset_s: float) -> list[Stall]:
        held = []
        due = began + offset_s
        while due < began + seconds:
            await asyncio.sleep(due - time.monotonic())
            held.append(Stall(name, await _time_one(address, kinds[name], tls)))
            while due < time.monotonic():
                due += TURN_S
        return held

    offsets = [TURN_S * number / count for number in range(count)]
    found = await asyncio.gather(*(hold(name, offset) for name in kinds for offset in offsets))
    return [one for each in found for one in each]


async def _time_one(address: tuple[str, int], kind: Kind, tls: ssl.SSLContext) -> float | None:
    opened = time.monotonic()
    writer = None
    try:
        async with asyncio.timeout(GIVE_UP_S):
            reader, writer = await asyncio.open_connection(
                *address, **({"ssl": tls, "server_hostname": "localhost"} if kind.is_secured else {})
            )
            writer.write(kind.said)
            await reader.read(-1)
    except TimeoutError:
        return None
    except OSError:  # reset, which is closed
        pass
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                writer.transport.abort()
    return time.monotonic() - opened
