"""The page's section on watching a model in use, from docs/measured/{drills,two-sample,monitoring}.json."""

from typing import Any

from tables import figure, read_measured, table

Record = dict[str, Any]


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    drills, test, cost = (read_measured(name) for name in ("drills", "two-sample", "monitoring"))
    if drills is None and test is None and cost is None:
        return []
    return [
        "## Is a fault in use noticed?",
        "",
        *(_drills(drills) if drills else []),
        *(_two_sample(test) if test else []),
        *(_cost(cost) if cost else []),
    ]


def _drills(record: Record) -> list[str]:
    lines = []
    for run in record["runs"]:
        lines += [
            f"`{run['command']}`, commit `{run['commit']}`, model `{run['model']}`: {run['films']}, held"
            f" against {run['reference']}; {run['films_per_day']:g} films a working day,"
            f" {run['warm_up_days']} usual days and then {run['days']} days of a fault,"
            f" {_times(run['repeats'])}, looked at once a day. Days and films are those"
            " to the first alert that names the fault, the day's own included.",
            "",
            *table(
                ["fault", "detected", "days", "films", "first alerts", "later", "cause in words"],
                [_drill_row(row) for row in run["faults"] if "not_drilled" not in row],
            ),
            *(
                f"- not drilled: {row['fault']}, {row['not_drilled']}."
                for row in run["faults"]
                if "not_drilled" in row
            ),
            *_missed(run["faults"]),
            "",
            *_false_alarms(run["fault_free"]),
        ]
    return lines


def _times(repeats: int) -> str:
    return "each once" if repeats == 1 else f"each {repeats} times"


def _drill_row(row: Record) -> list[str]:
    later = [name for name in row["all"] if name not in row["first"]]
    return [
        row["title"],
        f"{row['detected']} of {row['repeats']}" if row["detected"] else "**not detected**",
        _number(row["days_to_detection"]),
        _number(row["films_to_detection"]),
        _names(row["first"]),
        _names(later),
        ", ".join(dict.fromkeys(row["cause"])),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _names(names: list[str]) -> str:
    return ", ".join(name.removeprefix("Hilum") for name in names) or "none"


def _missed(rows: list[Record]) -> list[str]:
    missed = [row["fault"] for row in rows if row.get("detected") == 0]
    return [f"- **not detected**: {', '.join(missed)}."] if missed else []


def _false_alarms(alarms: Record) -> list[str]:
    if not alarms["years"]:
        return []
    return [
        f"Fault-free: {alarms['alarms']} alarms in {alarms['years']} simulated years of"
        f" {alarms['films']} films, {alarms['per_year']:.1f} a year (95 %, Poisson: {alarms['low']:.1f} to"
        f" {alarms['high']:.1f}); at most {alarms['required']:g} are bearable."
        " Weekends, holidays and uneven days are in it.",
        *(f"- {one['name']}: {one['sentence']}" for one in alarms["which"]),
        "",
    ]


def _two_sample(record: Record) -> list[str]:
    scipy, psi = record["against_scipy"], record["psi"]
    rows = [
        [name, *(figure(one, percent=True) for one in found.values())]
        for name, found in record["false_positives"].items()
    ]
    levels = [f"at {level}, %" for level in next(iter(record["false_positives"].values()))]
    windows = list(next(iter(record["power"].values())))
    worst = max(psi["rows"].values(), key=lambda row: row["value"])
    over, trials = (sum(row[name] for row in psi["rows"].values()) for name in ("events", "trials"))
    return [
        f"`{record['command']}`, commit `{record['commit']}`: PSI and KL differ from scipy's by at most"
        f" {max(scipy['psi'], scipy['kl']):.0e} of their value on {scipy['trials']} random histograms."
        f" Films of the reference's own distribution pass a PSI of {psi['threshold']:g}, at the number"
        f" of films that each statistic asks for, {over} times in {trials} (level {psi['level']:g};"
        " worst statistic"
        f" {worst['value']:.2g}, {worst['low']:.1g} to {worst['high']:.1g}).",
        "",
        "Two samples of one distribution that the two-sample test calls different (exact 95 % intervals):",
        "",
        *table(["samples", *levels], rows),
        f"Windows of test films that are called different from the release's reference at"
        f" {record['level']:g}, of {record['power_runs']} each, in %; a window of"
        f" {record['window']} is used.",
        "",
        *table(
            ["films", *(f"{films} films" for films in windows)],
            [
                [name, *(figure(found[films], percent=True) if films in found else "" for films in windows)]
                for name, found in record["power"].items()
            ],
        ),
    ]


def _cost(record: Record) -> list[str]:
    lines = []
    if "days" in record:
        days = record["days"]
        lines.append(
            f"- {days['days']} days of {days['films']} films with a daily look and retention take"
            f" {days['seconds']:g} s ({days['cpu_seconds']:g} s of processor): {days['anonymised']} records"
            f" anonymised, {days['purged']} purged; the journal {_verifies(days)}, and the counts hold"
            f" {days['films_counted']} of {days['films_played']} films."
        )
    if "databases" in record:
        both = record["databases"]
        lines.append(
            f"- SQLite and PostgreSQL: {both['different']} of {both['signals_compared']} signals differ on"
            f" one stream of {both['days']} days."
        )
    if "rows" in record:
        rows = record["rows"]
        first = rows["first_count"]
        lines.append(
            f"- {rows['rows']} records of a year in PostgreSQL: the first count takes {first['seconds']:g} s"
            f" ({first['cpu_seconds']:g} s of processor, {first['records_a_second']} records a second);"
            f" judging {rows['assess']['seconds']:g} s, the report {rows['report_again']['seconds']:g} s"
            f" ({rows['report_again']['cpu_seconds']:g} s of processor)."
        )
    return [f"`{record['command']}`, on a machine that others used at the time:", "", *lines, ""]


def _verifies(days: Record) -> str:
    return "verifies" if days["journal_verifies"] else f"does NOT verify ({days['journal_problem']})"
