"""The page's section on the service: speed beside its peers, one answer whichever way, size and memory."""

from typing import Any

from tables import read_measured, table

Record = dict[str, Any]
_TARGETS = {"hilum to plain": 4.0, "explain to predict": 1.2}


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    record, parity, footprint = (read_measured(name) for name in ("serving", "parity", "footprint"))
    lines = []
    if record is not None:
        lines += [*_speed(record), *_ratios(record)]
    if parity is not None:
        lines += _parity(parity)
    if footprint is not None:
        lines += _footprint(footprint)
    return ["## The service", "", *lines] if lines else []


def _speed(record: Record) -> list[str]:
    rows = [
        [
            name,
            row["kind"],
            row["film"],
            str(row["clients"]),
            *(f"{row[column]:.0f}" for column in ("p50_ms", "p95_ms", "p99_ms")),
            f"{row['per_second']:.1f}",
        ]
        for name, measured in record["services"].items()
        for row in measured
    ]
    header = ["service", "request", "film", "clients", "p50 ms", "p95 ms", "p99 ms", "requests/s"]
    return [
        f"`{record['command']}`, commit `{record['commit']}`, {record['cores']} cores,"
        f" {record['seconds']:g} s for each row, load and server on one machine. `hilum` with keys, limits"
        " (raised), gate, decoding processes and a journal record committed before each answer; `plain` is"
        " FastAPI, Pillow, torch eager and grad-cam; `litserve` runs our graph without gate, journal or maps;"
        " `engine` is ours without HTTP.",
        "",
        *table(header, rows),
    ]


def _ratios(record: Record) -> list[str]:
    rows = []
    for line in record["ratios"]:
        target = next((value for name, value in _TARGETS.items() if name in line["what"]), None)
        asked = "" if target is None else f"at {'least' if target > 2 else 'most'} {target:g}"
        rows.append(
            [line["what"], line["kind"], line["film"], str(line["clients"]), f"{line['ratio']:.2f}", asked]
        )
    return table(["ratio", "request", "film", "clients", "measured", "wanted"], rows)


def _parity(record: Record) -> list[str]:
    rows = [
        [way, what, f"{value:.1e}"] for way, found in record["rows"].items() for what, value in found.items()
    ]
    return [
        f"`{record['command']}`, commit `{record['commit']}`, `{record['model']}`: largest difference from"
        f" the checkpoint on {record['films']} real films ({record['refused_by_the_gate']} of them refused"
        " over HTTP by the input gate, which the command line was told to overrule).",
        "",
        *table(["way", "of", "largest difference"], rows),
    ]


def _footprint(record: Record) -> list[str]:
    sizes = [
        [
            what,
            f"{size:.0f}",
            ", ".join(f"{name} {part:.0f}" for name, part in record["largest_mb"][what].items()),
        ]
        for what, size in record["size_mb"].items()
    ]
    used = [
        [what, str(row["processes"]), f"{row['ready_mb']:.0f}", f"{row['after_mb']:.0f}"]
        for what, row in record["memory"].items()
    ]
    return [
        f"`{record['command']}`, commit `{record['commit']}`: megabytes of the packages that pip installs,"
        " Python itself not counted. `hilum` holds its model; the peer's torch is the build that pip installs"
        " by default, with code for graphics cards even without the packages left out in the last row.",
        "",
        *table(["installed", "MB", "of which"], sizes),
        f"Memory (PSS of the whole process tree) once ready, and after {record['films']} films one by one.",
        "",
        *table(["server", "processes", "ready, MB", "after, MB"], used),
    ]
