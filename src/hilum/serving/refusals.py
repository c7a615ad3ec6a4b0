"""Requests that are refused: each class fixes a status and a code, and its sentences are ours.

    HilumError
      RequestRefused
        BadRequest 400          ClientGone 400          DigestMismatch 400
        Unauthenticated 401     Forbidden 403
        NotFound 404            MethodNotAllowed 405    TooSlow 408             Conflict 409
        TooLarge 413            UnsupportedType 415     Unprocessable 422       TooManyRequests 429
        HeadersTooLarge 431     Unavailable 503         Lockdown 503

`hilum.serving.problems` turns them, and the errors of the layers below, into answers.
"""

from collections.abc import Sequence
from typing import ClassVar

from hilum.domain.errors import HilumError


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
    default_retry_after_s: ClassVar[int | None] = None

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
        self.retry_after_s = retry_after_s or type(self).default_retry_after_s
        self.is_last = is_last
        self.headers = tuple(headers)
        super().__init__(f"{self.code}: {self.detail}")


class BadRequest(RequestRefused):
    """Syntax: headers, form or JSON."""


class ClientGone(RequestRefused):
    """Nobody waits for the answer any more."""

    code = "client_gone"
    detail = "The client went away."


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


class MethodNotAllowed(RequestRefused):
    """The path is right, the method is not."""

    status = 405
    code = "method_not_allowed"
    detail = "This method is not offered here."


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
    default_retry_after_s = 5


class Lockdown(Unavailable):
    """An administrator has shut the service."""

    code = "lockdown"
    detail = "The service was shut by an administrator."
    fix = "Ask who is responsible for it."
    default_retry_after_s = 60
