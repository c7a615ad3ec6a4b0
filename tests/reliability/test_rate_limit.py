"""Group J: exactly the limit, over workers and whatever clients do; and who may ask at all."""

import ast
import os
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.films import real_png
from tests.harness.keys import issue
from tests.harness.processes import is_alive, wait_until
from tests.harness.raw_http import RawAnswer, exchange
from tests.harness.redis import Redis
from tests.harness.server import ROOT, Server
from tests.harness.workers import ask, connections_to_each

from .conftest import Serve

LIMIT, ASKED, CONNECTIONS = 100, 1_000, 20
ROUNDS, KILL_EVERY, BEFORE_THE_KILL = 12, 4, 60
WINDOW_S = 6
"""Of the variant short-window."""
STORE_ANSWER_S = 1.0
"""For an answer while the store is away; the 100 ms of RELIABILITY.md are measured in tests/torture."""

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server here"),
]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path / "redis") as store:
        yield store


def two_workers(redis: Redis, **settings: str) -> dict[str, str]:
    return {"HILUM_WORKERS": "2", "HILUM_LIMITER_URL": redis.url, **settings}


def ask_often(server: Server, key: str, count: int) -> list[RawAnswer]:
    """Ask over many connections at once, each of which stays open while it asks its share."""
    request = f"GET /whoami HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n".encode()

    def ask(share: int) -> list[RawAnswer]:
        found = exchange(server.address, [request] * share, expect=share, timeout_s=30)
        assert len(found.answers) == share, (found.statuses, found.rest)
        return found.answers

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        shares = [pool.submit(ask, count // CONNECTIONS) for _ in range(CONNECTIONS)]
        return [answer for share in shares for answer in share.result()]


def test_exactly_the_limit_is_let_through_over_two_workers_whatever_is_killed(
    redis: Redis, serve: Serve
) -> None:
    """Every round has a key of its own; in the middle of some a worker is killed."""
    server = serve(environment=two_workers(redis))
    for round_ in range(ROUNDS):

        def disturb(round_: int = round_) -> None:
            if round_ % KILL_EVERY == 0:
                kill_one(server, round_ // KILL_EVERY)

        answers, seconds = ask_a_window(server, f"round {round_}", disturb)
        assert seconds < 50, "too slow to say anything about one window"
        assert fault_of_a_window(answers) is None, f"round {round_}"


def ask_a_window(server: Server, label: str, disturb: Callable[[], None]) -> tuple[list[RawAnswer], float]:
    """Ask too often with a key of its own, disturbed in between; return the answers and the seconds."""
    _, key = issue(server, "clinician", label=label)
    started = time.monotonic()
    before = ask_often(server, key, BEFORE_THE_KILL)
    disturb()
    after = ask_often(server, key, ASKED - BEFORE_THE_KILL)
    return before + after, time.monotonic() - started


def fault_of_a_window(answers: list[RawAnswer]) -> str | None:
    """Say what is wrong with the answers of one window."""
    statuses = Counter(answer.status for answer in answers)
    # a busy machine may be too slow for the store's 80 ms: then nobody passes, and a place may be lost
    slow = statuses[503]
    if not LIMIT - slow <= statuses[200] <= LIMIT:
        return f"{statuses[200]} passed, {slow} were not counted"
    if statuses[200] + statuses[429] + slow != ASKED or slow > ASKED // 10:
        return str(dict(statuses))
    waits = [int(answer.header("retry-after") or 0) for answer in answers if answer.status == 429]
    return None if all(1 <= wait <= 60 for wait in waits) else f"told to wait {min(waits)} to {max(waits)} s"


def kill_one(server: Server, turn: int) -> None:
    """Kill a worker while both are there."""
    assert wait_until(lambda: len(server.workers()) == 2, timeout_s=30)
    kill(server.workers()[turn % 2])


def kill(worker: int) -> None:
    os.kill(worker, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(worker), timeout_s=5)


def test_two_workers_count_as_one(redis: Redis, serve: Serve) -> None:
    """Each is asked as often as the other, in turn."""
    server = serve(environment=two_workers(redis))
    _, key = issue(server, "clinician")
    request = f"GET /whoami HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n".encode()
    with connections_to_each(server, 1) as connections:
        rounds = [
            ask(connection, request * 10, 10) for _ in range(8) for (connection,) in connections.values()
        ]
    statuses = [[answer.status for answer in answers] for answers in rounds]
    assert statuses == [[200] * 10] * 10 + [[429] * 10] * 6


def test_a_refusal_costs_nothing_and_its_retry_after_is_right(serve: Serve) -> None:
    server = serve(environment={"HILUM_REQUESTS_PER_MINUTE": "5", "HILUM_VARIANT": "short-window"})
    _, other = issue(server, "clinician")
    headers = {"X-API-Key": server.keys["clinician"]}
    began = time.monotonic()
    assert [server.get("/whoami", headers=headers).status for _ in range(5)] == [200] * 5
    took = time.monotonic() - began  # on a busy machine the five places do not come free at once
    refused: list[tuple[float, int]] = []
    while time.monotonic() - began < 5.0:
        answer = server.get("/whoami", headers=headers)
        assert answer.status == 429
        refused.append((time.monotonic(), int(answer.headers["retry-after"])))
        time.sleep(0.2)
    assert server.get("/whoami", headers={"X-API-Key": other}).status == 200
    for at, wait in refused:
        assert abs((at + wait) - (began + WINDOW_S)) <= 1.2 + took  # seconds are whole
    time.sleep(max(0.0, refused[-1][0] + refused[-1][1] - time.monotonic()))
    assert server.get("/whoami", headers=headers).status == 200
    time.sleep(max(0.0, began + took + WINDOW_S + 0.1 - time.monotonic()))
    assert [server.get("/whoami", headers=headers).status for _ in range(4)] == [200] * 4
    assert server.get("/whoami", headers=headers).status == 429


def test_films_of_a_batch_are_counted_one_by_one(serve: Serve) -> None:
    server = serve(environment={"HILUM_IMAGES_PER_MINUTE": "7", "HILUM_REQUESTS_PER_MINUTE": "1000"})
    film = real_png(128)
    assert server.predict_batch(*[film] * 5).status == 200
    over = server.predict_batch(*[film] * 3)
    assert (over.status, over.code) == (429, "rate_limited")
    assert server.predict_batch(film, film).status == 200
    assert server.predict(film).status == 429


def test_without_its_store_the_limiter_lets_nobody_pass(redis: Redis, serve: Serve) -> None:
    server = serve(environment={"HILUM_LIMITER_URL": redis.url})
    assert server.get("/whoami", role="clinician").status == 200
    redis.stop()
    for _ in range(5):
        answer = server.get("/whoami", role="clinician")
        assert (answer.status, answer.code) == (503, "storage")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.elapsed_s < STORE_ANSWER_S
    assert server.get("/health/live").status == 200
    redis.start()
    assert wait_until(lambda: server.get("/whoami", role="clinician").status == 200, timeout_s=5)


def test_no_wall_clock_is_asked_about_a_limit(redis: Redis, serve: Serve) -> None:
    """Not by our code, and not by Redis for us: no time, and no key that ends by itself."""
    wall = {"time", "now", "utcnow", "today", "time_ns"}
    source = (ROOT / "src" / "hilum" / "serving" / "limits.py").read_text()
    names = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    assert names & wall == set()
    server = serve(environment={"HILUM_LIMITER_URL": redis.url})
    assert server.get("/whoami", role="clinician").status == 200
    assert server.get("/whoami", headers={"X-API-Key": "x"}).status == 401
    asked = redis.ask("INFO", "commandstats")
    commands = set(re.findall(r"cmdstat_([a-z]+)", asked))
    assert {"evalsha", "lpush"} <= commands
    assert commands & {"time", "expire", "pexpire", "expireat", "pexpireat", "setex", "psetex"} == set()
    assert "expires=0" in redis.ask("INFO", "keyspace")


def test_durations_of_the_service_are_on_the_monotonic_clock() -> None:
    found = [
        f"{path.name}:{node.lineno}"
        for path in sorted((ROOT / "src" / "hilum" / "serving").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "time" and getattr(node.value, "id", "") == "time"
    ]
    assert found == []
