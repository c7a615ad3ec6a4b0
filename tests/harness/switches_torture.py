"""The product broken for the controls of tests/torture: there is no quick test that would notice these."""

from typing import Any

from .switch import Sabotage, replaced

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
    "unrecorded-answers": Sabotage(
        "P",
        "an answer whose record cannot be written leaves all the same",
        {"hilum.serving.service": replaced("Service.record", _carries_on)},
        (),
    ),
}
