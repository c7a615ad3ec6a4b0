"""Places are handed over in the order in which they were asked for, and none is lost."""

import threading
import time

from hilum.inference.turns import Turns


def test_who_waits_goes_before_who_asks_again_at_once():
    turns, served, end = Turns(1), threading.Event(), time.monotonic() + 10
    greedy_turns = 0

    def wait_once() -> None:
        with turns.take():
            served.set()

    with turns.take():
        waiter = threading.Thread(target=wait_once)
        waiter.start()
        while not turns._waiting and time.monotonic() < end:
            time.sleep(0.001)
    while not served.is_set() and time.monotonic() < end:
        with turns.take():
            greedy_turns += 1
    waiter.join()
    assert served.is_set()
    assert greedy_turns <= 1  # the one that it asked for when the other was served but had not said so


def test_no_more_than_the_places_are_taken_and_all_come_back():
    turns, lock, most = Turns(2), threading.Lock(), []
    held = 0

    def work() -> None:
        nonlocal held
        for _ in range(200):
            with turns.take():
                with lock:
                    held += 1
                    most.append(held)
                with lock:
                    held -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert max(most) <= 2
    assert len(most) == 6 * 200
    assert turns._free == 2


def test_a_failure_gives_its_place_back():
    turns = Turns(1)
    for _ in range(3):
        try:
            with turns.take():
                raise ValueError
        except ValueError:
            pass
    assert turns._free == 1


def test_one_interrupted_while_it_waits_leaves_the_line(monkeypatch):
    turns = Turns(1)
    with turns.take():
        monkeypatch.setattr(threading.Event, "wait", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        try:
            with turns.take():
                raise AssertionError
        except KeyboardInterrupt:
            pass
        monkeypatch.undo()
        assert not turns._waiting
    assert turns._free == 1
