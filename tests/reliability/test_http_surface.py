"""Group B: what a hostile or careless client can do with HTTP itself."""

import socket
import statistics
import time

import pytest

from hilum.domain.thresholds import MAX_BODY_BYTES, MAX_FILE_BYTES
from tests.harness.canary import new_token
from tests.harness.films import drawn, real_png
from tests.harness.multipart import Part, form, one_file
from tests.harness.processes import wait_until
from tests.harness.raw_cases import BAD, Case, raw_cases
from tests.harness.raw_http import Exchange, connect, exchange, is_closed_within
from tests.harness.server import ROOT, HttpAnswer, Server
from tests.imaging.make_films import encode

from .conftest import GENEROUS, Serve, fresh_address

STALLED = 20
STALLED_CLOSED_S = 15.0
GAUGE_S = 1.0
"""Until the gauge of films in work tells the present; it is set every half second."""
LEAVE_POINTS, LEAVE_TIMES = 12, 20
PLANTED = 200
FILE_S = 0.1
"""For a file, whatever ranges are asked of it."""
FRAGMENT_BYTES, MEBIBYTE = 16 * 1024, 1024 * 1024
HEADERS_OF_EVERY_ANSWER = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def raw_post(server: Server, path: str, *headers: str, key: str | None = None, length: int = 0) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {length}", *headers]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    return "\r\n".join([*lines, "", ""]).encode()


def fault_of(case: Case, result: Exchange) -> str | None:
    """Say what is wrong with what a malformed request got; None for one refusal, or none and an end."""
    _, _, allowed = case
    if len(result.answers) > 1:
        return f"answered {result.statuses}"
    status = result.statuses[0] if result.answers else None
    if status not in allowed:
        return f"answered {status}"
    if status is None:
        return None if result.closed else "left open without an answer"
    (answer,) = result.answers
    if status >= 400 and answer.header("content-type") != "application/problem+json":
        # what the parser itself refuses never reaches the application: a few words and a closed connection
        is_of_the_parser = allowed >= BAD or 400 in allowed
        if not (is_of_the_parser and len(answer.body) < 100 and result.closed):
            return f"answered {status} with something else than a problem"
    return None


@pytest.mark.parametrize("case", [pytest.param(case, id=case[0]) for case in raw_cases()])
def test_a_malformed_request_gets_one_refusal_or_none(served: Server, case: Case) -> None:
    result = exchange(served.address, case[1], timeout_s=3.0, source=fresh_address())
    assert fault_of(case, result) is None


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
        ("/predict", "clinician", MAX_FILE_BYTES + MEBIBYTE, 413),
        ("/predict/batch", "clinician", MAX_BODY_BYTES + 1, 413),
        ("/feedback", "clinician", 10_000_000, 413),
    ):
        form_kind = "application/json" if path == "/feedback" else kind
        header = raw_post(served, path, f"Content-Type: {form_kind}", key=served.keys[role], length=length)
        result = exchange(served.address, header, timeout_s=3)
        assert result.statuses == [status], path
        assert result.answers[0].header("connection") == "close", path


