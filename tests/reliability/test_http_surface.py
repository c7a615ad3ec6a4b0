"""Group B: what a hostile or careless client can do with HTTP itself."""

import socket
import statistics
import time

import pytest

from tests.harness.films import drawn, real_png
from tests.harness.multipart import Part, form, one_file
from tests.harness.processes import wait_until
from tests.harness.raw_cases import BAD, Case, raw_cases
from tests.harness.raw_http import connect, exchange, is_closed_within
from tests.harness.server import Server
from tests.imaging.make_films import encode

from .conftest import fresh_address

STALLED = 20
STALLED_CLOSED_S = 15.0
GAUGE_S = 1.0
"""Until the gauge of films in work tells the present; it is set every half second."""
FRAGMENT_BYTES, MEBIBYTE = 16 * 1024, 1024 * 1024
HEADERS_OF_EVERY_ANSWER = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def raw_post(server: Server, path: str, *headers: str, key: str | None = None, length: int = 0) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {length}", *headers]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize("case", [pytest.param(case, id=case[0]) for case in raw_cases()])
def test_a_malformed_request_gets_one_refusal_or_none(served: Server, case: Case) -> None:
    _, data, allowed = case
    result = exchange(served.address, data, timeout_s=3.0, source=fresh_address())
    assert len(result.answers) <= 1, result.statuses
    status = result.statuses[0] if result.answers else None
    assert status in allowed
    if status is None:
        assert result.closed
    elif status >= 400 and result.answers[0].header("content-type") != "application/problem+json":
        # what the parser itself refuses never reaches the application: a few words and a closed connection
        assert allowed >= BAD or 400 in allowed
        assert len(result.answers[0].body) < 100
        assert result.closed


def test_pipelined_requests_are_answered_in_order_and_no_more_than_asked(served: Server) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    result = exchange(served.address, one * 100, expect=100, timeout_s=10)
    assert result.statuses == [200] * 100


def test_a_bad_key_is_refused_before_the_body_is_sent(served: Server) -> None:
    kind, _ = one_file(b"")
    for key in (None, "hilum_0123456789abcdef." + "A" * 43, "x" * 40):
        header = raw_post(served, "/predict", f"Content-Type: {kind}", key=key, length=32 * 1024 * 1024)
        result = exchange(
            served.address, [header, bytes(FRAGMENT_BYTES)], timeout_s=3, source=fresh_address()
        )
        assert result.statuses == [401]
        assert result.answers[0].header("connection") == "close"


def test_a_wrong_role_a_wrong_path_and_too_many_bytes_are_refused_before_the_body_too(served: Server) -> None:
    kind, _ = one_file(b"")
    for path, role, length, status in (
        ("/predict", "auditor", 1_000_000, 403),
        ("/nowhere", "clinician", 1_000_000, 404),
        ("/health", "clinician", 1_000_000, 405),
        ("/predict", "clinician", 64 * 1024 * 1024, 413),
        ("/predict/batch", "clinician", 80 * 1024 * 1024, 413),
        ("/feedback", "clinician", 10_000_000, 413),
    ):
        form_kind = "application/json" if path == "/feedback" else kind
        header = raw_post(served, path, f"Content-Type: {form_kind}", key=served.keys[role], length=length)
        result = exchange(served.address, header, timeout_s=3)
        assert result.statuses == [status], path
        assert result.answers[0].header("connection") == "close", path


