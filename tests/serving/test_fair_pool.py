"""Who has little in work goes before who has much; nobody's work is lost or done twice."""

import threading
from concurrent.futures import CancelledError

import pytest

from hilum.serving.fair_pool import FairPool


def order_of(pool: FairPool, asked: list[str]) -> list[str]:
    """Return the order in which a pool of one thread works for callers that wait together."""
    gate, done = threading.Event(), []
    first = pool.submit(gate.wait, caller="nobody")
    futures = [pool.submit(lambda caller=caller: done.append(caller), caller=caller) for caller in asked]
    gate.set()
    for future in (first, *futures):
        future.result(10)
    return done


def test_callers_take_turns_whatever_each_has_sent():
    pool = FairPool(1, name="t")
    assert order_of(pool, ["archive"] * 5 + ["ward"] * 2) == ["archive", "ward"] * 2 + ["archive"] * 3
    pool.shutdown()


def test_one_caller_alone_is_served_in_its_order():
    pool, done = FairPool(1, name="t"), []
    futures = [pool.submit(lambda number=number: done.append(number), caller="a") for number in range(9)]
    for future in futures:
        future.result(10)
    assert done == list(range(9))
    pool.shutdown()


def test_a_caller_with_films_at_work_waits_for_one_that_has_none():
    pool = FairPool(2, name="t")
    gate, begun, done = threading.Event(), threading.Barrier(3), []

    def long() -> None:
        begun.wait(10)
        gate.wait(10)

    long_ones = [pool.submit(long, caller="archive") for _ in range(2)]
    begun.wait(10)
    rest = [pool.submit(lambda: done.append("archive"), caller="archive") for _ in range(3)]
    ward = pool.submit(lambda: done.append("ward"), caller="ward")
    gate.set()
    for future in (*long_ones, *rest, ward):
        future.result(10)
    assert done[0] == "ward"
    pool.shutdown()
    assert not pool._at_work
    assert not pool._waiting


def test_what_was_called_off_is_not_done_and_errors_reach_who_waits():
    pool = FairPool(1, name="t")
    gate, done = threading.Event(), []
    pool.submit(gate.wait, caller="a")
    called_off = pool.submit(lambda: done.append(1), caller="a")
    broken = pool.submit(lambda: 1 // 0, caller="a")
    assert called_off.cancel()
    gate.set()
    with pytest.raises(ZeroDivisionError):
        broken.result(10)
    with pytest.raises(CancelledError):
        called_off.result(10)
    assert not done
    pool.shutdown()


def test_a_caller_that_had_a_turn_is_not_overtaken_by_newcomers():
    pool, done = FairPool(1, name="t"), []
    gate, begun = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        gate.wait(10)

    held = pool.submit(hold, caller="ward")
    begun.wait(10)
    asked = ["ward", *(f"newcomer {number}" for number in range(9))]
    futures = [pool.submit(lambda caller=caller: done.append(caller), caller=caller) for caller in asked]
    gate.set()
    for future in (held, *futures):
        future.result(10)
    assert done == asked
    pool.shutdown()
