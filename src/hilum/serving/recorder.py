"""Records a request in the journal before the first byte of its answer leaves.

What cannot be recorded is not answered: a record that fails turns the answer into 503 `storage`. A refusal
stands even unrecorded, for it tells nothing. Refusals that a caller can repeat for nothing (bad credentials,
rate limits) are recorded once per network or key, code and minute, with the number of those that followed the
last one: an attacker must not fill the disk.
"""

import time
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hilum.domain.errors import JournalUnavailable
from hilum.domain.thresholds import RATE_WINDOW_S
from hilum.journal.record import Event
from hilum.serving.exchange import Exchange, Outcome, exchange_of
from hilum.serving.problems import describe, send_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from hilum.serving.service import Service

_BAD = 400
_MAX_TALLIED = 4096
_REPEATABLE = frozenset({"unauthenticated", "rate_limited", "network_refused", "overload", "lockdown"})
_KIND_OF_CODE = {"unauthenticated": "auth-failure"}


class RefusalTally:
    """Counts refusals that are not recorded one by one."""

    def __init__(self, clock: "Callable[[], float]" = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, who: str, code: str) -> int | None:
        """Return how many went unrecorded before this one if it is to be recorded, else None."""
        now = self._clock()
        began, unrecorded = self._since.get((who, code), (-RATE_WINDOW_S, 0))
        if now - began < RATE_WINDOW_S:
            self._since[who, code] = (began, unrecorded + 1)
            return None
        if (who, code) not in self._since and len(self._since) >= _MAX_TALLIED:
            self.forget()
        if (who, code) not in self._since and len(self._since) >= _MAX_TALLIED:
            who = "others"
            if now - self._since.get((who, code), (-RATE_WINDOW_S, 0))[0] < RATE_WINDOW_S:
                return None
        self._since[who, code] = (now, 0)
        return unrecorded

    def is_running(self, who: str, code: str) -> bool:
        """Return whether a refusal would go unrecorded now, for the minute of a recorded one is not over."""
        began, _ = self._since.get((who, code), (-RATE_WINDOW_S, 0))
        return self._clock() - began < RATE_WINDOW_S

    def forget(self) -> None:
        """Drop those without anything unrecorded whose minute is over."""
        now = self._clock()
        self._since = {
            key: (began, count)
            for key, (began, count) in self._since.items()
            if count or now - began < RATE_WINDOW_S
        }


class Recorder:
    """Holds back an answer until what it says is durable."""

    def __init__(self, app: ASGIApp, *, service: "Service") -> None:
        self.app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        is_replaced = has_begun = False

        async def send_recorded(message: Message) -> None:
            nonlocal is_replaced, has_begun
            if is_replaced:
                return
            if message["type"] == "http.response.start":
                has_begun = True
                events = self._events(exchange, message["status"])
                try:
                    await self._service.record(events)
                except JournalUnavailable as error:
                    if message["status"] < _BAD:
                        is_replaced = True
                        await send_problem(describe(error), scope, receive, send)
                        return
            await send(message)

        try:
            await self.app(scope, receive, send_recorded)
        except Exception as error:
            if not has_begun:
                await send_problem(describe(error), scope, receive, send_recorded)
            raise

    def _events(self, exchange: Exchange, status: int) -> list[Event]:
        access = exchange.access
        if status < _BAD:
            if access is None or access.kind is None:
                return []
            outcomes = exchange.outcomes or [Outcome(status, access.kind)]
            return [_event(exchange, outcome, access.kind) for outcome in outcomes]
        code = exchange.code or "internal"
        repeated = 0
        if code in _REPEATABLE:
            who = exchange.identity.user_id if exchange.identity else exchange.network or "unknown"
            unrecorded = self._service.tally.note(who, code)
            if unrecorded is None:
                return []
            repeated = unrecorded
        elif exchange.identity is None and code != "network_refused":
            return []  # malformed or for nothing that exists, by nobody: counted in the metrics
        kind = _KIND_OF_CODE.get(code) or (
            access.kind if access and access.kind and _is_own(code) else "denied"
        )
        facts = {"unrecorded_before": repeated} if repeated else {}
        outcomes = exchange.outcomes or [Outcome(status, kind, code, facts=dict(facts))]
        return [_event(exchange, outcome, kind) for outcome in outcomes]


def _is_own(code: str) -> bool:
    """Return whether a refusal is about what was sent, rather than about who may send."""
    return code not in _REPEATABLE and code != "forbidden"


def _event(exchange: Exchange, outcome: Outcome, kind: str) -> Event:
    return Event(
        kind=outcome.kind or kind,
        request_id=exchange.request_id,
        endpoint=exchange.endpoint or "unknown",
        user_id=exchange.identity.user_id if exchange.identity else None,
        ip_address=exchange.network,
        status=outcome.status,
        code=outcome.code,
        prediction=outcome.prediction,
        confidence=outcome.confidence,
        inference_time_ms=outcome.inference_time_ms,
        model_version=outcome.model_version,
        facts=outcome.facts,
    )
