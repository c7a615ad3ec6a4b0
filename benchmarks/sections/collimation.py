"""The page's section on collimated films: what is rejected and how films are ranked, cut and whole."""

from typing import Any

from tables import figure, read_measured, table


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    record = read_measured("collimation")
    if record is None:
        return []
    lines = [
        "## Borders around a film",
        "",
        f"`{record['command']}`, commit `{record['commit']}`, model `{record['model']}`."
        ' Drawn bands of any side and grey, the film shrunk into what they leave. "Whole": the picture with'
        " its border, as hilum 0.1"
        " read it. Intervals: 95 %, bootstrap over films.",
        "",
    ]
    for split, measured in record["splits"].items():
        ways = measured["ways"]
        lines += [f"{split}, {measured['films']} films:", ""]
        lines += table(
            ["border", "rejected", "whole", "AUROC, sick against normal", "whole", "sensitivity", "whole"],
            [_row(way, row, measured["films"]) for way, row in ways.items()],
        )
        base = ways["as they are"]["cut"]["auroc"]
        outside = [way for way, row in ways.items() if row["cut"]["auroc"]["value"] < base["low"]]
        lines += [f"AUROC below the interval of the films as they are: {', '.join(outside) or 'none'}.", ""]
    return lines


def _row(way: str, row: dict[str, Any], films: int) -> list[str]:
    cut, whole = row["cut"], row["whole"]
    return [
        way,
        f"{cut['refused']} ({cut['refused'] / films:.1%})",
        f"{whole['refused']} ({whole['refused'] / films:.0%})",
        figure(cut["auroc"]),
        f"{whole['auroc']['value']:.3f}",
        figure(cut["sensitivity"]),
        f"{whole['sensitivity']['value']:.3f}",
    ]
