"""Films out of a form, in memory only.

The low-level parser of python_multipart calls back for every piece; names of files and the parts' own types
are thrown away unread. Starlette's parser is not used: it writes every file above 1 MiB to a temporary file
in clear.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from hilum.domain.thresholds import (
    MAX_FILE_BYTES,
    MAX_PART_HEADER_BYTES,
    MAX_PART_HEADERS,
)
from hilum.serving.body import read_chunks
from hilum.serving.exchange import exchange_of
from hilum.serving.refusals import BadRequest, ClientGone, DigestMismatch, TooLarge, UnsupportedType

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_DIGEST = re.compile(rb"\s*(sha-256|sha-512)\s*=\s*:([A-Za-z0-9+/=]+):\s*")
_BAD_FORM = "The form cannot be read."
_BAD_DIGEST = "Content-Digest must be sha-256=:BASE64: or sha-512=:BASE64:."
_FORM_FIX = "Send multipart/form-data with the film in a part of the name that /openapi.json gives."


class FilmForm:
    """Collects the files of one form as its bytes come by.

    Parameters
    ----------
    field
        The only name that parts may have.
    max_films
        How many of them.
    """

    def __init__(self, boundary: bytes, *, field: str, max_films: int) -> None:
        self.films: list[bytes] = []
        self._field = field.encode()
        self._max_films = max_films
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._pieces: list[bytes] = []  # of the film that comes now
        self._size = 0
        self._is_over = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin_part,
            "on_part_data": self._take_data,
            "on_part_end": self._end_part,
            "on_header_field": self._take_header_name,
            "on_header_value": self._take_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(
                boundary,
                callbacks,
                max_header_count=MAX_PART_HEADERS,
                max_header_size=MAX_PART_HEADER_BYTES,
            )
        except FormParserError:
            raise BadRequest(_BAD_FORM, fix=_FORM_FIX, is_last=True) from None

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises
        ------
        BadRequest, TooLarge
        """
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise BadRequest(_BAD_FORM, fix=_FORM_FIX, is_last=True) from None

    def finish(self) -> list[bytes]:
        """Return the films of a form that is complete.

        Raises
        ------
        BadRequest
            It is cut off, or holds no film.
        """
        if not self._is_over or not self.films:
            raise BadRequest("The form is cut off or holds no film.", fix=_FORM_FIX)
        return self.films

    def _begin_part(self) -> None:
        if len(self.films) >= self._max_films:
            raise TooLarge(
                f"At most {self._max_films} film(s) are taken here.", code="too_many_films", is_last=True
            )
        self._disposition = b""

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.strip().lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or options.get(b"name") != self._field:
            raise BadRequest("The form has a part of another name.", fix=_FORM_FIX, is_last=True)

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._size > MAX_FILE_BYTES:
            raise TooLarge(f"A film has more than {MAX_FILE_BYTES >> 20} MiB.", is_last=True)
        self._pieces.append(data[start:end])

    def _end_part(self) -> None:
        self.films.append(b"".join(self._pieces))
        self._pieces, self._size = [], 0

    def _end(self) -> None:
        self._is_over = True


class DigestCheck:
    """Compares a body with its Content-Digest (RFC 9530) while it comes."""

    def __init__(self, headers: list[bytes]) -> None:
        self._expected = [_read_digest(one) for header in headers for one in header.split(b",")]
        self._hashes = [hashlib.new(name) for name, _ in self._expected]

    def update(self, chunk: bytes) -> None:
        """Take the next bytes. hashlib lets go of the interpreter for large ones."""
        for one in self._hashes:
            one.update(chunk)

    def finish(self) -> None:
        """Raise DigestMismatch when the body is another."""
        for (_, expected), one in zip(self._expected, self._hashes, strict=True):
            if not hmac.compare_digest(expected, one.digest()):
                raise DigestMismatch


def _read_digest(text: bytes) -> tuple[str, bytes]:
    match = _DIGEST.fullmatch(text)
    if match is None:
        raise BadRequest(_BAD_DIGEST, is_last=True)
    try:
        value = base64.b64decode(match[2], validate=True)
    except binascii.Error:
        raise BadRequest(_BAD_DIGEST, is_last=True) from None
    return match[1].decode().replace("-", ""), value


async def read_films(request: Request, *, field: str, max_films: int) -> list[bytes]:
    """Read the films of a form.

    Returns
    -------
    The bytes of each file, in the order of the form.

    Raises
    ------
    BadRequest, DigestMismatch, TooLarge, TooSlow, UnsupportedType
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data":
        raise UnsupportedType(
            "The body must be multipart/form-data.", code="unsupported_media_type", is_last=True
        )
    if not boundary:
        raise BadRequest("The form states no boundary.", fix=_FORM_FIX, is_last=True)
    form = FilmForm(boundary, field=field, max_films=max_films)
    digest = DigestCheck([
        value for name, value in request.scope["headers"] if name == b"content-digest"
    ])  # fmt: skip
    async for chunk in _chunks(request):
        digest.update(chunk)
        form.write(chunk)
    digest.finish()
    return form.finish()


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    access = exchange_of(request.scope).access
    assert access is not None
    try:
        async for chunk in read_chunks(request.receive, max_bytes=access.max_bytes):
            yield chunk
    except ClientDisconnect:
        raise ClientGone(is_last=True) from None