def test_a_body_that_lies_about_its_length_by_chunks_stops_at_the_limit(served: Server) -> None:
    kind, body = one_file(bytes(33 * 1024 * 1024))
    head = "\r\n".join([
        "POST /predict HTTP/1.1", "Host: 127.0.0.1", "Transfer-Encoding: chunked", f"Content-Type: {kind}",
        f"Authorization: Bearer {served.keys['clinician']}", "", "",
    ]).encode()  # fmt: skip
    parts = (body[at : at + MEBIBYTE] for at in range(0, len(body), MEBIBYTE))
    pieces = (b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    result = exchange(served.address, [head, *pieces], timeout_s=20, expect=2)  # waits for the end
    assert result.statuses == [413]
    assert result.closed


def test_stalled_connections_are_closed_and_cost_the_others_little(served: Server) -> None:
    film = real_png(256)
    baseline = [served.predict(film).elapsed_s for _ in range(12)]
    kind, body = one_file(film)
    header = raw_post(
        served, "/predict", f"Content-Type: {kind}", key=served.keys["clinician"], length=len(body)
    )
    stalls = {
        "silent": b"",
        "HTTP 0.9": b"GET /health\r\n",
        "line feeds": b"\r\n" * 2_000,
        "header": header[:60],
        "body": header + body[:500],
        "all but the end": header + body[:-1],
    }
    open_connections: list[tuple[str, socket.socket]] = []
    started = time.monotonic()
    try:
        for kind_of_stall, data in stalls.items():
            for _ in range(STALLED):
                connection = connect(served.address)
                connection.sendall(data)
                open_connections.append((kind_of_stall, connection))
        meanwhile = [served.predict(film) for _ in range(12)]
        assert [answer.status for answer in meanwhile] == [200] * 12
        p50, p50_before = (
            statistics.median(values) for values in ([a.elapsed_s for a in meanwhile], baseline)
        )
        assert p50 <= 1.5 * p50_before + 0.05
        left = STALLED_CLOSED_S - (time.monotonic() - started)
        late = []
        for kind_of_stall, connection in open_connections:
            if not is_closed_within(connection, max(0.01, left - (time.monotonic() - started))):
                late.append(kind_of_stall)
        assert late == []
    finally:
        for _, connection in open_connections:
            connection.close()


def test_every_answer_has_the_security_headers_and_names_no_server(served: Server) -> None:
    answers = [
        served.get("/health"),
        served.get("/"),
        served.get("/nowhere"),
        served.get("/model/info", source=fresh_address()),
        served.get("/model/info", role="clinician"),
        served.request("PUT", "/health"),
        served.predict(b"no film"),
        served.predict(real_png()),
    ]
    for answer in answers:
        assert "server" not in answer.headers
        assert "x-powered-by" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "no-store" in answer.headers["cache-control"]
        assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_an_unlisted_origin_is_allowed_nothing(served: Server) -> None:
    for path, role in (("/health", None), ("/model/info", "clinician")):
        answer = served.get(path, role=role, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers
    preflight = served.request(
        "OPTIONS", "/predict",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )  # fmt: skip
    assert "access-control-allow-origin" not in preflight.headers


def test_ranges_of_a_static_file_cost_nothing(served: Server) -> None:
    path = "/static/main.js"
    whole = served.get(path)
    assert whole.status == 200
    many = ",".join(f"{at}-{at}" for at in range(0, 3_000, 2))
    for value in (
        f"bytes={many}",
        "bytes=0-",
        "bytes=-1",
        "bytes=5-1",
        "bytes=0-0,0-0,0-0",
        "lines=1-2",
        "bytes=a",
    ):
        answer = served.get(path, headers={"Range": value})
        assert answer.status in {200, 206, 400, 416}
        assert len(answer.body) <= len(whole.body) + 2_000
        assert answer.elapsed_s < 0.5
    for name in ("If-None-Match", "If-Match", "If-Range"):
        answer = served.get(path, headers={name: ",".join(['"x"'] * 1_500)})
        assert answer.status in {200, 304, 412}


HOSTILE_FORMS = {
    "another field": form(Part(b"film", name="image")),
    "no file": ("multipart/form-data; boundary=x", b"--x--\r\n"),
    "two files": form(Part(b"a"), Part(b"b")),
    "no boundary": ("multipart/form-data", b"abc"),
    "empty boundary": ("multipart/form-data; boundary=", b"--\r\n"),
    "boundary of 300 characters": form(Part(b"a"), boundary="b" * 300),
    "cut off": (one_file(b"film")[0], one_file(b"film")[1][:-20]),
    "10,001 parts": form(*[Part(b"a")] * 10_001),
    "a part header of 1 MiB": form(Part(b"a", headers=(("X-Long", "a" * 1_048_576),))),
    "10,000 part headers": form(Part(b"a", headers=tuple((f"X-{at}", "a") for at in range(10_000)))),
    "text for a form": ("multipart/form-data; boundary=x", b"not a form at all"),
    "nothing": ("multipart/form-data; boundary=x", b""),
    "json": ("application/json", b"{}"),
    "urlencoded": ("application/x-www-form-urlencoded", b"file=a"),
    "no content type": ("", b"abc"),
}


@pytest.mark.parametrize("case", HOSTILE_FORMS)
def test_a_hostile_form_is_refused_in_bounded_time(served: Server, case: str) -> None:
    kind, body = HOSTILE_FORMS[case]
    headers = {"Content-Type": kind} if kind else {}
    answer = served.request("POST", "/predict", role="clinician", body=body, headers=headers)
    assert answer.status in {400, 413, 415}
    assert answer.code is not None
    assert answer.elapsed_s < 2


def test_clients_that_leave_hold_no_place(served: Server) -> None:
    film = encode(drawn(512), "PNG")
    kind, body = one_file(film)
    header = raw_post(
        served, "/predict", f"Content-Type: {kind}", key=served.keys["clinician"], length=len(body)
    )
    data = header + body
    for share in range(12):
        for _ in range(3):
            connection = connect(served.address)
            connection.sendall(data[: len(data) * (share + 1) // 12])
            connection.close()
    assert served.predict(real_png()).status == 200
    time.sleep(GAUGE_S)
    assert wait_until(lambda: films_in_work(served) == 0, timeout_s=5)


def films_in_work(server: Server) -> float:
    text = server.get("/metrics", role="admin").body.decode()
    (line,) = (line for line in text.splitlines() if line.startswith("hilum_films_in_work "))
    return float(line.split()[1])
