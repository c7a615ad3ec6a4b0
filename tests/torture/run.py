"""Run the trials, each in a process of its own, and keep what came of them in out/reliability.json.

    python -m tests.torture.run [GROUP OR TRIAL ...] [--again]

A trial whose record is of the present commit is not run again, so that an interrupted run goes on. Exit
code 1 when a target was missed or a control was not noticed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.harness.record import ROOT, current_commit, keep, read_record
from tests.harness.record import TRIALS as RECORD

from . import groups
from .trial import TRIALS, Finding, Trial

TIMEOUT_S = 1800
AT_ONCE = 2


def run_one(name: str, *, broken: bool) -> Finding:
    """Run a trial in this process."""
    with tempfile.TemporaryDirectory(prefix=f"hilum-torture-{name}-") as folder:
        try:
            return TRIALS[name].run(Path(folder), broken)
        except Exception as error:  # whatever it is, it is a finding and no end of the run
            return Finding(0, False, f"{type(error).__name__}: {str(error)[:300]}", broke=True)


def run_in_child(name: str, *, broken: bool) -> Finding:
    """Run a trial in a process of its own."""
    words = [sys.executable, "-m", "tests.torture.run", "--one", name, *(["--broken"] if broken else [])]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        return Finding(**json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return Finding(0, False, f"not done after {TIMEOUT_S} s", broke=True)
    except (IndexError, ValueError, TypeError):
        return Finding(0, False, f"ended with {done.returncode}: {done.stderr[-400:]}", broke=True)


def judge(trial: Trial, commit: str) -> dict[str, Any]:
    """Run a trial and its control; return the row."""
    started = time.monotonic()
    found = run_in_child(trial.name, broken=False)
    seconds = time.monotonic() - started
    control = run_in_child(trial.name, broken=True)
    in_all = time.monotonic() - started
    row = {
        "what": trial.what,
        "target": trial.target,
        **asdict(found),
        "seconds": round(seconds, 1),
        "seconds_with_control": round(in_all, 1),
        "alone": trial.alone,
        "sabotage": trial.sabotage,
        "noticed": trial.is_noticed(control),
        "control": control.figure,
        "commit": commit,
    }
    verdict = "met" if found.passed else "MISSED"
    noticed = "noticed" if row["noticed"] else "NOT NOTICED"
    print(f"{trial.name}: {verdict}: {found.figure} ({found.count} times, {seconds:.0f} s);"
          f" sabotage {noticed}: {control.figure}", flush=True)  # fmt: skip
    return row


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="groups (letters) or trials; all if none")
    parser.add_argument("--again", action="store_true", help="also those of this commit that were met")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--broken", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    groups.load()
    if given.one:
        print(json.dumps(asdict(run_one(given.one, broken=given.broken))))
        return 0
    commit, done = current_commit(), read_record(RECORD)
    wanted = [one for one in TRIALS.values() if not given.names or {one.name, one.group} & set(given.names)]
    left = [
        one
        for one in wanted
        if given.again
        or (row := done.get(one.name)) is None
        or row["commit"] != commit
        or not (row["passed"] and row["noticed"])
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        beside = [one for one in left if not one.alone]
        for one, row in zip(beside, pool.map(lambda one: judge(one, commit), beside), strict=True):
            keep(RECORD, one.name, row)
    for one in left:
        if one.alone:
            keep(RECORD, one.name, judge(one, commit))
    rows = [row for name, row in read_record(RECORD).items() if name in {one.name for one in wanted}]
    return 0 if all(row["passed"] and row["noticed"] for row in rows) and len(rows) == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
