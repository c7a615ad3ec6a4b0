"""The product broken for the controls of tests/torture: there is no quick test that would notice these."""

import operator
from typing import Any

from .switch import Sabotage, replaced, value

LEAK_BYTES = 64 * 1024
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
    def trembling(run: Any, name: str) -> Any:
        import random
        from dataclasses import replace

        scores = score(run, name)
        return replace(scores, logits=scores.logits + random.choice((0.0, 3e-4, 1e-3)))

    return trembling


def _sums_to_more(scale: Any) -> Any:
    return lambda logits, temperature: scale(logits, temperature) * 1.001


TORTURE = {
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
