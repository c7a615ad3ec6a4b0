"""The page's section on shortcuts, from docs/measured/shortcuts.json and markers.json."""

from typing import Any

from tables import read_measured, table

Record = dict[str, Any]

_PROBES = (
    *("whole film", "border", "corners", "lungs in black", "file facts"),
    *("8 x 8 thumbnail", "histogram", "bytes per pixel"),
)


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    lines: list[str] = []
    for name, write in {"shortcuts": _shortcuts, "markers": _markers}.items():
        record = read_measured(name)
        if record is not None:
            lines += write(record)
    return ["## Shortcuts in the data", "", *lines] if lines else []


def _shortcuts(record: Record) -> list[str]:
    probes, reference, recovered = record["probes"], record["reference"], record["recovered_patients"]
    sources = [source for source in probes if source in reference["border"]]
    pairs = ", ".join(f"{first} and {second}" for first, second in record["never_together"])
    blocked = [f"**No source holds both of {pairs}: the data cannot tell them apart.**", ""] if pairs else []
    return [
        *blocked,
        f"`{record['command']}`, commit `{record['commit']}`: {record['films']:,} films, linear probes, five"
        " folds by patient, sick or normal, AUROC (95 % interval over patients). Border, corners, lungs in"
        " black and file facts see no lung; thumbnail, histogram and bytes per pixel see lungs without"
        " detail. Part of what the border tells may be honest anatomy: a linear probe cannot say.",
        "",
        *table(
            ["probe", *probes],
            [[name, *(_score(scores.get(name)) for scores in probes.values())] for name in _PROBES],
        ),
        "Beside an independent logistic regression whose figures came with the data (ours / theirs):",
        "",
        *table(
            ["probe", *sources],
            [
                [name, *(f"{probes[source][name]['auroc']:.2f} / {theirs[source]:.2f}" for source in sources)]
                for name, theirs in reference.items()
            ],
        ),
        "Cells outside the lungs that tell the most, alone: "
        + "; ".join(
            f"{source}: {', '.join(places) or 'none'}" for source, places in record["regions"].items()
        )
        + ".",
        "",
        "Films with burned-in letters: "
        + ", ".join(f"{source} {share:.0%}" for source, share in record["films_with_letters"].items())
        + ". Median effective resolution: "
        + ", ".join(f"{source} {px:.0f} px" for source, px in record["effective_resolution_px"].items())
        + ".",
        "",
        "Wrong labels: of each source's labels 5 % were flipped on purpose. The search runs on grey values"
        " and edges, not on a network; where its probe is weak most labels it doubts are as they came.",
        "",
        *table(
            ["source", "flipped", "doubted", "precision", "recall", "AUROC of the probe"],
            [
                [
                    source,
                    f"{row['flipped']:.0f}",
                    f"{row['doubted']:.0f}",
                    f"{row['precision']:.2f}",
                    f"{row['recall']:.2f}",
                    f"{row['probe_auroc']:.2f}",
                ]
                for source, row in record["flipped_labels"].items()
            ],
        ),
        f"Recovered patients, where identifiers are known: {recovered['right']} of {recovered['pairs']}"
        f" pairs are right; they hold {recovered['recall']:.1%} of the films that have another film of their"
        " patient.",
        "",
    ]


def _markers(record: Record) -> list[str]:
    letters = record["letters"]
    rows = []
    for title, part in (("letters found", "drawn"), ("letters known", "drawn_with_known_letters")):
        for kind in ("planted", "clean"):
            counts = record[part][kind]
            rows.append(
                [f"{kind}, {title}", *(str(counts[name]) for name in ("sets", "warning", "note", "quiet"))]
            )
    return [
        "### A letter on one class",
        "",
        f"`{record['command']}`, commit `{record['commit']}`: phantom sets of {record['films_per_set']:,}"
        " films, the letter on 55 % of tuberculosis films and on 45 % of the others, and clean ones. A"
        " warning is p <= 0.01, a note p <= 0.05, corrected for all tests. The letter is found on"
        f" {letters['sensitivity']:.1%} of films that carry it and on {letters['false_alarms']:.1%} of the"
        " others. What the test misses with known letters is chance: the difference drawn is too small"
        " for the films there are.",
        "",
        *table(["sets", "number", "warning", "note", "quiet"], rows),
        "Films of the same sets drawn again, by how frequent the letter is (the difference stays the same):",
        "",
        *table(
            [
                "share with letter",
                "films",
                "planted: warning",
                "planted: note",
                "clean: warning",
                "clean: note",
            ],
            [
                [
                    f"{row['share_with_letter']:.0%}",
                    f"{row['films']:,}",
                    *(
                        f"{row[f'{kind}_{name}']} of {row['sets']}"
                        for kind in ("planted", "clean")
                        for name in ("warning", "note")
                    ),
                ]
                for row in record["redrawn"]
            ],
        ),
    ]


def _score(score: Record | None) -> str:
    return "not run" if score is None else f"{score['auroc']:.2f} ({score['low']:.2f} to {score['high']:.2f})"
