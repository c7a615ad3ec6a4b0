"""What long runs found, kept in out/ as JSON by name: what was interrupted goes on, pages are made of it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TRIALS = ROOT / "out" / "reliability.json"
SWITCHES = ROOT / "out" / "switches.json"

Row = dict[str, Any]


def read_record(path: Path) -> dict[str, Row]:
    """Return what earlier runs kept."""
    return json.loads(path.read_text()) if path.exists() else {}


def keep(path: Path, name: str, row: Row) -> None:
    """Write a row, in one step, and keep the others."""
    path.parent.mkdir(exist_ok=True)
    record = {**read_record(path), name: row}
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(dict(sorted(record.items())), indent=1) + "\n")
    temporary.replace(path)


def current_commit() -> str:
    """Return the commit, with a plus when files were changed since."""
    here = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
    changed = subprocess.check_output(["git", "status", "--porcelain", "-uno"], cwd=ROOT, text=True).strip()
    return f"{here}+" if changed else here
