"""Errors to answers: one table from class to status, RFC 9457 bodies, nothing of the input in them.

An image's errors get the sentence of their class, not their message: a message may quote a header value.
"""

import base64
import http
import json
from collections.abc import Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from hilum.domain.errors import (
    CheckpointError,
    ConfigError,
    DamagedImage,
    DecoderFailed,
    DecoderLate,
    EngineFailed,
    EngineOverloaded,
    FileTooLarge,
    FilmRefused,
    HostileFile,
    ImageTooLarge,
    InputError,
    JournalUnavailable,
    NoPixels,
    SeveralFrames,
    UnreadableImage,
    UnsuitableImage,
    UnsupportedCoding,
    UnsupportedFormat,
)
from hilum.domain.thresholds import (
    MAX_ASPECT_RATIO,
    MAX_FILE_BYTES,
    MAX_PIXELS,
    MAX_RETRY_AFTER_S,
    MAX_SIDE_PX,
    MIN_SIDE_PX,
    REOPEN_S,
)
from hilum.serving.exchange import exchange_of
from hilum.serving.refusals import (
    BadRequest,
    NotFound,
    RequestRefused,
    Unavailable,
    Unprocessable,
    UnsupportedType,
)

CONTENT_TYPE = "application/problem+json"


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
    may_overrule: bool = False
    film_png: bytes | None = None

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
        if self.may_overrule:
            record["may_overrule"] = True
        if self.film_png is not None:
            record["film_png"] = base64.b64encode(self.film_png).decode("ascii")
        record["request_id"] = request_id
        return record


_IMAGE_SENTENCES: dict[type[InputError], tuple[int, str, str]] = {
    # status, sentence, fix; a class that is not here gets those of the class above it
    UnsupportedFormat: (415, UnsupportedType.detail, UnsupportedType.fix or ""),
    UnsupportedCoding: (
        415,
        "The file is whole, but its pixels are coded in a way that is not decoded here.",
        "Export the film uncompressed, as 8-bit or 16-bit grey.",
    ),
    FileTooLarge: (
        413, f"The film has more bytes than allowed ({MAX_FILE_BYTES >> 20} MiB).", "Export it compressed.",
    ),
    ImageTooLarge: (
        422,
        f"The film has more pixels than allowed ({MAX_PIXELS // 10**6} million, {MAX_SIDE_PX:,} a side), or"
        " takes more memory to decode than allowed.",
        "Export it as grey, at a lower resolution.",
    ),
    DamagedImage: (422, "The film is cut off or damaged.", "Export or send it again."),
    HostileFile: (
        422,
        "The file is made to do harm: a program, or a text that grows without end, is hidden in it.",
        "Do not open it elsewhere; ask the sender.",
    ),
    SeveralFrames: (422, "The file holds more than one picture.", "Export the film alone."),
    NoPixels: (422, "The DICOM file holds no picture.", "Send the image object, not a report or directory."),
    UnreadableImage: (
        422,
        "The header of the film lacks a value that decoding needs, or contradicts the pixels.",
        "Export the film again, as monochrome.",
    ),
    UnsuitableImage: (
        422,
        f"The picture lies outside what is accepted: {MIN_SIDE_PX} px a side or more, at most"
        f" {MAX_ASPECT_RATIO:g}:1.",
        "Give one chest film, as exported from the archive.",
    ),
}  # fmt: skip


def describe(error: Exception) -> Problem:
    """Return the answer for an error; what nobody foresaw is a 500 that says nothing."""
    for kind, make in _MAKERS:
        if isinstance(error, kind):
            return make(error)
    return Problem(500, "internal", "Something went wrong here. The request id finds it in the log.")


def _of_refusal(error: RequestRefused) -> Problem:
    return Problem(
        error.status, error.code, error.detail, error.fix, error.retry_after_s, error.is_last, error.headers
    )


def _of_film(error: FilmRefused) -> Problem:
    return Problem(422, error.code, error.sentence, error.fix, may_overrule=True, film_png=error.film_png)


def _of_image(error: InputError) -> Problem:
    kind = next(kind for kind in type(error).__mro__ if kind in _IMAGE_SENTENCES)
    return Problem(_IMAGE_SENTENCES[kind][0], kind.code, *_IMAGE_SENTENCES[kind][1:])


def _of_values(error: InputError) -> Problem:
    del error
    return Problem(422, Unprocessable.code, Unprocessable.detail, Unprocessable.fix)


def _of_overload(error: EngineOverloaded) -> Problem:
    wait = min(max(error.retry_after_s, 1), MAX_RETRY_AFTER_S)
    return Problem(503, "overload", "More films wait than may wait.", Unavailable.fix, wait)


def _of_kind(status: int, code: str, detail: str, retry_after_s: int | None = None) -> Callable[..., Problem]:
    return lambda _: Problem(status, code, detail, retry_after_s=retry_after_s)


def _of_http(error: HTTPException) -> Problem:
    headers = tuple((error.headers or {}).items())
    known = {404: NotFound, 400: BadRequest}.get(error.status_code)
    if known is not None:
        return Problem(error.status_code, known.code, known.detail, headers=headers)
    phrase = http.HTTPStatus(error.status_code).phrase
    return Problem(error.status_code, phrase.lower().replace(" ", "_"), f"{phrase}.", headers=headers)


_MAKERS: tuple[tuple[type[Exception], Callable[..., Problem]], ...] = (
    (RequestRefused, _of_refusal),
    (FilmRefused, _of_film),
    (UnreadableImage, _of_image),
    (UnsuitableImage, _of_image),
    (InputError, _of_values),
    (DecoderLate, _of_kind(503, "overload", "The film was not decoded in time.", int(REOPEN_S))),
    (DecoderFailed, _of_kind(422, "image_damaged", "The film could not be decoded within its limits.")),
    (EngineOverloaded, _of_overload),
    (EngineFailed, _of_kind(503, "not_ready", "No model gives a valid answer at the moment.", int(REOPEN_S))),
    (JournalUnavailable, _of_kind(503, "storage", "The journal does not answer, so nobody else does.", 5)),
    (CheckpointError, _of_kind(409, "bundle_refused", "The bundle named is not one that may be used.")),
    (ConfigError, _of_kind(409, "conflict", "The present settings do not allow this.")),
    (HTTPException, _of_http),
)
"""The table: the first class that fits says what is answered."""


async def send_problem(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem; its code goes to the journal and the log."""
    del receive
    exchange = exchange_of(scope)
    exchange.code = problem.code
    body = json.dumps(problem.to_record(exchange.request_id), allow_nan=False).encode()
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
