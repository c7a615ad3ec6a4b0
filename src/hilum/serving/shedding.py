"""Films that there is no place for, refused at the connection.

Under ten times the load that can be answered, refusing costs more than answering: most of what a request
goes through is for requests that are let in. What all layers together would refuse for want of a place is
refused here, by the same rules in the same order and in the same words, for a tenth of the work. What is
not plain, or has to ask a database, a store or a thread, goes the long way. The connection is closed. Each
refusal is counted in the metrics, and in the journal's tally; the log has a line about several.
"""

import json
import random
import uuid
from typing import TYPE_CHECKING

from starlette.types import Scope

from hilum.domain.thresholds import MAX_FILMS_IN_WORK, MAX_FILMS_OF_ONE_CALLER
from hilum.serving.access import AccessTable, Match
from hilum.serving.admission import overloaded
from hilum.serving.auth import read_credential
from hilum.serving.envelope import HSTS, SECURITY_HEADERS
from hilum.serving.front_door import check_headers, check_length, check_type
from hilum.serving.network import find_client, is_in
from hilum.serving.problems import CONTENT_TYPE, describe
from hilum.serving.refusals import RequestRefused

if TYPE_CHECKING:
    from hilum.serving.service import Service
    from hilum.serving.settings import ServiceSettings

_FEWEST_FILMS = min(MAX_FILMS_IN_WORK, MAX_FILMS_OF_ONE_CALLER)


class Shedder:
    """Refuses, or leaves a request to the layers. On the event loop alone."""

    def __init__(self, service: "Service", *, table: AccessTable, settings: "ServiceSettings") -> None:
        self._service = service
        self._table = table
        self._allow, self._trusted = tuple(settings.allow), tuple(settings.trusted_proxies)
        self._needs_origin = bool(settings.cors_origins)
        self._head = b"\r\n".join(
            [
                b"HTTP/1.1 503 Service Unavailable",
                b"content-type: " + CONTENT_TYPE.encode(),
                b"connection: close",
                *(name + b": " + value for name, value in SECURITY_HEADERS),
            ]
        )

    def refuse(self, scope: Scope) -> bytes | None:
        """Return the whole answer to a request whose header is complete; None leaves it to the layers."""
        service = self._service
        if service.admission.films < _FEWEST_FILMS or service.is_locked_down:
            return None
        match = self._table.find(scope["path"])
        if match is None:
            return None
        caller = self._caller(scope, match)
        if caller is None or not service.admission.is_full(caller):
            return None
        refusal = overloaded()
        if service.limits.is_remote or not service.tally.is_running(caller, refusal.code):
            return None
        try:
            service.limits.count_request(caller)
        except RequestRefused:
            return None
        service.tally.note(caller, refusal.code)
        self._count(match.endpoint, refusal.code)
        return self._answer(refusal, is_secret=scope["scheme"] == "https")

    def _caller(self, scope: Scope, match: Match) -> str | None:
        """Return who sends films and may; None when that is not plain."""
        access = match.methods.get(scope["method"])
        if access is None or access.body != "films" or access.roles is None:
            return None
        if self._needs_origin and any(name == b"origin" for name, _ in scope["headers"]):
            return None
        try:
            check_length(scope, access, check_headers(scope))
            if not self._is_allowed(scope):
                return None
            identity = self._service.stored_keys.recall(read_credential(scope))
            check_type(scope, access)
        except RequestRefused:
            return None
        return identity.user_id if identity is not None and identity.role in access.roles else None

    def _is_allowed(self, scope: Scope) -> bool:
        if not self._allow:
            return True
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        client = find_client(scope["client"][0] if scope.get("client") else "", forwarded, self._trusted)
        return client is not None and is_in(client, self._allow)

    def _count(self, endpoint: str, code: str) -> None:
        metrics = self._service.metrics
        metrics.requests.labels(endpoint, "503").inc()
        metrics.seconds.labels(endpoint).observe(0.0)
        metrics.refusals.labels(code).inc()
        metrics.shed.inc()
        self._service.shed += 1

    def _answer(self, refusal: RequestRefused, *, is_secret: bool) -> bytes:
        problem = describe(refusal)
        request_id = str(uuid.UUID(int=random.getrandbits(128), version=4))  # it need not be hard to guess
        body = json.dumps(problem.to_record(request_id), allow_nan=False).encode()
        own = f"x-request-id: {request_id}\r\nretry-after: {problem.retry_after_s}"
        hsts = HSTS[0] + b": " + HSTS[1] + b"\r\n" if is_secret else b""
        length = b"\r\ncontent-length: " + str(len(body)).encode()
        return b"".join((self._head, b"\r\n", hsts, own.encode(), length, b"\r\n\r\n", body))
