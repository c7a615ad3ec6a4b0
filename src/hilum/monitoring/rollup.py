"""Journal records to counts of days and hours: what every window is added up from, and what outlives records.

Each record is counted once: how far counting has come is moved in the transaction that adds the counts, so a
kill in between loses nothing and several workers may do it. Counts lie on fixed grids
(`hilum.evaluation.histogram`), so no later change of a reference asks for the records again.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, insert, select, update

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import MONITOR_ROLLUP_RECORDS
from hilum.evaluation.histogram import count_cells, grid_edges
from hilum.imaging.film_statistics import STATISTICS
from hilum.inference.gate import EVERY_REFUSAL_CODE
from hilum.journal.record import read_facts
from hilum.journal.storage import Storage
from hilum.journal.tables import JournalRow, MonitorCountRow, MonitorMarkRow

ANSWERS = ("predict", "explain", "batch-item")
"""Kinds of records that are about a film."""
OUTCOMES = ("answered", "refused", "unusable", "repeated", "referred", "fallback")
"""Counts of films of a day, in this order: `refused` by the input gate, `unusable` for any other reason of
their own; the last three are of answered films."""
TRAFFIC = ("films", "requests", "server_errors", "shed")
"""Counts of an hour: films answered, recorded requests, those answered 5xx, and those refused for overload,
which are no errors."""
ANY_MODEL = "-"
"""Model of what no model answered."""

_MARK = "counted-through"
_OK, _BAD, _BROKEN = 200, 400, 500
_SHED_CODES = frozenset({"overload", "lockdown"})
_DAY, _HOUR = 10, 13  # characters of a moment
_COLUMNS = (
    JournalRow.seq, JournalRow.timestamp, JournalRow.kind, JournalRow.status, JournalRow.code,
    JournalRow.prediction, JournalRow.confidence, JournalRow.inference_time_ms, JournalRow.model_version,
    JournalRow.facts,
)  # fmt: skip
Key = tuple[str, str, str]
"""(period, model, name of the counts)."""
Counts = dict[Key, np.ndarray[Any, np.dtype[np.int64]]]


def catch_up(storage: Storage) -> int:
    """Count every record that was not counted yet; return how many.

    Raises
    ------
    JournalUnavailable
        The database does not answer; a rerun goes on from there.
    """
    total = 0
    while counted := _count_batch(storage):
        total += counted
    return total


def _count_batch(storage: Storage) -> int:
    with storage.read(is_long=True) as connection:
        through = _read_mark(connection)
        query = select(*_COLUMNS).where(JournalRow.seq > through).order_by(JournalRow.seq)
        rows = connection.execute(query.limit(MONITOR_ROLLUP_RECORDS)).mappings().all()
    if not rows:
        return 0
    counts = count_records(rows)
    with storage.write() as connection:
        if _read_mark(connection) != through:  # another worker was faster
            return 0
        _add(connection, counts)
        _write_mark(connection, int(rows[-1]["seq"]))
    return len(rows)


def count_records(rows: Iterable[RowMapping]) -> Counts:
    """Return the counts of some records, by period, model and name."""
    values: dict[Key, list[float]] = defaultdict(list)
    tallies: dict[tuple[str, str, str, int], int] = defaultdict(int)
    for row in rows:
        _note(row, values, tallies)
    counts: Counts = {
        (period, model, name): count_cells(_grid_of(name), np.array(found))
        for (period, model, name), found in values.items()
    }
    for (period, model, name, index), number in tallies.items():
        key = (period, model, name)
        if key not in counts:
            counts[key] = np.zeros(_length_of(name), np.int64)
        counts[key][index] += number
    return counts


def _note(
    row: RowMapping, values: dict[Key, list[float]], tallies: dict[tuple[str, str, str, int], int]
) -> None:
    day, hour, status = row["timestamp"][:_DAY], row["timestamp"][:_HOUR], row["status"]
    is_film = row["kind"] in ANSWERS
    if status >= _OK and row["kind"] != "monitor":
        tallies[hour, ANY_MODEL, "traffic", 1] += 1
        if row["code"] in _SHED_CODES:
            tallies[hour, ANY_MODEL, "traffic", 3] += 1
        elif status >= _BROKEN:
            tallies[hour, ANY_MODEL, "traffic", 2] += 1
    if not is_film:
        return
    if status >= _BAD:
        if status >= _BROKEN or row["code"] in _SHED_CODES:
            return
        is_refused = row["code"] in EVERY_REFUSAL_CODE
        tallies[day, ANY_MODEL, "outcomes", OUTCOMES.index("refused" if is_refused else "unusable")] += 1
        tallies[day, ANY_MODEL, f"code:{row['code']}"[:64], 0] += 1
        return
    model, facts = row["model_version"] or ANY_MODEL, read_facts(row["facts"])
    tallies[hour, ANY_MODEL, "traffic", 0] += 1
    tallies[day, model, "outcomes", 0] += 1
    for name in ("repeated", "referred", "fallback"):
        if facts.get(name):
            tallies[day, model, "outcomes", OUTCOMES.index(name)] += 1
    if row["prediction"] in CLASS_NAMES and row["confidence"] is not None:
        values[day, model, f"confidence:{row['prediction']}"].append(row["confidence"])
    if row["inference_time_ms"] is not None:
        values[hour, ANY_MODEL, "latency_ms"].append(row["inference_time_ms"])
    for name in STATISTICS:
        value = facts.get(f"pixels_{name}")
        if isinstance(value, int | float):
            values[day, model, name].append(value)


def _grid_of(name: str) -> str:
    return name.partition(":")[0]


def _length_of(name: str) -> int:
    if name == "outcomes":
        return len(OUTCOMES)
    if name == "traffic":
        return len(TRAFFIC)
    return 1 if name.startswith("code:") else len(grid_edges(_grid_of(name))) - 1


def _read_mark(connection: Connection) -> int:
    query = select(MonitorMarkRow.number).where(MonitorMarkRow.name == _MARK)
    return int(connection.execute(query).scalar_one_or_none() or 0)


def _write_mark(connection: Connection, seq: int) -> None:
    moved = update(MonitorMarkRow).where(MonitorMarkRow.name == _MARK).values(number=seq)
    if connection.execute(moved).rowcount == 0:
        connection.execute(insert(MonitorMarkRow), {"name": _MARK, "number": seq, "moment": None})


def _add(connection: Connection, counts: Counts) -> None:
    periods = sorted({period for period, _, _ in counts})
    query = select(
        MonitorCountRow.period, MonitorCountRow.model_version, MonitorCountRow.name, MonitorCountRow.counts
    ).where(MonitorCountRow.period.in_(periods))
    known = {
        (row.period, row.model_version, row.name): np.array(json.loads(row.counts), np.int64)
        for row in connection.execute(query)
    }
    fresh = []
    for (period, model, name), found in counts.items():
        old = known.get((period, model, name))
        if old is None:
            fresh.append(_to_row(period, model, name, found))
            continue
        changed = update(MonitorCountRow).where(
            MonitorCountRow.period == period,
            MonitorCountRow.model_version == model,
            MonitorCountRow.name == name,
        )
        connection.execute(changed.values(counts=json.dumps((old + found).tolist(), allow_nan=False)))
    if fresh:
        connection.execute(insert(MonitorCountRow), fresh)


def _to_row(period: str, model: str, name: str, counts: Any) -> dict[str, str]:
    return {
        "period": period,
        "model_version": model,
        "name": name,
        "counts": json.dumps(counts.tolist(), allow_nan=False),
    }


def read_counts(connection: Connection, *, since: str, until: str, models: Iterable[str]) -> Counts:
    """Return the counts of every period from `since` to `until` (days, both included) of some models."""
    query = select(
        MonitorCountRow.period, MonitorCountRow.model_version, MonitorCountRow.name, MonitorCountRow.counts
    ).where(
        MonitorCountRow.period >= since,
        MonitorCountRow.period < f"{until}U",  # hours of the last day are behind its day and before this
        MonitorCountRow.model_version.in_(list(models)),
    )
    return {
        (row.period, row.model_version, row.name): np.array(json.loads(row.counts), np.int64)
        for row in connection.execute(query)
    }
