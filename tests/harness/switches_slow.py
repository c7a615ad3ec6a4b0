"""Switches for the controls of `make torture`, where the tests that must fail are trials and not pytest's."""

from typing import Any

from .switch import Sabotage, nothing, replaced, value


def _read_each_time(predict: Any) -> Any:
    def reading(self: Any, data: bytes, **options: Any) -> Any:
        from hilum.registry.bundle import read_bundle

        read_bundle(self._network._model.folder)
        return predict(self, data, **options)

    return reading


def _cut_off(_: Any) -> Any:
    def handle_exit(self: Any, sig: int, frame: Any) -> None:
        del self, sig, frame
        import os

        os._exit(0)

    return handle_exit


def _blind(_: Any) -> Any:
    async def on_tick(self: Any, counter: int) -> bool:  # noqa: ARG001 - uvicorn's signature
        return bool(self.should_exit)

    return on_tick


def _ever_new(add: Any) -> Any:
    def adding(self: Any, *said: Any) -> Any:
        import uuid

        return add(self, *said[:4], str(uuid.uuid4()))

    return adding


def _by_the_wall(record: Any) -> Any:
    async def recorded(self: Any, events: Any) -> None:
        import time

        began = getattr(self, "began_by_the_wall", None)
        now = time.time()
        self.began_by_the_wall = now
        if began is not None and abs(now - began) > 600:  # noqa: PLR2004 - a clock that was moved
            raise RuntimeError("the clock was moved")
        await record(self, events)

    return recorded


def _closed_first(follow: Any) -> Any:
    def following(self: Any) -> None:
        old, self._active = self._active, None
        if old is not None:
            old.retire()
        follow(self)

    return following


SLOW = {
    "closed-first": Sabotage(
        "E",
        "a model is closed before the next one is open",
        {"hilum.serving.models_in_use": replaced("ModelsInUse._follow", _closed_first)},
        (),
    ),
    "ready-anyway": Sabotage(
        "F",
        "health says 200 whatever it found",
        {"hilum.serving.routes.health": value("_UNAVAILABLE", 200)},
        (),
    ),
    "read-each-time": Sabotage(
        "F",
        "the bundle is read again for each film",
        {"hilum.inference.engine": replaced("Engine.predict", _read_each_time)},
        (),
    ),
    "cut-off": Sabotage(
        "R",
        "SIGTERM ends the process at once",
        {"hilum.serving.server": replaced("DrainingServer.handle_exit", _cut_off)},
        (),
    ),
    "orphans": Sabotage(
        "R",
        "a worker does not look whether its parent lives",
        {"hilum.serving.server": replaced("DrainingServer.on_tick", _blind)},
        (),
    ),
    "lockdown-unseen": Sabotage(
        "U",
        "a worker never looks at the switch",
        {"hilum.serving.service": nothing("Service._look_at_switches")},
        (),
    ),
    "said-again-kept-again": Sabotage(
        "U",
        "a statement said twice is kept twice",
        {"hilum.journal.feedback": replaced("FeedbackStore.add", _ever_new)},
        (),
    ),
    "by-the-wall": Sabotage(
        "O",
        "a span of time is taken from the wall clock",
        {"hilum.serving.service": replaced("Service.record", _by_the_wall)},
        (),
    ),
}
"""None has tests: `scripts/teeth` does not know them."""
