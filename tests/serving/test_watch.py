import threading

import pytest

from hilum.serving.watch import Watch


def test_a_look_that_fails_stops_neither_the_others_nor_the_next_turn(caplog: pytest.LogCaptureFixture):
    turns = 0
    enough = threading.Event()

    def fail() -> None:
        raise ValueError("DOE^JANE")

    def count() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            enough.set()

    watch = Watch([fail, count], every_s=0.01)
    watch.start()
    assert enough.wait(5)
    watch.stop()
    seen = turns
    assert not threading.Event().wait(0.05)
    assert turns == seen
    assert "a look failed" in caplog.text
    assert "DOE" not in caplog.text
    Watch([], every_s=1).stop()  # one that never began
