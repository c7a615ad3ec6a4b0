"""Long streams on a stepped clock: months in seconds, on both databases."""

import uuid
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest

from hilum.journal.record import Event
from hilum.journal.retention import run_retention
from hilum.monitoring.rollup import OUTCOMES, read_counts
from hilum.monitoring.signal import State
from hilum.monitoring.stream import Day
from tests.journal.conftest import PostgresServer, postgres, postgres_url  # noqa: F401 the server of its tests
from tests.monitoring.worlds import MODEL, START, World, draw_film, make_world


@pytest.fixture
def fresh_postgres(postgres: PostgresServer) -> Iterator[str]:  # noqa: F811
    import psycopg

    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE watched")
    yield postgres.url.replace("/postgres?", "/watched?")
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE watched WITH (FORCE)")


def test_120_days_of_usual_films_open_nothing_and_their_counts_outlive_their_records(world: World):
    begun = Event("admin", str(uuid.UUID(int=1)), "test", None, None, 0, code="begun")
    world.journal.append(begun)  # through the writer, which signs the head
    played, opened = {}, []
    for day in range(120):
        count = int(world.random.poisson(30))
        played[f"{world.midnight:%Y-%m-%d}"] = count
        films = [draw_film(world.random) for _ in range(count)]
        world.play(films, {place: films[place].label for place in range(0, count, 4)})
        if day % 2:
            opened += world.look().opened
    assert [(alert.name, alert.evidence["sentence"]) for alert in opened] == []
    assert world.look().assessment.find("psi:sharpness").state is State.OK  # type: ignore[union-attr]
    last = f"{world.midnight - timedelta(days=1):%Y-%m-%d}"
    world.clock.move_to(world.clock() + timedelta(days=300))
    outcome = run_retention(world.journal, world.clock(), confirmed=True)
    assert outcome.purged > 20 * 50
    assert world.journal.verify().ok
    with world.journal.storage.read() as connection:
        counts = read_counts(connection, since=f"{START:%Y-%m-%d}", until=last, models=(MODEL,))
    answered = {
        period: int(found[OUTCOMES.index("answered")])
        for (period, _, name), found in counts.items()
        if name == "outcomes"
    }
    assert answered == played


def test_both_databases_give_the_same_signals(tmp_path: Path, fresh_postgres: str):
    said = []
    for kind, url in (("sqlite", None), ("postgres", fresh_postgres)):
        folder = tmp_path / kind
        folder.mkdir()
        world = make_world(folder, url=url)
        days = []
        for _ in range(12):
            films = [draw_film(world.random) for _ in range(60)]
            world.stream.play(
                Day(films, {place: films[place].label for place in range(0, 60, 2)}), midnight=world.midnight
            )
            world.day += 1
            days.append([asdict(signal) for signal in world.look().assessment.signals])
        world.journal.close()
        said.append(days)
    assert said[0] == said[1]
    assert {signal["state"] for signal in said[0][-1]} >= {State.OK}