def test_a_body_that_lies_about_its_length_by_chunks_stops_at_the_limit(served: Server) -> None:
    kind, body = one_file(bytes(MAX_FILE_BYTES + MEBIBYTE))
    head = "\r\n".join([
        "POST /predict HTTP/1.1", "Host: 127.0.0.1", "Transfer-Encoding: chunked", f"Content-Type: {kind}",
        f"Authorization: Bearer {served.keys['clinician']}", "", "",
    ]).encode()  # fmt: skip
    parts = (body[at : at + MEBIBYTE] for at in range(0, len(body), MEBIBYTE))
    pieces = (b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    result = exchange(served.address, [head, *pieces], timeout_s=20, expect=2)  # waits for the end
    assert result.statuses == [413]
    assert result.closed


@pytest.mark.alone
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


LISTED = "https://pacs.example"
UNLISTED = (
    "https://evil.example", "http://pacs.example", "https://pacs.example.evil.example", "https://evilpacs.example",
    "https://pacs.example:8443", "https://pacs.example/", "https://PACS.example", "https://pacs.example ,x",
    "null", "*", "", "file://", "https://x@pacs.example",
)  # fmt: skip


def test_only_the_listed_origin_is_named_and_never_a_star(serve: Serve) -> None:
    settings = {"HILUM_CORS_ORIGINS": LISTED, "HILUM_CORS_CREDENTIALS": "true"}
    server = serve(environment={**GENEROUS, **settings})
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    named = {}
    for origin in (LISTED, *UNLISTED):
        for answer in (
            server.get("/model/info", role="clinician", headers={"Origin": origin}),
            server.get("/model/info", headers={"Origin": origin}, source=fresh_address()),
            server.get("/nowhere", headers={"Origin": origin}),
            server.request("OPTIONS", "/predict", headers={"Origin": origin, **asks}),
        ):
            allowed = answer.headers.get("access-control-allow-origin")
            assert allowed in {None, LISTED}, origin
            assert allowed is None or "origin" in answer.headers["vary"].lower()
            named.setdefault(origin, set()).add(allowed)
    assert named == {LISTED: {LISTED}, **{origin: {None} for origin in UNLISTED}}


@pytest.mark.alone
def test_ranges_and_conditions_cost_nothing_on_any_file(served: Server) -> None:
    """As many ranges as a header holds, and 10,000 which none holds, on every file that is served."""
    source = ROOT / "src" / "hilum" / "serving" / "web"
    paths = ["/", *(f"/static/{path.relative_to(source)}" for path in source.rglob("*") if path.is_file())]
    assert len(paths) > 30
    fitting = "bytes=" + ",".join(["0-"] * 5_000)
    conditions = {name: ",".join(['"x"'] * 3_000) for name in ("If-None-Match", "If-Match", "If-Range")}
    cases = [{"Range": fitting}, *({name: value, "Range": "bytes=0-0"} for name, value in conditions.items())]
    slow = {}
    for path in paths:
        whole = served.get(path)
        assert whole.status == 200
        over = served.get(path, headers={"Range": "bytes=" + ",".join(["0-"] * 10_000)})
        assert (over.status, over.code) == (431, "headers_too_large")
        for headers in cases:
            fastest = FILE_S
            for _ in range(3):  # on a busy machine one may be late
                answer = served.get(path, headers=headers)
                assert answer.status in {200, 206, 304, 412, 416}
                assert len(answer.body) <= len(whole.body) + 2_000
                fastest = min(fastest, answer.elapsed_s)
                if fastest < FILE_S:
                    break
            else:
                slow[path, next(iter(headers))] = fastest
    assert slow == {}
    for value in ("bytes=-1", "bytes=5-1", "bytes=0-0,0-0,0-0", "lines=1-2", "bytes=a"):
        assert served.get(paths[-1], headers={"Range": value}).status in {200, 206, 400, 416}


def test_no_refusal_repeats_what_was_sent(served: Server) -> None:
    """Two hundred inputs, each in its own place, and each with a text of its own."""
    places = {
        "path": lambda text: served.get(f"/{text}", role="admin"),
        "file": lambda text: served.get(f"/static/{text}.js"),
        "query": lambda text: served.get(f"/audit?after={text}", role="auditor"),
        "name in the query": lambda text: served.get(f"/audit?{text}=1&limit={text}", role="auditor"),
        "request id": lambda text: served.get(f"/audit?request_id={text}", role="auditor"),
        "method": lambda text: served.request(text, "/health"),
        "credential": lambda text: served.get("/whoami", headers={"X-API-Key": text}, source=fresh_address()),
        "scheme": lambda text: served.get(
            "/whoami", headers={"Authorization": f"{text} {text}"}, source=fresh_address()
        ),
        "digest": lambda text: served.predict(real_png(128), headers={"Content-Digest": f"sha-256=:{text}:"}),
        "content type": lambda text: served.predict(b"x", headers={"Content-Type": f"image/{text}"}),
        "boundary": lambda text: served.predict(
            b"x", headers={"Content-Type": f"multipart/form-data; boundary={text}"}
        ),
        "encoding": lambda text: served.predict(b"x", headers={"Content-Encoding": text}),
        "film": lambda text: served.predict(text.encode() * 100),
        "field": lambda text: send_form(served, Part(text.encode(), name=text, filename=text)),
        "JSON value": lambda text: served.post_json("/feedback", {"kind": text, "label": text}, role="admin"),
        "JSON name": lambda text: served.post_json("/feedback", {text: {text: [text]}}, role="clinician"),
        "JSON": lambda text: served.request(
            "POST", "/feedback", role="clinician", body=b"{" + text.encode(),
            headers={"Content-Type": "application/json"},
        ),
        "label": lambda text: served.post_json("/admin/keys", {"label": text, "role": text}, role="admin"),
        "key": lambda text: served.request("DELETE", f"/admin/keys/{text}", role="admin"),
        "version": lambda text: served.post_json("/admin/models/promote", {"name": text}, role="admin"),
    }  # fmt: skip
    repeated, statuses = [], set()
    for number in range(PLANTED // len(places)):
        for place, send in places.items():
            text = new_token(f"{place} {number}")
            answer = send(text)
            statuses.add(answer.status)
            told = answer.body + repr(dict(answer.headers)).encode()
            if any(piece.encode() in told.upper() for piece in (text, text[:8], text[8:], text[::-1])):
                repeated.append((place, answer.status, answer.body))
            assert 400 <= answer.status < 500, place
            assert answer.code is not None, place
    assert repeated == []
    assert {400, 401, 404, 415, 422} <= statuses


def send_form(server: Server, *parts: Part) -> HttpAnswer:
    kind, body = form(*parts)
    return server.request("POST", "/predict", role="clinician", body=body, headers={"Content-Type": kind})


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


@pytest.mark.alone
@pytest.mark.parametrize("case", HOSTILE_FORMS)
def test_a_hostile_form_is_refused_in_bounded_time(served: Server, case: str) -> None:
    kind, body = HOSTILE_FORMS[case]
    headers = {"Content-Type": kind} if kind else {}
    answer = served.request("POST", "/predict", role="clinician", body=body, headers=headers)
    assert answer.status in {400, 413, 415}
    assert answer.code is not None
    assert answer.elapsed_s < 2


@pytest.mark.alone
def test_clients_that_leave_hold_no_place_and_cost_no_work(served: Server) -> None:
    """At twelve points of a request, twenty times each; a film that was not sent whole is never looked at."""
    film = encode(drawn(512), "PNG")
    kind, body = one_file(film)
    header = raw_post(
        served, "/predict", f"Content-Type: {kind}", key=served.keys["clinician"], length=len(body)
    )
    data = header + body
    looked_at = films_looked_at(served)
    for share in range(LEAVE_POINTS):
        for _ in range(LEAVE_TIMES):
            connection = connect(served.address)
            connection.sendall(data[: len(data) * (share + 1) // (LEAVE_POINTS + 1)])
            connection.close()
    # so many at once may for a moment hold every place that there is
    assert wait_until(lambda: served.predict(real_png()).status == 200, timeout_s=2)
    time.sleep(GAUGE_S)
    assert wait_until(lambda: films_in_work(served) == 0, timeout_s=2)
    assert films_looked_at(served) - looked_at == 1


def films_looked_at(server: Server) -> float:
    text = server.get("/metrics", role="admin").body.decode()
    (line,) = (line for line in text.splitlines() if line.startswith("hilum_inference_seconds_count "))
    return float(line.split()[1])


def films_in_work(server: Server) -> float:
    text = server.get("/metrics", role="admin").body.decode()
    (line,) = (line for line in text.splitlines() if line.startswith("hilum_films_in_work "))
    return float(line.split()[1])
