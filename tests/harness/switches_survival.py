"""Groups F and H broken: bundles that nobody checks, and records that are not on the disk."""

from typing import Any

from .switch import Sabotage, nothing, replaced

TESTS = "tests/reliability/test_survival.py"
_tasks: set[Any] = set()


def _later(record: Any) -> Any:
    async def recorded_later(self: Any, events: Any) -> None:
        import asyncio

        async def do() -> None:
            await asyncio.sleep(0.2)
            await record(self, events)

        task = asyncio.ensure_future(do())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    return recorded_later


def _normal(connect: Any) -> Any:
    def lazy(self: Any) -> Any:
        connection = connect(self)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    return lazy


def _only_first(first: Any) -> Any:
    def one(self: Any, besides: str | None = None) -> Any:  # noqa: ARG001 - the signature of models_in_use
        candidate = next(self._source.candidates(), None)
        self._wanted = candidate.name if candidate else None
        return self._try(candidate) if candidate else first(self)

    return one


def _unchecked(_: Any) -> Any:
    def read(folder: Any) -> Any:
        import json

        from hilum.registry.bundle import BUNDLE_FILE, Bundle

        return Bundle(folder, json.loads((folder / BUNDLE_FILE).read_text()))

    return read


def _satisfied(verify: Any) -> Any:
    def always(self: Any) -> Any:
        from dataclasses import replace

        return replace(verify(self), ok=True)

    return always


SURVIVAL = {
    "answer-before-record": Sabotage(
        "H",
        "an answer leaves before its record is written",
        {"hilum.serving.service": replaced("Service.record", _later)},
        (
            f"{TESTS}::test_what_was_acknowledged_before_a_kill_is_in_the_journal",
            f"{TESTS}::test_every_answer_leaves_after_its_record_is_on_the_disk",
        ),
    ),
    "synchronous-normal": Sabotage(
        "H",
        "commits are not flushed: a power cut loses them, though kill -9 does not",
        {"hilum.journal.sqlite_file": replaced("SqliteFile.connect", _normal)},
        (f"{TESTS}::test_every_answer_leaves_after_its_record_is_on_the_disk",),
    ),
    "content-verifier": Sabotage(
        "H",
        "verifying the chain finds nothing wrong, ever",
        {"hilum.journal.journal": replaced("Journal.verify", _satisfied)},
        (f"{TESTS}::test_a_flipped_bit_of_a_record_is_found",),
    ),
    "unread-indexes": Sabotage(
        "H",
        "nobody compares the journal's indexes with its records",
        {"hilum.journal.journal": nothing("find_structure_fault")},
        (f"{TESTS}::test_a_flipped_bit_of_a_record_is_found",),
    ),
    "unchecked-bundles": Sabotage(
        "F",
        "checksums of a bundle are not compared",
        {"hilum.registry.bundle": replaced("read_bundle", _unchecked)},
        (f"{TESTS}::test_a_bundle_damaged_before_the_start_is_replaced_by_the_one_before",),
    ),
    "untested-models": Sabotage(
        "F",
        "a model is used without its self-test",
        {"hilum.inference.graphs": nothing("GraphNetwork.self_test")},
        (f"{TESTS}::test_versions_change_under_load_and_no_request_fails",),
    ),
    "no-fallback": Sabotage(
        "F",
        "nothing replaces a production bundle that cannot be opened",
        {"hilum.serving.models_in_use": replaced("ModelsInUse._first_that_works", _only_first)},
        (f"{TESTS}::test_a_bundle_damaged_before_the_start_is_replaced_by_the_one_before",),
    ),
}
