"""Run promtool's unit tests on many files at once, and tell the files apart."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_FILE = re.compile(r"^Unit Testing:\s+(?P<path>.+)$", re.MULTILINE)


def run_promtool(*words: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end; both its streams come as one, for it tells of failures on the other."""
    return subprocess.run(
        ["promtool", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


def check_rules(path: Path) -> None:
    """Fail unless promtool finds the rules of a file good; lint findings count."""
    done = run_promtool("check", "rules", "--lint-fatal", str(path))
    assert done.returncode == 0, done.stdout


def judge_tests(*paths: Path) -> dict[str, str]:
    """Return path to "" where every test of a file passed, otherwise to what promtool says."""
    done = run_promtool("test", "rules", *map(str, paths))
    pieces = _FILE.split(done.stdout)[1:]
    said = dict(zip(pieces[::2], pieces[1::2], strict=True))
    assert set(said) == set(map(str, paths)), done.stdout
    outcomes = {path: "" if text.split()[0] == "SUCCESS" else text for path, text in said.items()}
    assert (done.returncode == 0) == (not any(outcomes.values())), done.stdout
    return outcomes


def write_yaml(path: Path, value: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(value), sort_keys=False))
    return path
