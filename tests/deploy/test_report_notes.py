"""docs/report-notes.md says of each table, figure and section of the report where it lives."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECTIONS = {
    "1": 0, "2": 4, "3": 3, "4": 7, "5": 5, "6": 3, "7": 4,
    "8": 4, "9": 5, "10": 3, "11": 2, "12": 4, "13": 0,
}  # fmt: skip
"""Section to the number of its subsections, as the report numbers them."""
TABLES, FIGURES = 27, 3


def rows() -> dict[str, tuple[str, str]]:
    page = (ROOT / "docs" / "report-notes.md").read_text(encoding="utf-8").split("## Where each table")[1]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"
    ]
    return {name: (place, note) for name, place, note in cells[2:]}


def test_no_table_figure_or_section_is_missing():
    names = rows()
    expected = {f"Table {number}" for number in range(1, TABLES + 1)}
    expected |= {f"Figure {number}" for number in range(1, FIGURES + 1)}
    assert expected <= set(names)
    numbers = {name.split(" ")[0] for name in set(names) - expected}
    assert numbers == {
        f"{section}.{part}" if parts else section
        for section, parts in SECTIONS.items()
        for part in range(1, max(parts, 1) + 1)
    }


def test_every_place_exists():
    for name, (place, _) in rows().items():
        paths = re.findall(r"`([^`]+)`", place)
        assert paths, name
        for path in paths:
            assert (ROOT / path).is_file(), f"{name}: {path}"
