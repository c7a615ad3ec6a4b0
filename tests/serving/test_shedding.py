"""What is refused at the connection is what the layers would have refused, in their words."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hilum.domain.thresholds import MAX_FILMS_IN_WORK, MAX_FILMS_OF_ONE_CALLER
from tests.serving.conftest import FILM, Running, Start
from tests.serving.process import Served, parse, read_to_end, request
from tests.serving.test_front_door import BODY, FORM, ask, scope

LENGTH = (b"content-length", b"4020")


def key_of(running: Running, role: str = "clinician") -> tuple[bytes, bytes]:
    return (b"x-api-key", running.keys[role].encode())


def fill(running: Running, films: int = MAX_FILMS_IN_WORK) -> None:
    """Let the key be known, the minute's record be written, and the places be taken."""
    assert running.predict().status_code == 200
    running.service.admission.films = MAX_FILMS_IN_WORK
    assert running.predict().status_code == 503
    running.service.admission.films = films


def shed(running: Running, *headers: tuple[bytes, bytes], **changed: Any) -> bytes | None:
    answer: bytes | None = running.client.app.state.shedder.refuse(scope(*headers, **changed))
    return answer


def head_and_body(answer: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
    return {name: value for name, _, value in lines}, json.loads(body)


def test_the_answer_is_that_of_the_layers(running: Running):
    fill(running)
    answer = shed(running, key_of(running), FORM, LENGTH)
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    headers, body = head_and_body(answer)
    layered = running.predict()
    own = {"x-request-id", "retry-after", "content-length"}
    assert {name: value for name, value in headers.items() if name not in own | {"connection"}} == {
        name: value for name, value in layered.headers.items() if name not in own
    }
    assert headers["connection"] == "close"
    assert int(headers["content-length"]) == len(answer.partition(b"\r\n\r\n")[2])
    assert 1 <= int(headers["retry-after"]) <= 5
    assert headers["x-request-id"] == body.pop("request_id")
    assert body == {name: value for name, value in layered.json().items() if name != "request_id"}


def test_refusals_are_counted_one_by_one_and_recorded_once_a_minute(running: Running):
    fill(running)
    before = running.service.limits._limiter.get_window_stats(
        running.service.limits._requests, running.key_ids["clinician"]
    )
    recorded = len(running.records("denied"))
    for _ in range(7):
        assert shed(running, key_of(running), FORM, LENGTH) is not None
    assert len(running.records("denied")) == recorded == 1
    after = running.service.limits._limiter.get_window_stats(
        running.service.limits._requests, running.key_ids["clinician"]
    )
    assert before.remaining - after.remaining == 7
    told = running.get("/metrics", "admin").text
    assert 'hilum_requests_total{route="/predict",status="503"} 8.0' in told
    assert "hilum_shed_total 8.0" in told
    assert running.service.shed == 7


Change = Callable[[Running], None]


def lock_down(running: Running) -> None:
    running.service.is_locked_down = True


def forget_keys(running: Running) -> None:
    running.service.stored_keys.forget()


def end_the_minute(running: Running) -> None:
    running.service.tally._since.clear()


def ask_a_store(running: Running) -> None:
    running.service.limits.is_remote = True


def free_a_place(running: Running) -> None:
    running.service.admission.films = MAX_FILMS_IN_WORK - 1


@pytest.mark.parametrize("change", [lock_down, forget_keys, end_the_minute, ask_a_store, free_a_place])
def test_what_has_to_be_looked_up_goes_through_the_layers(running: Running, change: Change):
    fill(running)
    assert shed(running, key_of(running), FORM, LENGTH) is not None
    change(running)
    assert shed(running, key_of(running), FORM, LENGTH) is None


def test_what_another_layer_refuses_is_left_to_it(running: Running):
    fill(running)
    key = key_of(running)
    running.get("/whoami", "auditor")
    left = {
        405: scope(key, FORM, LENGTH, method="PUT"),
        404: scope(key, FORM, LENGTH, path="/other"),
        400: scope(key, FORM, LENGTH, (b"transfer-encoding", b"chunked")),
        401: scope(FORM, LENGTH),
        403: scope(key_of(running, "auditor"), FORM, LENGTH),
        413: scope(key, FORM, (b"content-length", b"99999999999")),
        415: scope(key, (b"content-type", b"image/png"), LENGTH),
        431: scope(*[(b"x", b"y")] * 101),
    }
    for status, asked in left.items():
        assert running.client.app.state.shedder.refuse(asked) is None, status
        assert ask(running, asked, BODY)[0] == status
    assert shed(running, key, FORM, LENGTH) is not None


def test_a_key_beyond_its_rate_is_told_so_and_not_of_overload(start: Start):
    running = start(requests_per_minute=3)
    fill(running)
    assert shed(running, key_of(running), FORM, LENGTH) is not None
    assert shed(running, key_of(running), FORM, LENGTH) is None
    assert ask(running, scope(key_of(running), FORM, LENGTH), BODY)[0] == 429


def test_a_network_that_may_not_ask_is_not_told_of_overload(start: Start):
    running = start(allow="127.0.0.0/8")
    fill(running)
    outside = scope(key_of(running), FORM, LENGTH) | {"client": ("10.0.0.1", 1)}
    inside = scope(key_of(running), FORM, LENGTH) | {"client": ("127.0.0.1", 1)}
    shedder = running.client.app.state.shedder
    assert shedder.refuse(outside) is None
    assert shedder.refuse(inside) is not None


def test_one_caller_is_refused_beyond_its_share_while_others_are_let_in(running: Running):
    fill(running, films=MAX_FILMS_OF_ONE_CALLER)
    caller = running.key_ids["clinician"]
    running.get("/whoami", "admin")
    assert shed(running, key_of(running), FORM, LENGTH) is None
    running.service.admission._of[caller] = MAX_FILMS_OF_ONE_CALLER
    assert shed(running, key_of(running), FORM, LENGTH) is not None
    assert shed(running, key_of(running, "admin"), FORM, LENGTH) is None


def test_pages_of_other_origins_get_their_headers_from_the_layers(start: Start):
    running = start(cors_origins="https://ris.example")
    fill(running)
    assert shed(running, key_of(running), FORM, LENGTH) is not None
    assert shed(running, key_of(running), FORM, LENGTH, (b"origin", b"https://ris.example")) is None


def test_a_flood_gets_whole_answers_and_the_log_a_line_about_all(tmp_path: Path):
    with Served(tmp_path, environment={"HILUM_REQUESTS_PER_MINUTE": "100000"}) as served:
        slow = request(served.keys["clinician"], b"slow" + FILM)
        answers: list[bytes] = []

        def flood() -> None:
            with served.connect() as connection:
                connection.sendall(slow)
                answers.append(read_to_end(connection))

        threads = [threading.Thread(target=flood) for _ in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = [parse(answer)[0] for answer in answers]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= MAX_FILMS_OF_ONE_CALLER
        assert all(parse(answer)[1]["code"] == "overload" for answer in answers if b" 503 " in answer[:20])
    lines = [json.loads(line) for line in served.err.read_text().splitlines() if line.startswith("{")]
    together = [line["count"] for line in lines if line["message"] == "films were refused for overload"]
    alone = [line for line in lines if line.get("code") == "overload"]
    assert sum(together) + len(alone) == statuses.count(503)
    assert sum(together) > len(alone)
