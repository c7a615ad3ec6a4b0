"""The page's sections on the audit of data: real films, planted faults, near pairs of many hashes."""

from collections.abc import Mapping
from typing import Any

from tables import read_measured, table

Record = dict[str, Any]


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    parts = (
        ("audit", _real_data),
        ("planted-faults", _planted_faults),
        ("near-duplicates", _near_duplicates),
    )
    lines = []
    for name, write in parts:
        record = read_measured(name)
        if record is not None:
            lines += write(record)
    return ["## Can the data be trusted?", "", *lines] if lines else []


def _real_data(record: Record) -> list[str]:
    audit = record["audit"]
    stock = audit["inventory"]
    return [
        "### The audit of the real films",
        "",
        f"`{record['command']}`, commit `{record['commit']}`: {audit['films']:,} films,"
        f" {audit['counts']['blocker']} blockers, {audit['counts']['warning']} warnings,"
        f" {audit['counts']['note']} notes, worst first:",
        "",
        *(f"- **{finding['severity']}**: {finding['sentence']}" for finding in audit["findings"]),
        "",
        *([*(f"- {sentence}" for sentence in audit["without_lungs"]), ""] if audit["without_lungs"] else []),
        *_count_table(stock["by_split"], "class"),
        *_count_table(stock["by_source"], "class"),
        *table(
            ["all readable films", "min", "max", "mean", "deviation", "median"],
            [
                _spread_row("width, px", stock["width"], 0),
                _spread_row("height, px", stock["height"], 0),
                _spread_row("width / height", stock["aspect"], 2),
            ],
        ),
        f"{stock['unique_resolutions']:,} resolutions; the commonest: "
        + ", ".join(f"{size} ({count:,})" for size, count in list(stock["resolutions"].items())[:5])
        + f". Largest to smallest class: {stock['imbalance_ratio']:.2f}. The hash alone calls"
        f" {audit['duplicates']['alike_by_hash']:,} pairs duplicates, the pixels confirm"
        f" {audit['duplicates']['alike_by_pixels']:,}.",
        "",
        *table(["check", "films"], [[name, f"{count:,}"] for name, count in audit["quality"].items()]),
        _time_taken(record),
        "",
        *_peers(record["peer"]),
    ]


def _time_taken(record: Record) -> str:
    audit, quick = record["audit"], record["quick"]
    cache = "with films decoded before" if record["films_decoded_before"] else "decoding included"
    text = (
        f"Time on {record['cores']} cores without the probes, {cache}: {quick['seconds']:.0f} s"
        f" ({quick['films_per_second']:.0f} films/s, {quick['process']['cpu_seconds']:.0f} CPU seconds),"
        f" while the load was {quick['process']['load_average']:.0f}."
    )
    if not record["with_probes"]:
        return f"{text} The probes were not run here."
    return (
        f"{text} With every probe: {audit['seconds']:.0f} s ({audit['films_per_second']:.1f} films/s,"
        f" {audit['process']['cpu_seconds']:.0f} CPU seconds), load {audit['process']['load_average']:.0f}."
    )


def _peers(peer: Record | None) -> list[str]:
    if peer is None:
        return []
    vision, hashes = peer["cleanvision"], peer["imagehash"]
    issues = ", ".join(f"{name} {count:,}" for name, count in vision["issues"].items() if count)
    return [
        f"In the same run: cleanvision took {vision['seconds']:.0f} s and names {issues or 'nothing'}."
        f" imagehash took {hashes['seconds_hashing']:.0f} s to hash and"
        f" {hashes['seconds_comparing']:.0f} s to compare every pair; it calls"
        f" {hashes['pairs_within_6_bits']:,} pairs duplicates; both together"
        f" {peer['process']['cpu_seconds']:.0f} CPU seconds. Neither knows splits, patients, classes or"
        " sources, or what a chest is.",
        "",
    ]


def _planted_faults(record: Record) -> list[str]:
    return [
        "### Planted faults",
        "",
        f"`{record['command']}`, commit `{record['commit']}`: {record['sets']} phantom sets,"
        f" {record['films']:,} films; {record['clean_sets']} sets are clean, and"
        f" {record['clean_sets_with_a_finding']} of them raised one of these findings. Counted by film.",
        "",
        *table(
            ["finding", "sets with it", "planted", "found", "false alarms", "recall", "precision"],
            [
                [
                    row["finding"],
                    str(row["sets_with_it"]),
                    str(row["planted"]),
                    str(row["found"]),
                    str(row["false_alarms"]),
                    _share(row["recall"]),
                    _share(row["precision"]),
                ]
                for row in record["rows"]
            ],
        ),
        "Phantoms are more alike than chests are: on real films half turns of symmetric children's chests are"
        " missed more often, and lateral films were not planted at all.",
        "",
    ]


def _near_duplicates(record: Record) -> list[str]:
    rows = [
        [
            f"{row['hashes']:,} random, {row['planted']:,} pairs planted",
            f"{row['seconds']:.2f}",
            f"{row['found'] / row['planted']:.3f}",
        ]
        for row in record["rows"]
    ]
    rows += [
        [
            f"{row['hashes']:,}, {row['crowd']}",
            f"{row['seconds']:.2f}",
            "all" if row["is_complete"] else "cut, and said",
        ]
        for row in record["crowds"]
    ]
    lines = [
        "### Near-duplicate search",
        "",
        f"`{record['command']}`, commit `{record['commit']}`: 64-bit hashes, pairs of at most 6 bits.",
        "",
        *table(["hashes", "seconds", "recall of planted pairs"], rows),
    ]
    peer = record["peer"]
    if peer is None:
        return lines
    return [
        *lines,
        f"{peer['peer']}, on {peer['hashes']:,} hashes: {peer['seconds']:.1f} s and {peer['found']} of"
        f" {peer['planted']} pairs; this search on the same: {peer['seconds_ours']:.3f} s. At its rate a"
        f" million would take {peer['days_for_a_million_at_this_rate']:.0f} days.",
        "",
    ]


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _count_table(counts: Mapping[str, Mapping[str, int]], corner: str) -> list[str]:
    columns = list(next(iter(counts.values())))
    rows = [
        [name, *(f"{row[column]:,}" for column in columns), f"{sum(row.values()):,}"]
        for name, row in counts.items()
    ]
    return table([corner, *columns, "total"], rows)


def _spread_row(name: str, row: Record, digits: int) -> list[str]:
    keys = ("minimum", "maximum", "mean", "deviation", "median")
    return [name, *(f"{row[key]:,.{digits}f}" for key in keys)]
