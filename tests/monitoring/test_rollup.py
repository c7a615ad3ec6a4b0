import json
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import select

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.histogram import find_cells
from hilum.imaging.film_statistics import STATISTICS
from hilum.journal.record import Event
from hilum.journal.tables import MonitorCountRow
from hilum.journal.writer import append_events
from hilum.monitoring import rollup
from hilum.monitoring.rollup import ANY_MODEL, OUTCOMES, TRAFFIC, catch_up, read_counts
from tests.monitoring.worlds import CHAIN_KEY, MODEL, START, World, draw_film


def write(world: World, *events: Event) -> None:
    with world.journal.storage.write() as connection:
        append_events(connection, events, chain_key=CHAIN_KEY, clock=world.clock)


def answer(status: int, code: str | None = None, kind: str = "predict") -> Event:
    return Event(kind, "r", "/predict", None, None, status, code=code)


def count(world: World, name: str, model: str = ANY_MODEL) -> np.ndarray:
    catch_up(world.journal.storage)
    with world.journal.storage.read() as connection:
        found = read_counts(connection, since="2026-01-01", until="2026-12-31", models=[model])
    return sum(
        (counts for (_, _, counted), counts in found.items() if counted == name), np.zeros(1, np.int64)
    )


def test_every_film_is_in_each_histogram_once(world: World):
    films = [draw_film(world.random) for _ in range(30)]
    world.play(films)
    for name in STATISTICS:
        expected = find_cells(name, np.array([film.facts[f"pixels_{name}"] for film in films]))
        counts = count(world, name, MODEL)
        assert counts.sum() == 30
        assert sorted(np.repeat(np.arange(len(counts)), counts)) == sorted(expected)
    assert sum(int(count(world, f"confidence:{name}", MODEL).sum()) for name in CLASS_NAMES) == 30
    assert count(world, "outcomes", MODEL)[OUTCOMES.index("answered")] == 30


def test_what_was_counted_is_not_counted_again(world: World):
    world.play([draw_film(world.random) for _ in range(10)])
    assert (catch_up(world.journal.storage), catch_up(world.journal.storage)) == (10, 0)
    world.play([draw_film(world.random) for _ in range(5)])
    assert catch_up(world.journal.storage) == 5
    assert count(world, "outcomes", MODEL)[0] == 15


def test_batches_add_up_to_the_same_counts(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rollup, "MONITOR_ROLLUP_RECORDS", 7)
    world.play([draw_film(world.random) for _ in range(30)])
    assert catch_up(world.journal.storage) == 30
    assert count(world, "mean_grey", MODEL).sum() == 30


def test_a_kill_between_reading_and_writing_counts_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    world.play([draw_film(world.random) for _ in range(10)])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rollup, "_write_mark", die)  # after the counts were added, before the commit
        with pytest.raises(KeyboardInterrupt):
            catch_up(world.journal.storage)
    assert count(world, "outcomes", MODEL)[0] == 10


def test_two_workers_count_a_record_once(world: World, monkeypatch: pytest.MonkeyPatch):
    world.play([draw_film(world.random) for _ in range(10)])
    real = rollup.count_records

    def overtaken(rows: object) -> object:
        monkeypatch.setattr(rollup, "count_records", real)
        assert catch_up(world.journal.storage) == 10  # another worker, between reading and writing
        return real(rows)  # type: ignore[arg-type]

    monkeypatch.setattr(rollup, "count_records", overtaken)
    catch_up(world.journal.storage)
    assert count(world, "outcomes", MODEL)[0] == 10


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [(422, "inverted", "refused"), (422, "image_damaged", "unusable"), (413, "too_large", "unusable")],
)
def test_films_without_an_answer_are_counted_by_why(world: World, status: int, code: str, outcome: str):
    write(world, answer(status, code))
    assert count(world, "outcomes")[OUTCOMES.index(outcome)] == 1
    assert count(world, f"code:{code}").tolist() == [1]


def test_overload_is_shed_and_no_error(world: World):
    write(world, answer(503, "overload"), answer(503, "not_ready"), answer(500, "internal"), answer(200))
    traffic = dict(zip(TRAFFIC, count(world, "traffic").tolist(), strict=True))
    assert traffic == {"films": 1, "requests": 4, "server_errors": 2, "shed": 1}
    assert count(world, "outcomes").tolist() == [1, 0, 0, 0, 0, 0]  # the one that was answered


def test_what_is_no_film_is_traffic_alone(world: World):
    write(world, answer(200, kind="read-audit"), Event("model", "r", "service", None, None, 0))
    assert count(world, "traffic")[TRAFFIC.index("requests")] == 1
    assert count(world, "traffic")[TRAFFIC.index("films")] == 0


def test_a_record_with_damaged_facts_counts_as_an_answer_alone(world: World):
    write(world, Event("predict", "r", "/predict", None, None, 200, prediction="Normal", confidence=0.9,
                       model_version=MODEL, facts={"pixels_mean_grey": "much"}))  # fmt: skip
    assert count(world, "confidence:Normal", MODEL).sum() == 1
    assert count(world, "mean_grey", MODEL).sum() == 0


def test_days_and_hours_are_told_apart_by_their_periods(world: World):
    world.play([draw_film(world.random) for _ in range(20)])
    catch_up(world.journal.storage)
    with world.journal.storage.read() as connection:
        periods = set(connection.execute(select(MonitorCountRow.period)).scalars())
        on_the_day = read_counts(
            connection, since="2026-03-02", until="2026-03-02", models=[MODEL, ANY_MODEL]
        )
        before = read_counts(connection, since="2026-02-01", until="2026-03-01", models=[MODEL, ANY_MODEL])
    day = f"{START:%Y-%m-%d}"
    assert periods == {day, *(f"{START + timedelta(hours=hour):%Y-%m-%dT%H}" for hour in range(8, 18))}
    assert {period for period, _, _ in on_the_day} == periods
    assert before == {}


def test_counts_of_days_outlive_the_records_and_hold_no_group_of_fewer_than_five(world: World):
    from hilum.journal.retention import run_retention

    world.play([draw_film(world.random) for _ in range(20)])
    world.play([draw_film(world.random) for _ in range(4)])
    before = count(world, "mean_grey", MODEL)
    assert before.sum() == 24
    outcome = run_retention(world.journal, world.clock() + timedelta(days=366), confirmed=True)
    assert outcome.purged == 24
    assert count(world, "mean_grey", MODEL).sum() == 20
    assert count(world, "traffic").sum() == 0
    with world.journal.storage.read() as connection:
        kept = {json.dumps(row.counts): sum(json.loads(row.counts)) for row in connection.execute(
            select(MonitorCountRow.counts).where(MonitorCountRow.period < "2026-03-09"))}  # fmt: skip
    assert min(kept.values()) >= 5
