"""The outermost layer: request id, security headers, time, log line, the answer to what nobody foresaw."""

import logging
import time
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hilum.domain.thresholds import HSTS_S
from hilum.serving.exchange import STATE_KEY, Exchange, header_values, new_request_id
from hilum.serving.logs import fields, where_it_broke
from hilum.serving.problems import describe, send_problem

if TYPE_CHECKING:
    from hilum.serving.service import Service

_log = logging.getLogger(__name__)
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; script-src 'self'; style-src 'self'; connect-src 'self';"
    " object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", _POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
HSTS = (b"strict-transport-security", f"max-age={HSTS_S}; includeSubDomains".encode())
UNKNOWN_ROUTE = "unknown"


class Envelope:
    """Wraps every answer."""

    def __init__(self, app: ASGIApp, *, service: "Service") -> None:
        self.app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        offered = header_values(scope, b"x-request-id")
        exchange = Exchange(new_request_id(offered[0].decode("latin-1") if len(offered) == 1 else None))
        scope.setdefault("state", {})[STATE_KEY] = exchange
        status = 0

        async def send_wrapped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._headers(scope, exchange, message.get("headers", []))
            await send(message)

        try:
            await self.app(scope, receive, send_wrapped)
        except Exception as error:
            _log.error(
                "a request failed", extra=fields(request_id=exchange.request_id, error=where_it_broke(error))
            )
            if not status:
                await send_problem(describe(error), scope, receive, send_wrapped)
        finally:
            self._note(scope, exchange, status)

    def _headers(
        self, scope: Scope, exchange: Exchange, given: list[tuple[bytes, bytes]]
    ) -> list[tuple[bytes, bytes]]:
        stated = {name for name, _ in given}
        added = [(name, value) for name, value in SECURITY_HEADERS if name not in stated]
        if scope["scheme"] == "https":
            added.append(HSTS)
        return [*given, (b"x-request-id", exchange.request_id.encode()), *added]

    def _note(self, scope: Scope, exchange: Exchange, status: int) -> None:
        seconds = time.monotonic() - exchange.began
        route = exchange.endpoint or UNKNOWN_ROUTE
        metrics = self._service.metrics
        metrics.requests.labels(route, str(status)).inc()
        metrics.seconds.labels(route).observe(seconds)
        if exchange.code is not None:
            metrics.refusals.labels(exchange.code).inc()
            if exchange.code == "overload":
                metrics.shed.inc()
        _log.info(
            "answered" if status else "gone",
            extra=fields(
                request_id=exchange.request_id,
                method=scope["method"] if scope["method"] in _METHODS else "other",
                route=route,
                status=status,
                code=exchange.code,
                ms=round(seconds * 1000, 1),
            ),
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
