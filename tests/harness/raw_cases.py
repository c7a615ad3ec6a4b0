"""Requests that no client library would send, and what may come back (test B3, RFC 9112).

Each case is a name, the bytes, and the statuses that are right; None among them is a connection that is
closed without an answer. There is at most one answer: a second would be to a smuggled request.
"""

from collections.abc import Iterator

Case = tuple[str, bytes, frozenset[int | None]]
BAD = frozenset({400, None})
REFUSED = frozenset({400, 401, 404, 405, 411, 413, 414, 415, 431, 501, 505, None})
HEAVY_BYTES = 65_536

STRANGE_PATHS = (
    "//admin/keys",
    "/admin//keys",
    "/./admin/keys",
    "/static/../admin/keys",
    "/static/%2e%2e/%2e%2e/etc/passwd",
    "/static/..%2f..%2fserving/settings.py",
    "/static/%2e%2e/settings.py",
    "/static/....//settings.py",
    "/static/%00",
    "/static/..\\settings.py",
    "/static//etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/admin/keys/",
    "/ADMIN/keys",
    "/admin/keys;a=b",
    "/admin/keys%20",
    "/%61dmin/keys",
    "/health/live/../../admin/keys",
)


def _get(
    *headers: str | bytes, line: str | bytes = "GET /health/live HTTP/1.1", end: bytes = b"\r\n\r\n"
) -> bytes:
    lines = [line, "Host: 127.0.0.1", *headers]
    return b"\r\n".join(one.encode("latin-1") if isinstance(one, str) else one for one in lines) + end


def _post(*headers: str, body: bytes = b"", path: str = "/predict") -> bytes:
    return _get(*headers, line=f"POST {path} HTTP/1.1") + body


SMUGGLED = b"GET /model/info HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def _lengths() -> Iterator[Case]:
    chunked = "Transfer-Encoding: chunked"
    yield "length and chunked", _post("Content-Length: 6", chunked, body=b"0\r\n\r\n" + SMUGGLED), BAD
    yield "chunked and length", _post(chunked, "Content-Length: 4", body=b"0\r\n\r\n" + SMUGGLED), BAD
    yield "two lengths", _post("Content-Length: 0", "Content-Length: 44", body=SMUGGLED), BAD
    yield "two equal lengths", _post("Content-Length: 4", "Content-Length: 4", body=b"abcd"), REFUSED
    yield "a list of lengths", _post("Content-Length: 4, 5", body=b"abcde"), BAD
    for value in ("-1", "+4", "4 4", "0x10", "1e3", "4.0", "٤", "abc", "", "9" * 30, "18446744073709551617"):
        raw = _post().replace(b"\r\n\r\n", b"\r\nContent-Length: " + value.encode() + b"\r\n\r\n")
        yield f"length {value[:12]!r}", raw + b"abcd", REFUSED
    for value in ("chunked, identity", "identity", "gzip, chunked", "xchunked", "chunked, chunked", "x", ""):
        yield f"encoding {value!r}", _post(f"Transfer-Encoding: {value}", body=b"0\r\n\r\n"), REFUSED
    yield "encoding with a tab", _post("Transfer-Encoding:\tchunked, x", body=b"0\r\n\r\n"), REFUSED
    yield (
        "space before the colon",
        _post("Transfer-Encoding : chunked", body=b"0\r\n\r\n" + SMUGGLED),
        REFUSED,
    )
    yield "folded encoding", _post("X: 1\r\n Transfer-Encoding: chunked", body=b"0\r\n\r\n"), REFUSED
    for junk in (
        b"zz\r\n",
        b"-1\r\n",
        b"0x2\r\nab\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\n",
        b"2;" + b"a" * 70_000,
    ):
        yield f"chunk {junk[:8]!r}", _post(chunked, body=junk), REFUSED
    yield "chunk without its end", _post(chunked, body=b"2\r\nabXX0\r\n\r\n"), REFUSED
    yield "body of a GET", _get("Content-Length: 4") + b"abcd", BAD
    yield "chunked GET", _get(chunked) + b"0\r\n\r\n" + b"", BAD


