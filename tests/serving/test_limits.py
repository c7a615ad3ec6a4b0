import random
import socket
import statistics
import threading
import time
from collections.abc import Iterator

import pytest

from hilum.domain.thresholds import LIMITER_STORE_TIMEOUT_S
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


def timeline(seed: int) -> Iterator[tuple[float, int]]:
    """Generate moments and amounts: trickles, bursts, and pairs around the end of a window."""
    rng = random.Random(seed)
    now = rng.uniform(0, 1e6)
    for _ in range(rng.randrange(6, 24)):
        kind = rng.random()
        now += rng.expovariate(0.2) if kind < 0.6 else rng.choice((0.0, 0.1, 59.8, 59.9, 60.0, 60.1))
        now = round(now * 64) / 64  # exact in every form that a moment takes on its way
        yield now, rng.choice((1, 2, 10, 50, 99, 100)) if kind > 0.3 else rng.randrange(1, 101)


def may_pass(accepted: list[tuple[float, int]], now: float, amount: int) -> bool:
    """The rule itself, slowly: the 60 s that end now hold at most 100."""
    return sum(had for moment, had in accepted if moment > now - 60) + amount <= 100


def fullest_minute(accepted: list[tuple[float, int]]) -> int:
    """The most that any 60 s hold, wherever they begin: a fullest one begins at a hit."""
    return max(sum(had for at, had in accepted if begin <= at < begin + 60) for begin, _ in accepted)


def follow(limits: RateLimits, clock: Clock, seed: int) -> list[tuple[float, int]]:
    """Play a timeline; check each answer against the rule, and return what passed."""
    accepted: list[tuple[float, int]] = []
    for now, amount in timeline(seed):
        clock.now = now
        expected = may_pass(accepted, now, amount)
        try:
            limits.count_images(str(seed), amount)
        except TooManyRequests:
            passed = False
        else:
            passed = True
            accepted.append((now, amount))
        assert passed == expected, (seed, now, amount)
    return accepted


def test_no_minute_of_ten_thousand_timelines_holds_more_and_nothing_is_refused_without_need():
    clock = Clock()
    limits = make(clock, images_per_minute=100)
    refused = 0
    for seed in range(10_000):
        accepted = follow(limits, clock, seed)
        assert fullest_minute(accepted) <= 100, seed
        refused += len(accepted) < len(list(timeline(seed)))
    assert refused > 5_000  # the timelines do press against the limit


def test_a_refused_request_passes_when_it_was_told_and_not_a_second_before():
    for seed in range(100):
        rng = random.Random(seed)
        clock = Clock()
        limits = make(clock, requests_per_minute=20)
        while count(limits, "a", 1):
            clock.now += rng.expovariate(2.0)
        with pytest.raises(TooManyRequests) as refusal:
            limits.count_request("a")
        assert refusal.value.retry_after_s is not None
        told = clock.now + refusal.value.retry_after_s
        clock.now = told - 1.001
        assert count(limits, "a", 1) == 0 or refusal.value.retry_after_s == 1
        clock.now = told
        assert count(limits, "a", 1) == 1


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 10 * 365.25 * 86_400, -10 * 365.25 * 86_400])
def test_a_wall_clock_that_jumps_changes_nothing(monkeypatch: pytest.MonkeyPatch, jump_s: float):
    real, real_ns = time.time, time.time_ns
    limits = RateLimits.open(read_settings())
    assert count(limits, "a", 60) == 60
    monkeypatch.setattr(time, "time", lambda: real() + jump_s)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(jump_s * 1e9))
    assert count(limits, "a", 60) == 40
    with pytest.raises(TooManyRequests) as refusal:
        limits.count_request("a")
    assert 55 <= (refusal.value.retry_after_s or 0) <= 60
    assert count(limits, "b", 101) == 100


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


@pytest.mark.alone
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


def test_no_minute_of_the_timelines_in_redis_holds_more(redis_url: str):
    clock = Clock()
    settings = read_settings(images_per_minute=100)
    for seed in range(400):
        clock.now = next(timeline(seed))[0]
        storage = RedisWindows(redis_url, clock, boot=f"machine {seed}")
        accepted = follow(RateLimits(storage, settings, clock), clock, seed)
        assert fullest_minute(accepted) <= 100, seed


