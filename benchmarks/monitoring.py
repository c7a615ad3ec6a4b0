"""What monitoring costs and whether it keeps: 120 days with retention, two databases, five million records.

    python benchmarks/monitoring.py [--rows 5000000] [--only days,databases,rows]

Answers are drawn from the released model's reference profile. The records of the last part are copied into
PostgreSQL without links of the chain (so that journal does not verify, and is not asked to): what is measured
is counting and judging them.
"""

import argparse
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import func, select, text

from commit import current_commit
from hilum.evaluation.reference_profile import ReferenceProfile, read_reference
from hilum.journal.clock import format_utc
from hilum.journal.journal import Journal
from hilum.journal.record import Event
from hilum.journal.retention import run_retention
from hilum.journal.tables import JournalRow
from hilum.monitoring.monitor import Monitor
from hilum.monitoring.report import make_report
from hilum.monitoring.rollup import ANY_MODEL, OUTCOMES, catch_up, read_counts
from hilum.monitoring.stream import Day, SteppedClock, Stream
from hilum.registry.bundle import find_released, read_bundle
from postgres_server import postgres_server
from reference_films import draw_answers

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "monitoring.json"
PARTS = ("days", "databases", "rows")
KEY = b"a chain key of a benchmark: 32 b"
START = datetime(2026, 3, 2, tzinfo=UTC)
PER_DAY, QUIET = 40, 8
WARM_UP = 40
LABELLED = 0.3
SIMULATED_DAYS = 120
YEAR = 365
REPORT_DAYS = 90
LABELS_A_DAY = 100


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", default=",".join(PARTS))
    arguments = parser.parse_args()
    bundle = read_bundle(find_released())
    model, weights = str(bundle.facts["name"]), str(bundle.facts["weights_sha256"])
    reference = read_reference(find_released(), weights_sha256=weights)
    assert reference is not None
    known = json.loads(MEASURED.read_text()) if MEASURED.is_file() else {}
    parts: dict[str, Callable[[], Any]] = {
        "days": lambda: measure_days(model, reference),
        "databases": lambda: compare_databases(model, reference),
        "rows": lambda: measure_rows(model, reference, arguments.rows),
    }
    for name in arguments.only.split(","):
        known[name] = {"commit": current_commit(), **parts[name]()}
        print(name, json.dumps(known[name], indent=1), flush=True)
        record = {"command": "python benchmarks/monitoring.py", "model": model}
        MEASURED.write_text(json.dumps({**record, **{part: known[part] for part in PARTS if part in known}},
                                       indent=1) + "\n")  # fmt: skip


class World:
    """A journal on a stepped clock that usual days are played into."""

    def __init__(
        self, url: str, folder: Path, model: str, reference: ReferenceProfile, start: datetime
    ) -> None:
        self.clock = SteppedClock(start)
        self.journal = Journal.open(
            url, chain_key=KEY, clock=self.clock, checkpoints=folder / "heads.checkpoints"
        )
        self.stream = Stream(self.journal, self.clock, model_version=model, seed=5, user_id="clinician_1")
        self.monitor = Monitor(self.journal)
        self.model, self.reference, self.midnight = model, reference, start
        self.random = np.random.default_rng(5)
        self.films: dict[str, int] = {}

    def play(self, expected: float = PER_DAY) -> None:
        """Play a day."""
        count = int(self.random.poisson(expected))
        films = draw_answers(self.reference, count, self.random)
        labels = {place: films[place].label for place in range(count) if self.random.random() < LABELLED}
        self.stream.play(Day(films, labels), midnight=self.midnight)
        self.films[f"{self.midnight:%Y-%m-%d}"] = count
        self.midnight += timedelta(days=1)