def _header_blocks() -> Iterator[Case]:
    yield "bare line feeds", _get().replace(b"\r\n", b"\n"), frozenset({200, 400, None})
    yield "bare carriage return in a value", _get(b"X: a\rb: c"), BAD
    yield "NUL in a value", _get(b"X: a\0b"), BAD
    yield "NUL in a name", _get(b"X\0Y: a"), BAD
    yield "NUL in the path", _get(line=b"GET /health\0 HTTP/1.1"), BAD
    yield "space in a name", _get("X Y: a"), BAD
    yield "no name", _get(": a"), BAD
    yield "no colon", _get("nonsense"), BAD
    yield "header of 64 KiB", _get("X: " + "a" * HEAVY_BYTES), frozenset({400, 431, None})
    yield "header name of 64 KiB", _get("a" * HEAVY_BYTES + ": 1"), frozenset({400, 431, None})
    yield "header block of 17 KiB", _get(*(f"X-{at}: {'a' * 170}" for at in range(97))), frozenset({431})
    yield "1,001 headers", _get(*(f"X-{at}: a" for at in range(1_001))), frozenset({400, 431, None})
    yield "101 headers", _get(*(f"X-{at}: a" for at in range(101))), frozenset({431})
    yield "no host", b"GET /health/live HTTP/1.1\r\n\r\n", frozenset({200, 400, None})
    yield "two hosts", _get("Host: evil.example"), BAD
    yield "colour in a value", _get(b"X: \x1b[31m"), frozenset({200, 400, None})
    yield "bytes above 127 in a value", _get(b"X: \xff\xfe"), frozenset({200, 400, None})
    yield "obsolete folding", _get("X: a\r\n b"), frozenset({200, 400, None})
    yield "expect nonsense", _get("Expect: 200-maybe"), frozenset({200, 400, 417, None})
    yield "upgrade to websocket", _get(
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==",
        "Sec-WebSocket-Version: 13",
    ), frozenset({200, 400, 403, 404, 426, None})  # fmt: skip
    yield (
        "upgrade to http 2",
        _get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
        frozenset({200, 400}),
    )
    yield "gzip body", _post("Content-Encoding: gzip", "Content-Length: 4", body=b"\x1f\x8b\x08\0"), REFUSED


def _lines() -> Iterator[Case]:
    for method in ("TRACE", "CONNECT", "TRACK", "PROPFIND", "PATCH", "OPTIONS", "A" * 40):
        yield (
            f"method {method[:12]}",
            _get(line=f"{method} /health HTTP/1.1"),
            frozenset({400, 404, 405, 501, None}),
        )
    yield "method in lower case", _get(line="get /health/live HTTP/1.1"), frozenset({400, 405, 501, None})
    yield "no method", _get(line="/health HTTP/1.1"), BAD
    yield "HTTP 1.0", b"GET /health/live HTTP/1.0\r\n\r\n", frozenset({200})
    for version in ("HTTP/2.0", "HTTP/1.2", "HTTP/9.9", "HTTP/1", "HTTP/1.1.1", "http/1.1", "SIP/2.0", ""):
        allowed = frozenset({200, 400, 505, None}) if version == "HTTP/1.2" else frozenset({400, 505, None})
        yield f"version {version!r}", _get(line=f"GET /health/live {version}"), allowed
    yield "the preface of HTTP 2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frozenset({400, 404, 405, 505, None})
    yield (
        "absolute URI",
        _get(line="GET http://evil.example/admin/keys HTTP/1.1"),
        frozenset({400, 401, 404, None}),
    )
    yield "asterisk", _get(line="OPTIONS * HTTP/1.1"), frozenset({400, 404, 405, None})
    for path in STRANGE_PATHS:
        yield f"path {path}", _get(line=f"GET {path} HTTP/1.1"), frozenset({400, 401, 404, None})
    yield (
        "path of 64 KiB",
        _get(line=f"GET /{'a' * HEAVY_BYTES} HTTP/1.1"),
        frozenset({400, 404, 414, 431, None}),
    )
    yield (
        "query of 20 KiB",
        _get(line=f"GET /health/live?{'a' * 20_000} HTTP/1.1"),
        frozenset({400, 414, 431, None}),
    )
    yield "a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), BAD
    yield "binary", bytes(range(256)) * 4, BAD


def raw_cases() -> list[Case]:
    return [*_lengths(), *_header_blocks(), *_lines()]
