"""The commit that a figure was measured at."""

import subprocess
from pathlib import Path


def current_commit() -> str:
    """Return the short hash of HEAD, marked when tracked files differ from it."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short", "HEAD") + (" (with changes)" if changed else "")