def measure_days(model: str, reference: ReferenceProfile) -> dict[str, Any]:
    """Simulate 120 days with daily looks and retention, a year after as many days whose records fall due."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(
            f"sqlite:///{folder}/j.sqlite", Path(folder), model, reference, START - timedelta(days=YEAR)
        )
        world.journal.append(Event("admin", str(uuid.UUID(int=1)), "bench", None, None, 0, code="begun"))
        forgotten = {"anonymised": 0, "purged": 0}

        def forget() -> None:
            outcome = run_retention(world.journal, world.clock())
            forgotten["anonymised"] += outcome.anonymised
            forgotten["purged"] += outcome.purged

        started = time.perf_counter()
        for day in range(YEAR):  # a year ago: as many busy days, then quiet ones
            world.play(QUIET if SIMULATED_DAYS <= day < YEAR - WARM_UP else PER_DAY)
            forget()
        world.monitor.look(model, reference)
        preloaded = time.perf_counter() - started
        print("preloaded", round(preloaded, 1), forgotten, flush=True)
        before = {**forgotten}
        started, cpu = time.perf_counter(), time.process_time()
        opened = []
        for _ in range(SIMULATED_DAYS):
            world.play()
            opened += [alert.name for alert in world.monitor.look(model, reference).opened]
            forget()
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        verdict = world.journal.verify()
        kept, records = count_kept(world)
        world.journal.close()
    return {
        "days": SIMULATED_DAYS,
        "films": sum(list(world.films.values())[-SIMULATED_DAYS:]),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "anonymised": forgotten["anonymised"] - before["anonymised"],
        "purged": forgotten["purged"] - before["purged"],
        "records_left": records,
        "journal_verifies": verdict.ok,
        "journal_problem": verdict.reason,
        "days_counted": len(kept),
        "films_counted": sum(kept.values()),
        "films_played": sum(world.films.values()),
        "alerts": opened,
    }


def count_kept(world: World) -> tuple[dict[str, int], int]:
    """Return answered films by day as the monitor still counts them, and the records left in the journal."""
    days = sorted(world.films)
    with world.journal.storage.read() as connection:
        counts = read_counts(connection, since=days[0], until=days[-1], models=(world.model, ANY_MODEL))
        records = int(connection.execute(select(func.count()).select_from(JournalRow)).scalar_one())
    answered = OUTCOMES.index("answered")
    return {
        period: int(found[answered]) for (period, _, name), found in counts.items() if name == "outcomes"
    }, records


def compare_databases(model: str, reference: ReferenceProfile, days: int = 40) -> dict[str, Any]:
    """Play one stream into SQLite and PostgreSQL and compare every signal of every day."""
    said = []
    with postgres_server() as url, tempfile.TemporaryDirectory() as folder:
        for place in (f"sqlite:///{folder}/j.sqlite", url):
            kind = place.partition(":")[0]
            (Path(folder) / kind).mkdir()
            world = World(place, Path(folder) / kind, model, reference, START)
            assessments = []
            for _ in range(days):
                world.play()
                look = world.monitor.look(model, reference)
                assessments.append([plain(asdict(signal)) for signal in look.assessment.signals])
            said.append(assessments)
            world.journal.close()
    pairs = [pair for day in zip(*said, strict=True) for pair in zip(*day, strict=True)]
    return {
        "days": days,
        "signals_compared": len(pairs),
        "different": sum(one != other for one, other in pairs),
    }


def plain(value: Any) -> Any:
    """Return JSON values, for comparing."""
    return json.loads(json.dumps(value, default=str))


def measure_rows(model: str, reference: ReferenceProfile, rows: int) -> dict[str, Any]:
    """Fill PostgreSQL with records of a year, count them, and time the report."""
    with postgres_server() as url, tempfile.TemporaryDirectory() as folder:
        clock = SteppedClock(START)
        journal = Journal.open(url, chain_key=KEY, clock=clock, checkpoints=Path(folder) / "h.checkpoints")
        with timed() as filling:
            fill(journal, model, reference, rows)
        print("filled", filling, flush=True)
        with timed() as counting:
            counted = catch_up(journal.storage)
        print("counted", counted, counting, flush=True)
        monitor = Monitor(journal)
        with timed() as judging:
            monitor.assess(model, reference)
        with timed() as reporting:
            report = make_report(monitor, model, reference, days=REPORT_DAYS)
        with timed() as again:
            make_report(monitor, model, reference, days=REPORT_DAYS)
        journal.close()
    states: dict[str, int] = {}
    for signal in report.assessment.signals:
        states[str(signal.state)] = states.get(str(signal.state), 0) + 1
    return {
        "rows": rows,
        "rows_a_day": rows // YEAR,
        "labels_a_day": LABELS_A_DAY,
        "fill": filling,
        "first_count": {
            **counting,
            "records": counted,
            "records_a_second": round(counted / counting["seconds"]),
        },
        "assess": judging,
        "report": reporting,
        "report_again": again,
        "states": states,
    }


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Give a record that holds wall and processor seconds of this process afterwards."""
    spent: dict[str, float] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield spent
    spent["seconds"] = round(time.perf_counter() - wall, 2)
    spent["cpu_seconds"] = round(time.process_time() - cpu, 2)


