"""The tables of docs/reliability.md, made of what is kept in out/: python -m tests.torture.page [--write]."""

import sys

from tests.harness import record
from tests.harness.sabotage import SABOTAGES

from . import groups
from .trial import TRIALS

PAGE = record.ROOT / "docs" / "reliability.md"


def make_trials() -> str:
    """Return the table of what `make torture` ran."""
    lines = [
        "| trial | done to it | times | target | figure | met | sabotage: what it then said | commit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    kept = record.read_record(record.TRIALS)
    for name in sorted(TRIALS, key=lambda name: (name[0], int(name[1:]))):
        row = kept.get(name)
        if row is None:
            lines.append(f"| {name} | {TRIALS[name].what} | 0 | {TRIALS[name].target} | not run | | | |")
            continue
        told = f"{row['sabotage']}: {row['control']}" + ("" if row["noticed"] else " **NOT NOTICED**")
        lines.append(
            f"| {name} | {row['what']} | {row['count']:,} | {row['target']} | {row['figure']} |"
            f" {'yes' if row['passed'] else '**no**'} | {told} | `{row['commit']}` |"
        )
    return "\n".join(lines)


def sum_up() -> str:
    """Return how long all of it took: two trials at a time but those that watch times."""
    rows = record.read_record(record.TRIALS).values()
    timed = [row for row in rows if "seconds_with_control" in row]
    alone = sum(row["seconds_with_control"] for row in timed if row["alone"])
    beside = sum(row["seconds_with_control"] for row in timed if not row["alone"])
    met = sum(row["passed"] for row in rows)
    noticed = sum(row["noticed"] for row in rows)
    return (
        f"{len(rows)} of {len(TRIALS)} trials run, {met} met, {noticed} controls noticed."
        f" {len(timed)} of them, controls included, took {(alone + beside / 2) / 60:.0f} minutes."
    )


def make_switches() -> str:
    """Return the table of what `make teeth` broke."""
    lines = [
        "| group | promise broken | tests that watch it | of them failed | red | commit |",
        "|---|---|---|---|---|---|",
    ]
    kept = record.read_record(record.SWITCHES)
    for name, switch in sorted(SABOTAGES.items(), key=lambda item: (item[1].group, item[0])):
        row = kept.get(name)
        files = ", ".join(dict.fromkeys(f"`{test.split('::')[0]}`" for test in switch.tests))
        told = "not run | | " if row is None else (
            f"{row['failed']} of {row['tests']} | {'yes' if row['red'] else '**no**'} | `{row['commit']}`"
        )  # fmt: skip
        lines.append(f"| {switch.group} | {switch.says} (`{name}`) | {files} | {told} |")
    return "\n".join(lines)


def place(page: str, name: str, text: str) -> str:
    """Return the page with a text between the marks of a name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"


def fill(page: str) -> str:
    """Return the page with what is on record now."""
    groups.load()
    for name, make in (("trials", make_trials), ("sum", sum_up), ("switches", make_switches)):
        page = place(page, name, make())
    return page


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(fill(PAGE.read_text(encoding="utf-8")))
