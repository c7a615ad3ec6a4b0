"""Whose address a request comes from, whether it may ask, and how much of the address is kept.

A forwarded address is believed from the right and only as far as trusted proxies vouch for it: the leftmost
entry is whatever the caller wrote. Forwarded, X-Real-IP and their like are ignored.
"""

import ipaddress
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from hilum.serving.exchange import exchange_of, header_values
from hilum.serving.problems import describe, send_problem
from hilum.serving.refusals import Forbidden
from hilum.serving.settings import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
KEPT_BITS = {4: 24, 6: 48}
"""Leading bits of an address that the journal keeps: RELIABILITY 5."""
_MAX_HOPS = 16


def parse_address(text: str) -> Address | None:
    """Return the address written with or without a port; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Return whether an address lies in one of the networks."""
    return any(address.version == network.version and address in network for network in networks)


def find_client(peer: str, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> Address | None:
    """Return who asks, None when a trusted proxy does not say.

    Parameters
    ----------
    peer
        Address at the other end of the connection.
    forwarded
        Every X-Forwarded-For header, in order.
    """
    address = parse_address(peer)
    if address is None or not is_in(address, trusted) or not forwarded:
        return address
    hops = b",".join(forwarded).decode("latin-1").rsplit(",", _MAX_HOPS)
    for hop in reversed(hops[-_MAX_HOPS:]):
        address = parse_address(hop)
        if address is None or not is_in(address, trusted):
            return address
    return address


def anonymise(address: Address) -> str:
    """Return the network of an address that may be kept, such as 192.168.1.0/24."""
    return str(ipaddress.ip_network((address, KEPT_BITS[address.version]), strict=False))


class NetworkGate:
    """The first layer: finds the client's address, and refuses those outside the allowlist."""

    def __init__(self, app: ASGIApp, *, allow: Sequence[Network], trusted: Sequence[Network]) -> None:
        self.app = app
        self._allow = tuple(allow)
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        peer = scope["client"][0] if scope.get("client") else ""
        client = find_client(peer, header_values(scope, b"x-forwarded-for"), self._trusted)
        exchange.address = str(client) if client is not None else None
        exchange.network = anonymise(client) if client is not None else None
        if self._allow and (client is None or not is_in(client, self._allow)):
            refused = Forbidden("This network may not use the service.", code="network_refused", is_last=True)
            await send_problem(describe(refused), scope, receive, send)
            return
        await self.app(scope, receive, send)
