"""uvicorn's HTTP protocol with the limits that it leaves to others.

Time and size of a header, our own answer to bad syntax, and an unhurried end of connections whose request
body was refused.
"""

import asyncio
import json
import uuid
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hilum.domain.thresholds import MAX_HEADER_BYTES, MAX_HEADER_S
from hilum.serving.envelope import SECURITY_HEADERS
from hilum.serving.problems import CONTENT_TYPE, describe
from hilum.serving.refusals import BadRequest, HeadersTooLarge, RequestRefused, TooSlow

_LINGER_S = 2.0
_LINGER_BYTES = 4 * 1024 * 1024


class Lingering:
    """A transport whose `close` first lets a client finish sending what nobody reads.

    Closing while bytes are under way resets the connection, and a client that is still sending may never see
    the answer that told it to stop.
    """

    def __init__(self, transport: Any, protocol: "LimitedProtocol") -> None:
        self._transport = transport
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection; no socket, for uvloop makes one anew at each question."""
        return default if name == "socket" else self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Return whether nothing more is to be read or answered."""
        return self._protocol.is_lingering() or self._transport.is_closing()

    def close(self) -> None:
        """Close now, or once the rest of the body came or took too long."""
        if self._protocol.is_receiving_body() and not self.is_closing():
            self._protocol.linger()
        elif not self._protocol.is_lingering():
            self._transport.close()


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first header."""
        self._real = transport
        self._header_bytes = 0
        self._in_header = True
        self._in_body = False
        self._lingered = -1
        super().connection_made(Lingering(transport, self))  # type: ignore[arg-type]
        self.client = _host_and_port(transport, "peername")
        self.server = _host_and_port(transport, "sockname")
        self._header_timer: asyncio.TimerHandle | None = self.loop.call_later(
            MAX_HEADER_S, self._header_is_late
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, of a header only so many."""
        if self._lingered >= 0:
            self._lingered += len(data)
            if self._lingered > _LINGER_BYTES:
                self._real.close()
                return
        elif self._in_header:
            self._header_bytes += len(data)
            if self._header_timer is None:
                self._header_timer = self.loop.call_later(MAX_HEADER_S, self._header_is_late)
        super().data_received(data)
        if self._in_header and self._header_bytes > MAX_HEADER_BYTES and not self._real.is_closing():
            self._answer(HeadersTooLarge())

    def on_message_begin(self) -> None:
        """Note the start of a request."""
        super().on_message_begin()
        self._in_header = True

    def on_headers_complete(self) -> None:
        """Note the end of a header; what follows the last request of a connection is not looked at."""
        self._in_header = False
        self._in_body = True
        self._stop_timer()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Refuse at once a film that there is no place for; start the layers with anything else."""
        shedder = getattr(getattr(self.app, "state", None), "shedder", None)
        answer = None if shedder is None else shedder.refuse(cycle.scope)
        if answer is None:
            super()._start_asgi_task(cycle, app)
            return
        cycle.response_complete = True  # of what else arrives of it, nothing is kept
        self._real.write(answer)
        self.transport.close()

    def on_body(self, body: bytes) -> None:
        """Hand a piece of a body on as it is while none waits; uvicorn would copy it twice."""
        if not self.cycle.body:
            self.cycle.body = body  # type: ignore[assignment]  # read by bytes() and +=, as a bytearray is
            body = b""
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        self._stop_timer()
        self._in_body = False
        self._in_header = True
        self._header_bytes = 0
        super().on_message_complete()
        if self._lingered >= 0:
            self._real.close()

    def on_response_complete(self) -> None:
        """Give the rest of a body that was refused and not read as long as a header, however it drips."""
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            self._header_timer = self.loop.call_later(MAX_HEADER_S, self._rest_is_late)

    def is_receiving_body(self) -> bool:
        """Return whether a request's body is still under way."""
        return self._in_body

    def is_lingering(self) -> bool:
        """Return whether the last answer was given and the rest of the body is thrown away."""
        return self._lingered >= 0

    def linger(self) -> None:
        """Go on reading for a while, to no purpose but the client's."""
        if self._lingered < 0:
            self._lingered = 0
            self.flow.resume_reading()
            self.loop.call_later(_LINGER_S, self._real.close)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with a problem; uvicorn's text says what was wrong in its own words."""
        del msg
        self._answer(BadRequest("This is not valid HTTP."))

    def _header_is_late(self) -> None:
        self._header_timer = None
        if self._header_bytes:
            self._answer(TooSlow())
        else:
            self._real.close()

    def _rest_is_late(self) -> None:
        self._header_timer = None
        self._real.close()

    def _answer(self, error: RequestRefused) -> None:
        """Refuse what the application does not see; a request that has an answer gets no second one."""
        self._stop_timer()
        if self._has_answered():
            self._real.close()
            return
        problem = describe(error)
        body = json.dumps(problem.to_record(str(uuid.uuid4())), allow_nan=False).encode()
        lines = [
            f"HTTP/1.1 {problem.status} {problem.to_record('')['title']}".encode(),
            b"content-type: " + CONTENT_TYPE.encode(),
            b"content-length: " + str(len(body)).encode(),
            b"connection: close",
            *(name + b": " + value for name, value in SECURITY_HEADERS),
        ]
        self._real.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self._real.close()

    def _has_answered(self) -> bool:
        """Return whether an answer to what is under way was begun, or one is not at its end."""
        if self.is_lingering():
            return True
        cycle = self.cycle
        return bool(cycle and cycle.response_started and (self._in_body or not cycle.response_complete))

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


def _host_and_port(transport: Any, name: str) -> tuple[str, int] | None:
    """Return an end of the connection, of IPv6 without flow and scope; None when it is gone already."""
    address = transport.get_extra_info(name)
    return (str(address[0]), int(address[1])) if isinstance(address, tuple | list) and address else None
