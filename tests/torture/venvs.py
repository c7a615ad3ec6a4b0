"""Virtual environments of a trial's own, and copies of the sources to build or to damage."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PIP_S = 900


def make_venv(folder: Path, *requirements: str) -> Path:
    """Make an environment of this interpreter, install what is asked for, return its folder of programs."""
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    if requirements:
        done = run_pip(programs, "install", *requirements)
        if done.returncode:
            raise RuntimeError(f"pip: {done.stderr[-300:]}")
    return programs


def run_pip(programs: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the pip of an environment, to its end, quietly."""
    return run(
        programs / "python", "-m", "pip", *words, "--quiet", "--disable-pip-version-check", **environment
    )


def run(
    *words: str | Path, cwd: Path = ROOT, timeout_s: float = PIP_S, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program with the environment of this process but for what Python is told in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [*map(str, words)], cwd=cwd, env={**kept, **environment}, capture_output=True, text=True,
        timeout=timeout_s, check=False,
    )  # fmt: skip


def copy_tracked(target: Path, *below: str) -> Path:
    """Copy what git tracks, as it stands in the working tree, into a new folder; return it."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "--", *below], cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place)
    return target


def build_wheel(source: Path, out: Path, environment: Mapping[str, str] | None = None) -> Path:
    """Build the wheel of a copy as pip does, in an environment of the build's own; return the file."""
    words = ("wheel", "--no-deps", "--wheel-dir", str(out), str(source))
    done = run(sys.executable, "-m", "pip", *words, "--quiet", cwd=source, **(environment or {}))
    if done.returncode:
        raise RuntimeError(f"pip wheel: {done.stderr[-300:]}")
    (wheel,) = out.glob("*.whl")
    return wheel
