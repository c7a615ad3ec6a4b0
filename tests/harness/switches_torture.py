"""The product broken for the controls of tests/torture: there is no quick test that would notice these."""

import itertools
import operator
from typing import Any

from .switch import Sabotage, nothing, replaced, value

LEAK_BYTES = 64 * 1024
STEADY_SCORES = 40
_kept: list[bytearray] = []


def _leaks(predict: Any) -> Any:
    def leaking(self: Any, data: bytes, **options: Any) -> Any:
        _kept.append(bytearray(b"x" * LEAK_BYTES))  # touched, or the kernel would not give it
        return predict(self, data, **options)

    return leaking


def _answers_another(predict: Any) -> Any:
    last: list[Any] = []

    def mixed_up(self: Any, data: bytes, **options: Any) -> Any:
        found = predict(self, data, **options)
        last.append(found)
        return last.pop(0) if len(last) > 1 else found

    return mixed_up


def _carries_on(record: Any) -> Any:
    async def forgiving(self: Any, events: Any) -> None:
        from hilum.domain.errors import JournalUnavailable

        try:
            await record(self, events)
        except JournalUnavailable:
            return

    return forgiving


def _swaps(make: Any) -> Any:
    def swapped(*, request_id: str, items: list[Any]) -> Any:
        turned = [item.model_copy(update={"index": at}) for at, item in enumerate(reversed(items))]
        return make(request_id=request_id, items=turned)

    return swapped


def _trembles(score: Any) -> Any:
    asked = itertools.count()

    def trembling(run: Any, name: str) -> Any:
        import random
        from dataclasses import replace

        scores = score(run, name)
        if next(asked) < STEADY_SCORES:  # the films that a model is tried with before it is used
            return scores
        return replace(scores, logits=scores.logits * random.choice((1.0, 1.001, 1.01)))

    return trembling


def _sums_to_more(scale: Any) -> Any:
    return lambda logits, temperature: scale(logits, temperature) * 1.001


def _in_the_loop(_: Any) -> Any:
    async def with_films(self: Any, receive: Any, work: Any, *, caller: str) -> Any:  # noqa: ARG001 - the service's signature
        return work()

    return with_films


def _asks_a_host(read: Any) -> Any:
    def asking(data: Any, **options: Any) -> Any:
        import socket

        socket.create_connection(("192.0.2.1", 80), timeout=1).close()  # RFC 5737: nobody's
        return read(data, **options)

    return asking


TORTURE = {
    "any-memory": Sabotage(
        "W",
        "the service starts within any limit of its address space",
        {"hilum.serving.memory": nothing("check_address_space")},
        (),
    ),
    "asks-a-host": Sabotage(
        "V",
        "reading a film asks a host first",
        {"hilum.imaging.intake": replaced("read_radiograph", _asks_a_host)},
        (),
    ),
    "films-in-the-loop": Sabotage(
        "X",
        "films are decoded and judged in the event loop",
        {"hilum.serving.service": replaced("Service.with_films", _in_the_loop)},
        (),
    ),
    "silent-workers": Sabotage(
        "R",
        "nobody asks a worker whether it still answers",
        {"hilum.serving.server": replaced("_Worker.ping", lambda _: lambda *_arguments, **_options: True)},
        (),
    ),
    "leaking-films": Sabotage(
        "S",
        f"each film leaves {LEAK_BYTES // 1024} KiB behind",
        {"hilum.serving.models_in_use": replaced("ModelsInUse.predict", _leaks)},
        (),
    ),
    "mixed-up-films": Sabotage(
        "C",
        "an answer is that of the film before",
        {"hilum.serving.models_in_use": replaced("ModelsInUse.predict", _answers_another)},
        (),
    ),
    "swapped-batches": Sabotage(
        "C",
        "the answers of a batch come in another order",
        {"hilum.serving.films": replaced("BatchOut", _swaps)},
        (),
    ),
    "trembling-network": Sabotage(
        "C",
        "the network does not always say the same",
        {"hilum.inference.runtime": replaced("_to_scores", _trembles)},
        (),
    ),
    "careless-softmax": Sabotage(
        "C",
        "probabilities sum to 1.001",
        {"hilum.inference.answer": replaced("scale", _sums_to_more)},
        (),
    ),
    "unrecorded-answers": Sabotage(
        "P",
        "an answer whose record cannot be written leaves all the same",
        {"hilum.serving.service": replaced("Service.record", _carries_on)},
        (),
    ),
    "plain-comparison": Sabotage(
        "I",
        "digests are compared with ==",
        {"hilum.journal.chain": value("is_same", operator.eq)},
        (),
    ),
}
