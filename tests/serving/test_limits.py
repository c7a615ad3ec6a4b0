import random
import socket
import threading
import time

import pytest

from hilum.serving.limits import MonotonicWindows, RateLimits, RedisWindows
from hilum.serving.refusals import TooManyRequests, Unavailable
from hilum.serving.settings import read_settings
from tests.serving.conftest import FILM, Start


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make(clock: Clock, **settings: int) -> RateLimits:
    return RateLimits(MonotonicWindows(clock), read_settings(**settings), clock)


def count(limits: RateLimits, key: str, times: int) -> int:
    accepted = 0
    for _ in range(times):
        try:
            limits.count_request(key)
        except TooManyRequests:
            continue
        accepted += 1
    return accepted


def test_exactly_a_hundred_pass_in_a_minute():
    limits = make(Clock())
    assert count(limits, "a", 1000) == 100
    assert count(limits, "b", 100) == 100  # keys do not share


def test_no_window_of_a_minute_holds_more_whatever_its_alignment():
    clock = Clock()
    limits = make(clock)
    clock.now = 1059.9
    assert count(limits, "a", 100) == 100
    clock.now = 1060.1
    assert count(limits, "a", 100) == 0  # a fixed window would let them through
    clock.now = 1119.91
    assert count(limits, "a", 101) == 100


def test_no_window_of_any_random_timeline_holds_more():
    for seed in range(60):
        rng = random.Random(seed)
        clock = Clock()
        limits = make(clock, requests_per_minute=20)
        accepted: list[float] = []
        for _ in range(300):
            clock.now += rng.expovariate(1.0)
            if count(limits, "a", 1):
                accepted.append(clock.now)
        assert len(accepted) > 60
        for index, moment in enumerate(accepted[20:]):
            assert moment - accepted[index] >= 60, seed


def test_retry_after_is_when_the_next_request_passes():
    clock = Clock()
    limits = make(clock, requests_per_minute=3)
    for step in (0.0, 7.0, 5.0):
        clock.now += step
        limits.count_request("a")
    for _ in range(3):
        with pytest.raises(TooManyRequests) as refusal:
            limits.count_request("a")
        wait = refusal.value.retry_after_s
        assert wait is not None
        clock.now += wait
        limits.count_request("a")
        assert wait <= 60


def test_refused_requests_do_not_count():
    clock = Clock()
    limits = make(clock, requests_per_minute=1)
    limits.count_request("a")
    for _ in range(59):
        clock.now += 1
        assert count(limits, "a", 1) == 0
    clock.now += 1
    assert count(limits, "a", 1) == 1


def test_threads_together_get_no_more_than_the_limit():
    limits = make(Clock())
    passed: list[int] = []
    threads = [threading.Thread(target=lambda: passed.append(count(limits, "a", 50))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 100


def test_keys_that_ask_no_more_are_forgotten(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    windows = MonotonicWindows(clock)
    monkeypatch.setattr("hilum.serving.limits._FORGET_ABOVE_KEYS", 10)
    for index in range(50):
        clock.now += 10
        windows.acquire_entry(str(index), 5, 60)
    assert len(windows._hits) <= 11
    assert windows.check()
    assert windows.get_moving_window("49", 5, 60)[1] == 1
    windows.clear("49")
    assert windows.get_moving_window("49", 5, 60)[1] == 0
    assert windows.reset() > 0


def test_films_have_a_budget_of_their_own(start: Start):
    running = start(images_per_minute=12)
    assert running.batch(*[FILM] * 10).status_code == 200
    assert running.predict().status_code == 200
    answer = running.batch(FILM, FILM)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) <= 60
    assert running.predict().status_code == 200


def test_refusals_are_recorded_once_a_minute_for_a_key(start: Start):
    running = start(requests_per_minute=2)
    assert [running.predict().status_code for _ in range(5)] == [200, 200, 429, 429, 429]
    (record,) = running.records("denied")
    assert (record.code, record.status, record.user_id) == ("rate_limited", 429, running.key_ids["clinician"])
    assert running.get("/whoami", "auditor").status_code == 200


def test_workers_share_one_limit_in_redis(redis_url: str):
    workers = [RateLimits.open(read_settings(limiter_url=redis_url)) for _ in range(2)]
    passed: list[int] = []
    threads = [
        threading.Thread(target=lambda worker=worker: passed.append(count(worker, "a", 100)))
        for worker in workers * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 100
    with pytest.raises(TooManyRequests) as refusal:
        workers[0].count_request("a")
    assert 58 <= (refusal.value.retry_after_s or 0) <= 60
    assert workers[0].is_remote


def test_windows_in_redis_move(redis_url: str):
    windows = RedisWindows(redis_url)
    assert [windows.acquire_entry("k", 3, 1) for _ in range(4)] == [True, True, True, False]
    assert windows.get_moving_window("k", 3, 1)[1] == 3
    assert not windows.acquire_entry("k", 3, 1, amount=4)
    time.sleep(1.05)
    assert windows.acquire_entry("k", 3, 1, amount=3)


def test_a_store_that_is_down_lets_nobody_pass_and_answers_at_once():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        port = closed.getsockname()[1]
        limits = RateLimits.open(read_settings(limiter_url=f"redis://127.0.0.1:{port}/0"))
        waits = []
        for _ in range(3):  # the fastest: the machine may be busy with other things
            begun = time.monotonic()
            with pytest.raises(Unavailable) as refusal:
                limits.count_request("a")
            waits.append(time.monotonic() - begun)
            assert refusal.value.code == "storage"
        assert min(waits) < 0.1


def test_a_store_that_hangs_lets_nobody_pass_and_answers_soon():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        limits = RateLimits.open(read_settings(limiter_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            limits.count_request("a")
        assert time.monotonic() - begun < 1.0
