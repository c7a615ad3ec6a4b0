"""Left-out sources, counterfactuals and external sites: how the recipe of the shipped model carries over."""

from pathlib import Path

from hilum.robustness.bench_page import render_bench
from hilum.robustness.leave_one_out import LeaveOneOut
from tables import read_measured


def section() -> list[str]:
    """Return the section; nothing until it was measured."""
    record = read_measured("generalization")
    if record is None:
        return []
    page = render_bench(LeaveOneOut(record["folds"], record["whole"], Path()))
    first, *lines = (f"#{line}" if line.startswith("#") else line for line in page.splitlines())
    commands = ["```", *record["commands"], "```", ""]
    return [first, "", f"At commit {record['commit']}. {record['note']}", "", *commands, *lines[1:], ""]
