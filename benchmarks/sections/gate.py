"""The page's section on the input gate: what is let through, what is refused, what is missed."""

from typing import Any

from tables import figure, read_measured, table

Record = dict[str, Any]
SPLITS = {"external": "external (unseen site)", "test": "test", "val": "val (limits set here)"}
_MISSED_BELOW = 0.95


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    record = read_measured("gate")
    if record is None:
        return []
    return [
        "## The input gate",
        "",
        f"`{record['command']}`, commit `{record['commit']}`, model `{record['model']}`"
        + ("" if record["gate_from_bundle"] else ", whose gate was fitted for this measurement")
        + ". Beside the gate, on the same pictures: refusing what has its highest probability below"
        f" {record['baseline_threshold']:.3f}, which lets 99 % of validation films through. Intervals: 95 %,"
        " Wilson, every film counted as independent.",
        "",
        *_weaknesses(record),
        *_real_table(record["real"]),
        *_wrong_table(record["wrong"]),
        *(
            f"- {kind} ({row['pictures']} pictures, right all the same):"
            f" {figure(row['refused'], percent=True)} % refused."
            for kind, row in record["right"].items()
        ),
        "",
        "The pictures are made otherwise than those that the gate is fitted on"
        " (`benchmarks/wrong_pictures.py`); photographs, slices and the leg come with scikit-image,"
        " scikit-learn, matplotlib and pydicom. Of side views and of other body parts there are a few only:"
        " how the gate does there is hardly known.",
        "",
    ]


def _weaknesses(record: Record) -> list[str]:
    missed = sorted(
        (row["refused"]["value"], kind)
        for kind, row in record["wrong"].items()
        if row["refused"]["value"] < _MISSED_BELOW
    )
    lines = [f"- **missed**: {kind}: {value:.0%} refused" for value, kind in missed]
    return [*(lines or [f"Every kind is refused in at least {_MISSED_BELOW:.0%} of its pictures."]), ""]


def _real_table(real: Record) -> list[str]:
    rows = []
    for split in real:
        title = SPLITS.get(split, f"{split} (elsewhere)")
        for source, row in real[split].items():
            through = {
                "value": 1 - row["refused"]["value"],
                "low": 1 - row["refused"]["high"],
                "high": 1 - row["refused"]["low"],
            }
            baseline = 1 - row["baseline"]["value"]
            codes = ", ".join(f"{code} {count}" for code, count in row["codes"].items())
            rows.append(
                [title, source, str(row["pictures"]), figure(through, percent=True), f"{baseline:.1%}", codes]
            )
    return table(["films", "source", "number", "let through, %", "by probability", "refused as"], rows)


def _wrong_table(wrong: Record) -> list[str]:
    rows = [
        [
            kind,
            str(row["pictures"]),
            figure(row["refused"], percent=True),
            f"{row['by_pixels'] / row['pictures']:.0%}",
            f"{row['by_embedding'] / row['pictures']:.0%}",
            f"{row['baseline']['value']:.0%}",
            ", ".join(f"{code} {count}" for code, count in list(row["codes"].items())[:2]),
        ]
        for kind, row in sorted(wrong.items(), key=lambda item: item[1]["refused"]["value"])
    ]
    header = ["wrong pictures", "number", "refused, %", "by pixels", "by embedding", "by probability"]
    return table([*header, "named mostly"], rows)