def fill(journal: Journal, model: str, reference: ReferenceProfile, rows: int) -> None:
    """Copy records of a year, and readers' labels of the last weeks, into the database; no links."""
    random = np.random.default_rng(3)
    films = draw_answers(reference, 5_000, random)
    tails = [
        f"200\t\\N\t{film.prediction}\t{film.confidence}\t{30 + 5 * random.random():.3f}\t{model}\t"
        + json.dumps(film.facts, separators=(",", ":"), sort_keys=True)
        for film in films
    ]
    step = timedelta(days=YEAR) / rows
    link = "0" * 64
    columns = (
        "seq, timestamp, kind, request_id, endpoint, status, code, prediction, confidence,"
        " inference_time_ms, model_version, facts, hash"
    )
    with journal.storage.engine.connect() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.patience_s = 3600.0
        for index in ("journal_request", "journal_kind", "journal_timestamp"):
            connection.execute(text(f"DROP INDEX {index}"))
        begin = START - timedelta(days=YEAR)
        with raw.cursor() as cursor, cursor.copy(f"COPY journal ({columns}) FROM STDIN") as copy:
            for first in range(0, rows, 5_000):
                chosen = random.integers(0, len(tails), min(5_000, rows - first))
                copy.write("".join(
                    f"{first + place + 1}\t{format_utc(begin + (first + place) * step)}\tpredict"
                    f"\t{first + place:036d}\t/predict\t{tails[film]}\t{link}\n"
                    for place, film in enumerate(chosen)
                ))  # fmt: skip
        connection.execute(text("CREATE INDEX journal_request ON journal (request_id)"))
        connection.execute(text("CREATE INDEX journal_kind ON journal (kind, seq)"))
        connection.execute(text("CREATE INDEX journal_timestamp ON journal (timestamp)"))
        labels = label_rows(connection, rows, random)
        with raw.cursor() as cursor:
            with cursor.copy(
                "COPY feedback (id, created_at, request_id, kind, label, user_id, once) FROM STDIN"
            ) as copy:
                copy.write("".join(labels))
            cursor.execute("ANALYZE")
        connection.commit()


def label_rows(connection: Any, rows: int, random: np.random.Generator) -> list[str]:
    """Return labels of the last 28 days, each what the film was called or, one in twenty, Normal."""
    days, a_day = 28, rows // YEAR
    lines = []
    for back in range(days):
        last = rows - back * a_day
        moment = format_utc(START - timedelta(days=back, hours=1))
        numbers = last - random.choice(a_day, size=min(LABELS_A_DAY, a_day // 2), replace=False)
        query = select(JournalRow.request_id, JournalRow.prediction).where(
            JournalRow.seq.in_(numbers.tolist())
        )
        for request_id, prediction in connection.execute(query):
            is_wrong = random.random() < 1 / 20
            label, kind = ("Normal", "misdiagnosis") if is_wrong else (prediction, "confirmed")
            key = f"{len(lines):064d}"
            lines.append(f"{len(lines):036d}\t{moment}\t{request_id}\t{kind}\t{label}\treader\t{key}\n")
    return lines


if __name__ == "__main__":
    main()