def test_machines_whose_clocks_began_apart_share_one_window(redis_url: str):
    clocks = [Clock() for _ in range(3)]
    machines = [
        RateLimits(RedisWindows(redis_url, clock, boot=f"machine {number}"), read_settings(), clock)
        for number, clock in enumerate(clocks)
    ]
    clocks[1].now, clocks[2].now = 5e6, 3.0

    def pass_time(seconds: float) -> None:
        for clock in clocks:
            clock.now += seconds

    assert [count(machine, "a", 30) for machine in machines] == [30, 30, 30]
    pass_time(30)
    assert [count(machine, "a", 30) for machine in machines] == [10, 0, 0]
    pass_time(29.9)
    assert [count(machine, "a", 30) for machine in machines] == [0, 0, 0]
    pass_time(0.2)
    assert sum(count(machine, "a", 60) for machine in machines) == 90
    # one that was never seen, after an hour in which nobody asked, continues from where the others are
    pass_time(3600)
    late = Clock()
    newcomer = RateLimits(RedisWindows(redis_url, late, boot="late"), read_settings(), late)
    assert count(newcomer, "a", 1) == 0  # it cannot know of the hour: one minute more at most
    assert count(machines[0], "a", 200) == 100
    late.now += 0.01
    assert count(newcomer, "a", 1) == 0
    pass_time(60.1)
    late.now += 60.1
    assert count(newcomer, "a", 200) == 100
    assert count(machines[1], "a", 200) == 0


def test_a_message_that_was_held_up_does_not_turn_the_clock(redis_url: str):
    clock, behind = Clock(), Clock()
    limits, slow = (
        RateLimits(RedisWindows(redis_url, one, boot="same"), read_settings(), one) for one in (clock, behind)
    )
    assert count(limits, "a", 50) == 50
    for _ in range(30):
        clock.now += 1.0
        behind.now = clock.now - 5.0
        count(limits, "b", 1)
        assert count(slow, "c", 1) == 1
    assert count(slow, "a", 60) == 50
    clock.now += 29.9
    assert count(limits, "a", 1) == 0
    clock.now += 0.2
    assert count(limits, "a", 100) == 50


def test_windows_that_are_over_leave_nothing_in_redis(redis_url: str):
    clock = Clock()
    windows = RedisWindows(redis_url, clock, boot="here")
    for number in range(200):
        assert windows.acquire_entry(str(number), 5, 60)
    clock.now += 61
    for _ in range(30):
        windows.acquire_entry("last", 100, 60)
    names = {name.decode() for name in windows.storage.keys("*")}
    assert names == {"LIMITS:window/last", "LIMITS:hilum-clock", "LIMITS:hilum-windows"}
    assert windows.storage.zcard("LIMITS:hilum-windows") == 1


@pytest.mark.alone
def test_a_count_in_redis_costs_less_than_a_millisecond(redis_url: str):
    limits = RateLimits.open(read_settings(limiter_url=redis_url, requests_per_minute=10_000))
    took = []
    for _ in range(500):
        begun = time.perf_counter()
        limits.count_request("a")
        took.append(time.perf_counter() - begun)
    assert statistics.median(took) < 0.001  # RELIABILITY asks it of the 95th percentile, on an idle machine


@pytest.mark.alone
def test_windows_in_redis_move(redis_url: str):
    windows = RedisWindows(redis_url)
    assert [windows.acquire_entry("k", 3, 1) for _ in range(4)] == [True, True, True, False]
    assert windows.get_moving_window("k", 3, 1)[1] == 3
    assert not windows.acquire_entry("k", 3, 1, amount=4)
    time.sleep(1.05)
    assert windows.acquire_entry("k", 3, 1, amount=3)


@pytest.mark.alone
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


def test_a_store_that_hangs_keeps_one_waiting_and_not_everyone_behind_it():
    """Of those that ask while one finds out whether the store answers again, none waits for it."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        limits = RateLimits.open(read_settings(limiter_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        waits: list[float] = []

        def ask() -> None:
            begun = time.monotonic()
            with pytest.raises(Unavailable):
                limits.count_request("a")
            waits.append(time.monotonic() - begun)

        ask()
        threads = [threading.Thread(target=ask) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert waits[0] >= LIMITER_STORE_TIMEOUT_S
    assert sum(wait >= LIMITER_STORE_TIMEOUT_S for wait in waits[1:]) == 1


def test_a_store_that_answers_again_is_asked_by_everyone_again(redis_url: str):
    windows = RedisWindows(redis_url)
    limits = RateLimits(windows, read_settings(limiter_url=redis_url))
    acquire, windows._acquire = windows._acquire, None  # as good as one that is gone
    for _ in range(3):
        with pytest.raises(Unavailable):
            limits.count_request("a")
    windows._acquire = acquire
    assert count(limits, "a", 150) == 100


@pytest.mark.alone
def test_a_store_that_hangs_lets_nobody_pass_and_answers_soon():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        limits = RateLimits.open(read_settings(limiter_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            limits.count_request("a")
        assert time.monotonic() - begun < 1.0
