"""Errors to answers: one table from class to status, RFC 9457 bodies, nothing of the input in them.

    HilumError
      RequestRefused          the request itself: each subclass has a status and a code
      ...                     of `hilum.domain.errors`, see `_STATUS`

An image's errors get the sentence of their code, not their message: a message may quote a header value.
"""

import http
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from hilum.domain.errors import (
    CheckpointError,
    ConfigError,
    DecoderFailed,
    EngineFailed,
    EngineOverloaded,
    FilmRefused,
    HilumError,
    InputError,
    UnreadableImage,
    UnsuitableImage,
)
from hilum.domain.thresholds import MAX_RETRY_AFTER_S, REOPEN_S
from hilum.serving.exchange import exchange_of

_log = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"


class RequestRefused(HilumError):
    """A request that is not answered; subclasses fix status and code.

    Parameters
    ----------
    detail, fix
        Sentences of ours.
    retry_after_s
        Sent as Retry-After.
    is_last
        The connection is closed: what follows on it cannot be trusted, or is not worth reading.
    """

    status: ClassVar[int] = 400
    code = "bad_request"
    detail: str = "The request cannot be understood."
    fix: str | None = None

    def __init__(
        self,
        detail: str | None = None,
        *,
        fix: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
        is_last: bool = False,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.detail = detail or type(self).detail
        self.fix = fix or type(self).fix
        self.code = code or type(self).code
        self.retry_after_s = retry_after_s
        self.is_last = is_last
        self.headers = tuple(headers)
        super().__init__(f"{self.code}: {self.detail}")


class BadRequest(RequestRefused):
    """Syntax: headers, form or JSON."""


class DigestMismatch(RequestRefused):
    """The body is not what Content-Digest says: RFC 9530."""

    code = "digest_mismatch"
    detail = "The body differs from its Content-Digest: it was damaged on the way."
    fix = "Send it again."


class Unauthenticated(RequestRefused):
    """No credential, or none that is good; which of the two is not told."""

    status = 401
    code = "unauthenticated"
    detail = "A valid API key or bearer token is required."
    fix = "Send the header Authorization: Bearer KEY."


class Forbidden(RequestRefused):
    """The role, or the network, may not do this."""

    status = 403
    code = "forbidden"
    detail = "This role may not do this."


class NotFound(RequestRefused):
    """No such thing."""

    status = 404
    code = "not_found"
    detail = "There is nothing here."


class Conflict(RequestRefused):
    """The state of things does not allow it."""

    status = 409
    code = "conflict"
    detail = "This cannot be done in the present state."


class TooSlow(RequestRefused):
    """A header or body that does not arrive."""

    status = 408
    code = "too_slow"
    detail = "The request did not arrive in time."
    fix = "Send it again over a better connection."


class TooLarge(RequestRefused):
    """More bytes or films than allowed."""

    status = 413
    code = "too_large"
    detail = "The request is larger than allowed."


class UnsupportedType(RequestRefused):
    """A content type or encoding that is not taken."""

    status = 415
    code = "unsupported_format"
    detail = "The format is not one of PNG, JPEG and DICOM."
    fix = "Export the film as PNG, JPEG or DICOM."


class Unprocessable(RequestRefused):
    """Well-formed, but not allowed values."""

    status = 422
    code = "invalid_values"
    detail = "A value is missing or not allowed."
    fix = "See /openapi.json for what is."


class TooManyRequests(RequestRefused):
    """The rate limit; `retry_after_s` says when to come back."""

    status = 429
    code = "rate_limited"
    detail = "Too many requests within a minute."
    fix = "Wait as long as Retry-After says."


class HeadersTooLarge(RequestRefused):
    """Header block beyond the limit."""

    status = 431
    code = "headers_too_large"
    detail = "The header of the request is larger than 16 KiB or has more than 100 lines."


class Unavailable(RequestRefused):
    """Not now: overload, not_ready, storage or lockdown."""

    status = 503
    code = "not_ready"
    detail = "The service cannot answer now."
    fix = "Try again as long after as Retry-After says."


class Lockdown(Unavailable):
    """An administrator has shut the service."""

    code = "lockdown"
    detail = "The service was shut by an administrator."
    fix = "Ask who is responsible for it."


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is not the one asked for."""

    status: int
    code: str
    detail: str
    fix: str | None = None
    retry_after_s: int | None = None
    is_last: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    def to_record(self, request_id: str) -> dict[str, object]:
        """Return the body of RFC 9457."""
        record: dict[str, object] = {
            "type": f"urn:hilum:problem:{self.code}",
            "title": http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.fix:
            record["fix"] = self.fix
        record["request_id"] = request_id
        return record


_IMAGE_SENTENCES: dict[str, tuple[int, str, str]] = {
    # code of an InputError: status, sentence, fix
    "unsupported_format": (415, UnsupportedType.detail, UnsupportedType.fix or ""),
    "unsupported_transfer_syntax": (
        415, "The DICOM transfer syntax is not supported.", "Export the film as Explicit VR Little Endian.",
    ),
    "too_large": (413, "The film has more bytes than allowed (32 MiB).", "Export it compressed."),
    "image_too_large": (
        422, "The film has more pixels than allowed (25 million, 6,000 a side).", "Export it at a lower resolution.",
    ),
    "image_incomplete": (422, "The film is cut off.", "Export or send it again."),
    "hostile_preamble": (422, "A program is hidden in the DICOM preamble.", "Treat the file as hostile."),
    "unsuitable_image": (
        422,
        "The picture lies outside what is accepted: 100 px a side or more, at most 3:1, one frame.",
        "Give one chest film, as exported from the archive.",
    ),
}  # fmt: skip
_DAMAGED = (422, "The film cannot be read: it is damaged or not what it says.", "Export or send it again.")

_STATUS: tuple[tuple[type[HilumError], int, str, str], ...] = (
    (DecoderFailed, 422, "image_damaged", "The film could not be decoded within its limits."),
    (EngineFailed, 503, "not_ready", "No model gives a valid answer at the moment."),
    (CheckpointError, 409, "bundle_refused", "The bundle named is not one that may be used."),
    (ConfigError, 409, "conflict", "The present settings do not allow this."),
)


def describe(error: Exception) -> Problem:
    """Return the answer for an error; what nobody foresaw is a 500 that says nothing."""
    if isinstance(error, RequestRefused):
        return Problem(
            error.status,
            error.code,
            error.detail,
            error.fix,
            error.retry_after_s,
            error.is_last,
            error.headers,
        )
    if isinstance(error, FilmRefused):
        return Problem(422, error.code, error.sentence, error.fix)
    if isinstance(error, UnreadableImage | UnsuitableImage):
        status, sentence, fix = _IMAGE_SENTENCES.get(error.code, _DAMAGED)
        code = error.code if error.code in _IMAGE_SENTENCES else "image_damaged"
        return Problem(status, code, sentence, fix)
    if isinstance(error, InputError):
        return Problem(422, Unprocessable.code, Unprocessable.detail, Unprocessable.fix)
    if isinstance(error, EngineOverloaded):
        wait = min(max(error.retry_after_s, 1), MAX_RETRY_AFTER_S)
        return Problem(503, "overload", "More films wait than may wait.", Unavailable.fix, wait)
    if getattr(error, "code", None) == "storage":
        return Problem(503, "storage", "The journal cannot be written, so nothing is answered.", None, 5)
    if isinstance(error, HTTPException):
        return _of_http(error)
    for kind, status, code, detail in _STATUS:
        if isinstance(error, kind):
            return Problem(status, code, detail, retry_after_s=int(REOPEN_S) if status == 503 else None)  # noqa: PLR2004
    return Problem(500, "internal", "Something went wrong here. The request id finds it in the log.")


def _of_http(error: HTTPException) -> Problem:
    headers = tuple((error.headers or {}).items())
    known = {404: NotFound, 400: BadRequest}.get(error.status_code)
    if known is not None:
        return Problem(error.status_code, known.code, known.detail, headers=headers)
    phrase = http.HTTPStatus(error.status_code).phrase
    return Problem(error.status_code, phrase.lower().replace(" ", "_"), f"{phrase}.", headers=headers)


async def send_problem(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem; its code goes to the journal and the log."""
    del receive
    exchange = exchange_of(scope)
    exchange.code = problem.code
    body = json.dumps(problem.to_record(exchange.request_id)).encode()
    headers = [("content-type", CONTENT_TYPE), ("content-length", str(len(body))), *problem.headers]
    if problem.retry_after_s is not None:
        headers.append(("retry-after", str(problem.retry_after_s)))
    if problem.is_last:
        headers.append(("connection", "close"))
    if problem.status == http.HTTPStatus.UNAUTHORIZED:
        headers.append(("www-authenticate", "Bearer"))
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def where_it_broke(error: BaseException) -> str:
    """Return class, file and line of an error, and nothing that it says: a message may hold what came in."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    place = "unknown" if step is None else f"{step.tb_frame.f_code.co_name}:{step.tb_lineno}"
    return f"{type(error).__name__} in {place}"
