"""What stands before the first byte of a body: pure ASGI, in the order of RELIABILITY 3.1.

    size headers -> lockdown -> authentication -> role -> rate limit -> admission

(The network gate and its allowlist come before.) A FastAPI dependency would be too late: by the time it runs,
the framework has read the whole body and spooled it to a file in clear.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from hilum.domain.errors import HilumError
from hilum.domain.thresholds import MAX_HEADER_BYTES, MAX_HEADERS
from hilum.serving.access import Access, AccessTable
from hilum.serving.auth import read_credential
from hilum.serving.body import read_all, replay
from hilum.serving.exchange import Exchange, exchange_of, header_values
from hilum.serving.problems import describe, send_problem
from hilum.serving.refusals import (
    BadRequest,
    ClientGone,
    Forbidden,
    HeadersTooLarge,
    Lockdown,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
    UnsupportedType,
)

if TYPE_CHECKING:
    from hilum.serving.service import Service

_HEADER_LINE_BYTES = 4  # the colon, the space and the line's end
_SECRET_PARAMETERS = frozenset(
    {"key", "api_key", "apikey", "token", "access_token", "authorization", "x-api-key"}
)
_MEDIA_TYPES = {"films": b"multipart/form-data", "json": b"application/json"}
_TYPE_FIX = "See /openapi.json for what each method takes."
_VERSIONS = frozenset({"1.0", "1.1"})
_SECRET_PREFIX = "hilum_"
_Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class FrontDoor:
    """Lets a request in, or answers it without having read its body."""

    def __init__(self, app: ASGIApp, *, service: "Service", table: AccessTable) -> None:
        self.app = app
        self._service = service
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self._let_in(scope, receive, send)
        except HilumError as error:
            await send_problem(describe(error), scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        length = check_headers(scope)
        access = self._find(scope, exchange)
        check_length(scope, access, length)
        if self._service.is_locked_down and not access.in_lockdown:
            raise Lockdown(is_last=True)
        if access.roles is not None:
            await self._authenticate(scope, exchange, access.roles)
        check_type(scope, access)
        if access.body == "films":
            size = length if length is not None else access.max_bytes
            caller = exchange.identity.user_id if exchange.identity else None
            with self._service.admission.upload(size, caller=caller):
                await self.app(scope, receive, send)
            return
        if access.body == "json":
            receive = replay(await _read(receive, access), receive)
        await self.app(scope, receive, send)

    def _find(self, scope: Scope, exchange: Exchange) -> Access:
        match = self._table.find(scope["path"])
        if match is None:
            raise NotFound(is_last=_has_body(scope))
        exchange.endpoint = match.endpoint
        access = match.methods.get(scope["method"])
        if access is None:
            allowed = ", ".join(match.methods)
            raise MethodNotAllowed(headers=[("allow", allowed)], is_last=_has_body(scope))
        exchange.access = access
        return access

    async def _authenticate(self, scope: Scope, exchange: Exchange, roles: frozenset[str]) -> None:
        try:
            credential = read_credential(scope)
            identity = await self._service.identify(credential)
        except Unauthenticated:
            if header_values(scope, b"authorization") or header_values(scope, b"x-api-key"):
                await self._service.note_failed_login(exchange.address)
            raise
        exchange.identity = identity
        if identity.role not in roles:
            raise Forbidden(is_last=_has_body(scope))
        await self._service.count_request(identity.user_id)


def check_headers(scope: Scope) -> int | None:
    """Check the header block before anything in it is believed.

    Returns
    -------
    Content-Length, None without one.

    Raises
    ------
    HeadersTooLarge, BadRequest
        A length beside a transfer encoding, several lengths, a credential in the address: RFC 9112 6.3.
    """
    headers = scope["headers"]
    size = sum(len(name) + len(value) + _HEADER_LINE_BYTES for name, value in headers) + len(
        scope["query_string"]
    )
    if len(headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        raise HeadersTooLarge(is_last=True)
    if scope["http_version"] not in _VERSIONS:  # llhttp takes a line of HTTP/2.0 for one of 1.1
        raise BadRequest("The only versions spoken are HTTP/1.0 and 1.1.", is_last=True)
    lengths = header_values(scope, b"content-length")
    encodings = header_values(scope, b"transfer-encoding")
    if len(lengths) > 1 or (lengths and encodings):
        raise BadRequest("The request states its length in more than one way.", is_last=True)
    if encodings and [value.strip().lower() for value in encodings] != [b"chunked"]:
        raise BadRequest("The only transfer encoding taken is chunked.", is_last=True)
    if len(header_values(scope, b"host")) > 1:
        raise BadRequest("The request has more than one Host.", is_last=True)
    _check_query(scope["query_string"])
    if not lengths:
        return None
    if not (lengths[0].isdigit() and lengths[0].isascii()):
        raise BadRequest("Content-Length is not a number.", is_last=True)
    return int(lengths[0])


def check_length(scope: Scope, access: Access, length: int | None) -> None:
    """Check the length that a request states against what its route takes.

    Raises
    ------
    BadRequest, TooLarge
    """
    if access.body == "none" and (length or header_values(scope, b"transfer-encoding")):
        raise BadRequest("This method takes no body here.", is_last=True)
    if access.body != "none" and length is not None and length > access.max_bytes:
        raise TooLarge(f"At most {access.max_bytes} bytes are taken here.", is_last=True)


def check_type(scope: Scope, access: Access) -> None:
    """Check what a request says of its body against what its route takes; raises UnsupportedType."""
    if any(value.strip().lower() != b"identity" for value in header_values(scope, b"content-encoding")):
        raise UnsupportedType("Encoded bodies are not taken.", fix="Send the body as it is.", is_last=True)
    if access.body == "none":
        return
    kind = b",".join(header_values(scope, b"content-type")).partition(b";")[0].strip().lower()
    wanted = _MEDIA_TYPES[access.body]
    if kind != wanted:
        sentence = f"The body must be {wanted.decode()}."
        raise UnsupportedType(
            sentence, code="unsupported_media_type", fix=_TYPE_FIX, is_last=_has_body(scope)
        )


def _check_query(query: bytes) -> None:
    if not query:
        return
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name.lower() in _SECRET_PARAMETERS or value.startswith(_SECRET_PREFIX):
            raise BadRequest(
                "Credentials are not taken from the address: addresses are logged on the way.",
                fix="Send the header Authorization: Bearer KEY, and revoke a key that was sent this way.",
                code="credential_in_url",
                is_last=True,
            )


def _has_body(scope: Scope) -> bool:
    return bool(header_values(scope, b"content-length") or header_values(scope, b"transfer-encoding"))


async def _read(receive: Receive, access: Access) -> bytes:
    try:
        return await read_all(receive, max_bytes=access.max_bytes)
    except ClientDisconnect:
        raise ClientGone(is_last=True) from None
