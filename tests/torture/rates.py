"""Group J: exactly the limit whatever is killed, and a store of limits that hangs, is gone or is well."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from hilum.serving.limits import RateLimits
from hilum.serving.settings import read_settings
from tests.harness.processes import wait_until
from tests.harness.redis import Redis
from tests.harness.server import HttpAnswer, Server
from tests.reliability.conftest import GENEROUS, start
from tests.reliability.test_rate_limit import (
    ASKED,
    LIMIT,
    ask_a_window,
    fault_of_a_window,
    kill_one,
)

from .overload import quantile
from .sabotaged import break_here, sabotaged
from .trial import Finding, trial

WINDOWS, WORKERS, WINDOW_S = 20, 2, 60
ROUNDS, ONE_BY_ONE, AT_ONCE, CLIENTS = 5, 10, 100, 20
ANSWER_S, ANSWERED_SHARE, BACK_S = 0.1, 0.99, 1.0
COUNTS, COUNT_S = 10_000, 0.001


@trial(
    "J1",
    f"{ASKED:,} requests of one key within a minute over 20 connections and {WORKERS} workers, one of which"
    f" is killed in between, {WINDOWS} times, each time with another key",
    target=f"exactly {LIMIT} pass each time (fewer by what the store was too slow for), the others are told"
    f" to wait 1 to {WINDOW_S} s",
    sabotage="each worker counts for itself",
    alone=True,
)
def kill_while_counting(folder: Path, broken: bool) -> Finding:
    """Ask, kill, ask."""
    windows = WINDOWS if not broken else 1
    faults: list[str] = []
    passed = slow = 0
    longest = 0.0
    with (
        Redis(folder / "redis") as redis,
        sabotaged("limit-per-worker" if broken else None),
        _serving(folder, redis, HILUM_WORKERS=str(WORKERS)) as server,
    ):
        for number in range(windows):

            def disturb(number: int = number) -> None:
                kill_one(server, number)

            answers, seconds = ask_a_window(server, f"window {number}", disturb)
            longest = max(longest, seconds)
            passed += sum(answer.status == 200 for answer in answers)
            slow += sum(answer.status == 503 for answer in answers)
            if fault := fault_of_a_window(answers):
                faults.append(fault)
    return Finding(
        windows,
        not faults and longest < WINDOW_S,
        f"{passed} of {windows} x {LIMIT} passed, {slow} were not counted{'; ' + faults[0] if faults else ''}"
        f"; the slowest {ASKED:,} took {longest:.0f} s",
    )


@contextmanager
def _serving(folder: Path, redis: Redis, **settings: str) -> Iterator[Server]:
    server = start(folder / "data", environment={"HILUM_LIMITER_URL": redis.url, **settings})
    try:
        yield server
    finally:
        server.end()


@trial(
    "J6",
    f"the store of the limits stands still, is paused and is gone, {ROUNDS} times each, while {ONE_BY_ONE}"
    f" requests come one by one and {AT_ONCE} from {CLIENTS} clients at once",
    target=f"each answered 503 storage, {100 * ANSWERED_SHARE:.0f} % within {1000 * ANSWER_S:.0f} ms; 200"
    f" within {BACK_S:.0f} s of its return",
    sabotage="the store is given a second to answer",
    alone=True,
)
def lock_the_store(folder: Path, broken: bool) -> Finding:
    """Take the store away, ask, give it back."""
    environment = {"HILUM_VARIANT": "patient-with-store"} if broken else {}
    took: dict[str, list[float]] = {}
    wrong: list[str] = []
    slowest_back = 0.0
    with (
        Redis(folder / "redis") as redis,
        _serving(folder, redis, **GENEROUS, **environment) as server,
    ):
        for how, (take, give) in _ways(redis).items():
            for _ in range(ROUNDS if not broken else 1):
                assert _ask(server).status == 200
                take()
                try:
                    answers = [_ask(server) for _ in range(ONE_BY_ONE)]
                    with ThreadPoolExecutor(CLIENTS) as pool:
                        answers += pool.map(lambda _: _ask(server), range(AT_ONCE))
                finally:
                    give()
                began = time.monotonic()
                if not wait_until(lambda: _ask(server).status == 200, timeout_s=10, every_s=0.01):
                    wrong.append(f"{how}: not back")
                slowest_back = max(slowest_back, time.monotonic() - began)
                took.setdefault(how, []).extend(answer.elapsed_s for answer in answers)
                wrong += [
                    f"{how}: {one.status}" for one in answers if (one.status, one.code) != (503, "storage")
                ]
    late = {how: 1000 * quantile(times, ANSWERED_SHARE) for how, times in took.items()}
    return Finding(
        sum(map(len, took.values())),
        not wrong and max(late.values()) <= 1000 * ANSWER_S and slowest_back <= BACK_S,
        f"{len(wrong)} answered otherwise{': ' + wrong[0] if wrong else ''}; p99"
        f" {', '.join(f'{how} {milliseconds:.0f} ms' for how, milliseconds in late.items())}; back after"
        f" {slowest_back:.2f} s",
    )


def _ask(server: Server) -> HttpAnswer:
    return server.get("/whoami", role="clinician")


def _ways(redis: Redis) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Name the ways in which a store does not answer: how it is taken away, and given back."""
    return {
        "still": (lambda: redis.signal(signal.SIGSTOP), lambda: redis.signal(signal.SIGCONT)),
        "paused": (lambda: redis.ask("CLIENT PAUSE 60000 WRITE"), lambda: redis.ask("CLIENT UNPAUSE")),
        "gone": (redis.stop, redis.start),
    }


@trial(
    "J7",
    f"{COUNTS:,} requests counted in the store, one after the other",
    target=f"p95 <= {1000 * COUNT_S:.0f} ms",
    sabotage="the store of the limits is two milliseconds away",
    alone=True,
)
def count_in_the_store(folder: Path, broken: bool) -> Finding:
    """Count, and time each."""
    if broken:
        break_here("far-store")
    counts = COUNTS if not broken else COUNTS // 20
    took = []
    with Redis(folder / "redis") as redis:
        limits = RateLimits.open(read_settings(limiter_url=redis.url, requests_per_minute=2 * COUNTS))
        for _ in range(counts):
            began = time.perf_counter()
            limits.count_request("a")
            took.append(time.perf_counter() - began)
    p50, p95, most = (1000 * quantile(took, share) for share in (0.5, 0.95, 1.0))
    return Finding(
        counts,
        p95 <= 1000 * COUNT_S,
        f"p50 {p50:.2f} ms, p95 {p95:.2f} ms, at most {most:.1f} ms",
    )
