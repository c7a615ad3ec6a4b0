"""What the sections of docs/results.md are written with: a figure, a table, a record of docs/measured."""

import json
from pathlib import Path
from typing import Any

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured"

Record = dict[str, Any]


def figure(measure: Record, *, percent: bool = False) -> str:
    """Return a figure with its 95 % interval, or why there is none."""
    if measure["value"] is None:
        return f"n/a: {measure['reason']}"
    factor, digits = (100, 1) if percent else (1, 3)
    text = f"{measure['value'] * factor:.{digits}f}"
    if measure.get("low") is None:
        return text
    return f"{text} ({measure['low'] * factor:.{digits}f} to {measure['high'] * factor:.{digits}f})"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines] + [""]


def read_measured(name: str) -> Any:
    """Return the content of docs/measured/NAME.json; None when it was not measured."""
    file = MEASURED / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
