"""Run the tests of every sabotage switch, without it and with it; exit 1 unless all are green, then all red.

Red means that a test named by the switch failed, after the patch was really applied: a server that does not
start, or a test that cannot be collected, is an error and no proof.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET  # noqa: S405 - written by pytest a moment ago
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .record import SWITCHES, Row, current_commit, keep, read_record
from .sabotage import MARK, SABOTAGES
from .server import ROOT, SOURCES, STARTUP

PYTEST_OK, PYTEST_FAILED = 0, 1
TIMEOUT_S = 600


@dataclass(frozen=True)
class Run:
    """One pytest run: names of failed tests, of tests that broke outside the test itself, and patches."""

    code: int
    tests: int
    failed: list[str]
    broken: list[str]
    patched: int
    seconds: float
    output: str


def run_tests(tests: list[str], switch: str | None) -> Run:
    """Run tests in a process of their own, sabotaged by `switch`."""
    with tempfile.TemporaryDirectory() as folder:
        report, mark = Path(folder) / "report.xml", Path(folder) / "mark"
        environment = {key: value for key, value in os.environ.items() if key != "HILUM_SABOTAGE"}
        environment["PYTHONPATH"] = SOURCES
        if switch is not None:
            environment |= {
                "HILUM_SABOTAGE": switch,
                MARK: str(mark),
                "PYTHONPATH": f"{STARTUP}{os.pathsep}{SOURCES}",
            }
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        started = time.monotonic()
        done = subprocess.run(
            [*words, *tests],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        failed, broken, count = _read_report(report)
        patched = len(mark.read_text().splitlines()) if mark.exists() else 0
        seconds = time.monotonic() - started
        return Run(done.returncode, count, failed, broken, patched, seconds, done.stdout + done.stderr)


def _read_report(path: Path) -> tuple[list[str], list[str], int]:
    failed, broken, count = [], [], 0
    if path.exists():
        for case in ET.parse(path).iter("testcase"):  # noqa: S314
            count += 1
            if case.find("failure") is not None:
                failed.append(case.attrib["name"])
            if case.find("error") is not None:
                broken.append(case.attrib["name"])
    return failed, broken, count


def judge(name: str, commit: str) -> tuple[str, Row, str]:
    """Try one switch; return its name, its row of the record, and a line about it."""
    switch = SABOTAGES[name]
    result = run_tests(list(switch.tests), name)
    is_red = bool(result.code == PYTEST_FAILED and result.failed and not result.broken and result.patched)
    line = (
        f"{'red' if is_red else 'NOT RED':8} {switch.group:2} {name:22} {len(result.failed)} of"
        f" {result.tests} failed, {result.seconds:.0f} s: {switch.says}"
    )
    told = "" if is_red else f"\n{result.patched} patches\n{result.output[-3000:]}"
    row = {"red": is_red, "failed": len(result.failed), "tests": result.tests, "commit": commit}
    return name, row, line + told


def is_known(row: Row | None, commit: str) -> bool:
    """Return whether a switch was seen red at this commit."""
    return row is not None and row["red"] and row["commit"] == commit


def main() -> int:
    """Try the switches named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("switches", nargs="*")
    parser.add_argument(
        "--skip-green", action="store_true", help="do not run the tests without a switch first"
    )
    parser.add_argument("--again", action="store_true", help="also those that were red at this commit")
    parser.add_argument("--jobs", type=int, default=2, help="switches tried at a time")
    options = parser.parse_args()
    commit, kept = current_commit(), read_record(SWITCHES)
    names = options.switches or [
        name for name in SABOTAGES if not is_known(kept.get(name), commit) or options.again
    ]
    print(f"{len(names)} switches to try", flush=True)  # noqa: T201
    started = time.monotonic()
    if not options.skip_green:
        every = sorted({test for name in names for test in SABOTAGES[name].tests})
        green = run_tests(every, None)
        print(f"without: {green.tests} tests, {len(green.failed)} failed, {green.seconds:.0f} s", flush=True)  # noqa: T201
        if green.code != PYTEST_OK:
            print(green.output[-4000:])  # noqa: T201
            return 1
    blunt = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for name, row, line in pool.map(lambda name: judge(name, commit), names):
            keep(SWITCHES, name, row)
            blunt += not row["red"]
            print(line, flush=True)  # noqa: T201
    print(f"{len(names) - blunt} of {len(names)} switches red, {time.monotonic() - started:.0f} s")  # noqa: T201
    return 1 if blunt else 0


if __name__ == "__main__":
    sys.exit(main())
