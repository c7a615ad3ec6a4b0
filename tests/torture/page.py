"""docs/reliability.md, made of out/reliability.json: python -m tests.torture.page [--write]."""

import sys

from . import groups
from .run import ROOT, read_record
from .trial import TRIALS

PAGE = ROOT / "docs" / "reliability.md"
MARK = "<!-- trials -->"
END = "<!-- end of trials -->"


def make_table() -> str:
    """Return the table of what was run."""
    groups.load()
    lines = [
        "| trial | done to it | times | target | figure | met | sabotage: what it then said | commit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    record = read_record()
    for name in sorted(TRIALS, key=lambda name: (name[0], int(name[1:]))):
        row = record.get(name)
        if row is None:
            lines.append(f"| {name} | {TRIALS[name].what} | 0 | {TRIALS[name].target} | not run | | | |")
            continue
        told = f"{row['sabotage']}: {row['control']}" + ("" if row["noticed"] else " **NOT NOTICED**")
        lines.append(
            f"| {name} | {row['what']} | {row['count']:,} | {row['target']} | {row['figure']} |"
            f" {'yes' if row['passed'] else '**no**'} | {told} | `{row['commit']}` |"
        )
    return "\n".join(lines)


def place_table(page: str) -> str:
    """Return the page with the table between its marks."""
    before, rest = page.split(MARK)
    _, after = rest.split(END)
    return f"{before}{MARK}\n{make_table()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(place_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(make_table())
