"""Write the lock files: every pin of requirements.txt with the SHA-256 of the file that pip takes for it.

    .venv/bin/python scripts/lock.py

requirements.lock holds all of them; deploy/requirements.lock those that the service needs, which the
Dockerfile installs with --require-hashes. Both are for CPython 3.11 on Linux, x86-64; the service's also for
aarch64. Run it in the environment of requirements.txt after a pin has changed. Asks pip alone, which asks
whatever index it is set up for; no address is written down.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PINS, LOCK, SERVICE_LOCK = (
    ROOT / name for name in ("requirements.txt", "requirements.lock", "deploy/requirements.lock")
)
SERVICE = ("serve", "postgres", "redis")
"""The extras that deploy/Dockerfile installs by itself."""
PLATFORMS = {
    "x86_64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "aarch64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
}
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)$", re.MULTILINE)
_HEAD = "# {what}: made by scripts/lock.py, not by hand. CPython 3.11, Linux {machines}.\n"


def read_pins() -> dict[str, str]:
    """Return name, in canonical form, to version."""
    return {canonicalize_name(found["name"]): found["version"] for found in _PIN.finditer(PINS.read_text())}


def find_needed(extras: Iterable[str]) -> set[str]:
    """Return what hilum with these extras needs, directly or not, by the metadata of what is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"]]
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    waiting = [Requirement(text) for text in texts]
    seen: set[tuple[str, str]] = set()
    while waiting:
        one = waiting.pop()
        for extra in ("", *one.extras):
            key = (canonicalize_name(one.name), extra)
            if key in seen:
                continue
            seen.add(key)
            further = map(Requirement, requires(one.name) or ())
            waiting += [
                more for more in further if more.marker is None or more.marker.evaluate({"extra": extra})
            ]
    return {name for name, _ in seen}


def find_hashes(pins: Mapping[str, str], *options: str) -> dict[str, str]:
    """Return name to the SHA-256 of the file that pip would install, without installing anything."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, report = Path(folder) / "wanted.txt", Path(folder) / "report.json"
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
        words = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--report", report]
        subprocess.run([sys.executable, "-m", "pip", *words, *options, "-r", wanted], check=True)
        found = json.loads(report.read_text())["install"]
    return {
        canonicalize_name(one["metadata"]["name"]): one["download_info"]["archive_info"]["hashes"]["sha256"]
        for one in found
    }


def write_lock(path: Path, what: str, pins: Mapping[str, str], *hashes: Mapping[str, str]) -> None:
    """Write name, version and hashes; every pin must have one in each of `hashes`."""
    machines = " and ".join([*PLATFORMS][: len(hashes)])
    lines = [_HEAD.format(what=what, machines=machines)]
    for name, version in sorted(pins.items()):
        digests = sorted({each[name] for each in hashes})
        lines.append(
            " \\\n".join([f"{name}=={version}", *(f"    --hash=sha256:{digest}" for digest in digests)])
            + "\n"
        )
    path.write_text("".join(lines))


def main() -> None:
    """Write both."""
    pins = read_pins()
    all_hashes = find_hashes(pins)
    write_lock(LOCK, "Every pin of requirements.txt with its hash", pins, all_hashes)
    needed = find_needed(SERVICE)
    service = {name: version for name, version in pins.items() if name in needed}
    with tempfile.TemporaryDirectory() as folder:
        options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.11"]
        options += ["--target", folder, *(f"--platform={name}" for name in PLATFORMS["aarch64"])]
        arm = find_hashes(service, *options)
    what = f"What hilum[{','.join(SERVICE)}] needs, with hashes"
    write_lock(SERVICE_LOCK, what, service, all_hashes, arm)


if __name__ == "__main__":
    main()
