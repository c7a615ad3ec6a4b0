"""Commands of drills: drill."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.domain.thresholds import DRILL_DAYS, DRILL_FILMS_PER_DAY

if TYPE_CHECKING:
    from hilum.inference.engine import Engine
    from hilum.monitoring.drill_films import FilmPool


def drill(
    every: Annotated[bool, typer.Option("--all", help="Every fault.")] = False,
    fault: Annotated[list[str] | None, typer.Option(help="One fault; repeatable.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Films, of whose test split streams are made; else phantoms."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Bundle; the shipped model by default.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same days.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Times that each fault is played.")] = 3,
    years: Annotated[int, typer.Option(min=0, help="Fault-free years.")] = 3,
    days: Annotated[int, typer.Option(min=1, help="Days that a fault lasts.")] = DRILL_DAYS,
    per_day: Annotated[float, typer.Option(min=1, help="Films of a working day.")] = DRILL_FILMS_PER_DAY,
    out: Annotated[Path, typer.Option(help="Folder; finished drills in it are kept.")] = Path(
        "reports/drills"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print the record.")] = False,
) -> None:
    """Play faults into a stream of films and say what the monitoring detects, how late, and what it misses.

    Exit code 1 when fault-free years give more false alarms than are bearable.
    """
    from hilum.domain.errors import ConfigError
    from hilum.inference.engine import Engine
    from hilum.monitoring.drill_run import DrillPlan, run_drills
    from hilum.monitoring.faults import FAULTS
    from hilum.registry.bundle import find_released

    names = tuple(FAULTS) if every else tuple(fault or ())
    unknown = sorted(set(names) - set(FAULTS))
    if unknown or not names:
        what = f"there is no fault {', '.join(unknown)}" if unknown else "name a --fault, or --all"
        raise ConfigError(f"drill: {what}; faults are {', '.join(FAULTS)}.")
    bundle = model or find_released()
    with closing(Engine.open(bundle)) as engine:
        pool = _open_pool(bundle, engine, data)
        plan = DrillPlan(names, repeats=repeats, years=years, days=days, per_day=per_day, seed=seed)
        record = run_drills(pool, plan, out)
    print(json.dumps(record, indent=1, allow_nan=False) if as_json else render(record))
    alarms = record["fault_free"]
    if alarms["years"] and alarms["per_year"] > alarms["required"]:
        raise typer.Exit(1)


def _open_pool(bundle: Path, engine: "Engine", data: Path | None) -> "FilmPool":
    from hilum.domain.errors import CheckpointError
    from hilum.monitoring.drill_films import FilmPool, draw_phantom_pool, read_films
    from hilum.progress import progress_bar, to_total

    if data is not None:
        if engine.reference is None:
            raise CheckpointError(f"{bundle}: carries no reference profile. Evaluate and register it again.")
        films = read_films(data)
        return FilmPool(films, engine, engine.reference, made_of=f"{len(films)} films of the test split")
    with progress_bar("drawing phantoms") as bar:
        return draw_phantom_pool(bundle, engine, progress=to_total(bar))


def render(record: dict[str, Any]) -> str:
    """Return the table for a terminal."""
    lines = [
        f"{record['films']}; {record['films_per_day']:g} films a working day, {record['repeats']} times"
        " each.",
        "",
        f"{'fault':20} {'detected':>8} {'days':>5} {'films':>6}  {'cause':28} alerts, first ones first",
    ]
    for row in record["faults"]:
        if "not_drilled" in row:
            lines.append(f"{row['fault']:20} not drilled: {row['not_drilled']}")
            continue
        detected = f"{row['detected']}/{row['repeats']}" if row["detected"] else "NO"
        days, films = (
            "" if row[name] is None else f"{row[name]:g}"
            for name in ("days_to_detection", "films_to_detection")
        )
        names = [*row["first"], *(name for name in row["all"] if name not in row["first"])]
        causes = ", ".join(dict.fromkeys(row["cause"]))
        lines.append(
            f"{row['fault']:20} {detected:>8} {days:>5} {films:>6}  {causes:28} "
            + (", ".join(name.removeprefix("Hilum") for name in names) or "none")
        )
    alarms = record["fault_free"]
    if alarms["years"]:
        lines += [
            "",
            f"Fault-free: {alarms['alarms']} alarms in {alarms['years']} simulated years,"
            f" {alarms['per_year']:.1f} a year (95 %: {alarms['low']:.1f} to {alarms['high']:.1f});"
            f" at most {alarms['required']:g} are bearable.",
            *(f"  {one['name']}: {one['sentence']}" for one in alarms["which"]),
        ]
    return "\n".join(lines)


COMMANDS = (drill,)
