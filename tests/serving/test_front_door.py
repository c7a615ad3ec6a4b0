"""What is refused before the first byte of a body: the order of the checks, on plain ASGI scopes."""

import asyncio
from typing import Any

import pytest

from hilum.domain.thresholds import MAX_HEADER_BYTES
from hilum.serving.access import TABLE, AccessTable
from hilum.serving.front_door import check_headers, check_length, check_type
from hilum.serving.refusals import BadRequest, HeadersTooLarge, TooLarge, UnsupportedType
from tests.serving.conftest import Running, Start

PREDICT = TABLE["POST", "/predict"]
HEALTH = TABLE["GET", "/health"]


def scope(
    *headers: tuple[bytes, bytes], method: str = "POST", path: str = "/predict", query: bytes = b""
) -> Any:
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
        "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "",
        "headers": list(headers), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1),
    }  # fmt: skip


def ask(
    running: Running, asked: Any, chunks: list[bytes] | None = None
) -> tuple[int, dict[bytes, bytes], int]:
    """Return status, headers and how many messages of the body were taken."""
    taken = 0
    sent: list[Any] = []
    waiting = list(chunks or [])

    async def receive() -> Any:
        nonlocal taken
        if not waiting:
            return {"type": "http.disconnect"}
        taken += 1
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    async def go() -> None:
        await running.client.app(asked, receive, send)

    running.client.portal.call(go)
    return sent[0]["status"], dict(sent[0]["headers"]), taken


FORM = (b"content-type", b"multipart/form-data; boundary=X")
BODY = [b"--X\r\n" + b"a" * 1000] * 4


def test_a_bad_key_is_refused_before_a_byte_of_the_body_is_taken(running: Running):
    bad = (b"authorization", b"Bearer hilum_" + b"0" * 16 + b"." + b"A" * 43)
    status, headers, taken = ask(running, scope(bad, FORM, (b"content-length", b"30000000")), BODY)
    assert (status, taken) == (401, 0)
    assert headers[b"www-authenticate"] == b"Bearer"
    assert headers[b"connection"] == b"close"


def test_every_refusal_of_the_front_door_comes_before_the_body(start: Start):
    running = start(requests_per_minute=1)
    key = {role: (b"x-api-key", running.keys[role].encode()) for role in running.keys}
    length = (b"content-length", b"4020")
    cases = {
        405: scope(FORM, length, method="PUT"),
        404: scope(FORM, length, path="/other"),
        400: scope(key["clinician"], FORM, length, (b"transfer-encoding", b"chunked")),
        401: scope(FORM, length),
        403: scope(key["auditor"], FORM, length),
        413: scope(key["clinician"], FORM, (b"content-length", b"99999999999")),
        431: scope(*[(b"x", b"y")] * 101),
    }
    for status, asked in cases.items():
        assert ask(running, asked, BODY)[::2] == (status, 0), status
    status, _, taken = ask(running, scope(key["clinician"], (b"content-type", b"image/png"), length), BODY)
    assert (status, taken) == (415, 0)
    status, headers, taken = ask(running, scope(key["clinician"], FORM, length), BODY)
    assert (status, taken) == (429, 0)
    assert 1 <= int(headers[b"retry-after"]) <= 60


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(running: Running):
    key = (b"x-api-key", running.keys["clinician"].encode())
    running.service.admission.films = 10
    status, headers, taken = ask(running, scope(key, FORM, (b"content-length", b"4020")), BODY)
    assert (status, taken) == (503, 0)
    assert 1 <= int(headers[b"retry-after"]) <= 10
    running.service.admission.films = 0
    assert running.predict().status_code == 200
    assert (running.service.admission.uploads, running.service.admission.upload_bytes) == (0, 0)


def test_more_bytes_than_declared_or_allowed_are_refused_while_they_come(running: Running):
    key = (b"x-api-key", running.keys["clinician"].encode())
    json_type = (b"content-type", b"application/json")
    chunked = (b"transfer-encoding", b"chunked")
    status, _, taken = ask(running, scope(key, json_type, chunked, path="/feedback"), [b" " * 10_000] * 100)
    assert (status, taken) == (413, 2)


def test_a_client_that_leaves_frees_its_place(running: Running):
    key = (b"x-api-key", running.keys["clinician"].encode())
    status, _, _ = ask(running, scope(key, FORM, (b"content-length", b"4020")), [])
    assert status == 400
    assert running.service.admission.uploads == 0


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")], BadRequest),
        ([(b"content-length", b"1"), (b"content-length", b"1")], BadRequest),
        ([(b"content-length", b"-1")], BadRequest),
        ([(b"content-length", "١".encode())], BadRequest),
        ([(b"transfer-encoding", b"gzip, chunked")], BadRequest),
        ([(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"identity")], BadRequest),
        ([(b"host", b"a"), (b"host", b"b")], BadRequest),
        ([(b"x", b"y" * MAX_HEADER_BYTES)], HeadersTooLarge),
    ],
)
def test_headers_that_contradict_themselves_are_refused(
    headers: list[tuple[bytes, bytes]], error: type[Exception]
):
    with pytest.raises(error):
        check_headers(scope(*headers))


def test_a_length_is_returned_when_there_is_one():
    assert check_headers(scope((b"content-length", b"12"))) == 12
    assert check_headers(scope((b"transfer-encoding", b"Chunked"))) is None


def test_a_body_where_none_is_taken_is_refused():
    check_length(scope((b"content-length", b"0"), method="GET"), HEALTH, 0)
    with pytest.raises(BadRequest):
        check_length(scope((b"content-length", b"1"), method="GET"), HEALTH, 1)
    with pytest.raises(BadRequest):
        check_length(scope((b"transfer-encoding", b"chunked"), method="GET"), HEALTH, None)
    with pytest.raises(TooLarge):
        check_length(scope(), PREDICT, PREDICT.max_bytes + 1)


def test_types_and_encodings_are_those_of_the_route():
    check_type(scope(FORM, (b"content-encoding", b"identity")), PREDICT)
    with pytest.raises(UnsupportedType, match="Encoded"):
        check_type(scope(FORM, (b"content-encoding", b"gzip")), PREDICT)
    with pytest.raises(UnsupportedType, match="multipart/form-data"):
        check_type(scope((b"content-type", b"image/png")), PREDICT)
    with pytest.raises(UnsupportedType, match="application/json"):
        check_type(scope(), TABLE["POST", "/feedback"])


def test_paths_are_found_as_they_are_written():
    table = AccessTable()
    assert table.find("/predict").methods["POST"] is PREDICT
    assert table.find("/predict/") is None
    assert table.find("//predict") is None
    assert table.find("/admin/keys/abc").endpoint == "/admin/keys/{key_id}"
    assert table.find("/admin/keys/abc/def") is None
    assert table.find("/static/a/b.js").endpoint == "/static/{path:path}"


@pytest.mark.alone
def test_the_event_loop_is_not_held_up_by_a_slow_engine(running: Running):
    """While films are answered the loop still turns: what blocks is in threads."""
    longest = 0.0

    async def probe() -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        until = loop.time() + 1.2
        while (before := loop.time()) < until:
            await asyncio.sleep(0.005)
            longest = max(longest, loop.time() - before - 0.005)

    future = running.client.portal.start_task_soon(probe)
    assert running.predict(b"slow film").status_code == 200
    future.result()
    assert longest < 0.25
