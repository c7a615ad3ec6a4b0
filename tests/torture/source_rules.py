"""Group V: versions above their floors; sources in which nothing forbidden stands, by rules and scanners."""

import json
import random
import shutil
from pathlib import Path

from packaging.version import Version

from tests.supply_chain.floors import (
    bundled_openjpeg,
    find_below,
    find_refused,
    installed_versions,
    read_floors,
    read_pins,
)
from tests.supply_chain.source_rules import FORBIDDEN, SOURCES, find_breaches, find_breaches_below

from .trial import Finding, trial
from .venvs import ROOT, copy_tracked, make_venv, run

SEED, PLANTED = 23, 400
BASELINE = ROOT / "security" / "secrets.json"
SCANNERS = ("bandit==1.9.4", "detect-secrets==1.5.0")
_BAD_LINE = "\n\ndef _planted(text: str) -> object:\n    return eval(text)\n"
_BAD_SCANNED = (
    "\n\ndef _planted(text: str) -> None:\n    import subprocess\n\n    subprocess.run(text, shell=True)\n"
    f"\n\n_PASSWORD = '{''.join(('kq7Zr2LmX', 'v9TfB4wYc'))}'\n"
    f"_KEY = 'AKIA{''.join(('QX7RTZ5L', 'MNB2KVWD'))}'\n"
)


@trial(
    "V3",
    "the versions that are installed and pinned, and each OpenJPEG that a wheel brings, against"
    " security/floors.toml; then each one release older",
    target="0 below its floor, 0 refused libraries that were not looked at; every older version named",
    sabotage="an older Pillow is pinned",
)
def hold_floors(folder: Path, broken: bool) -> Finding:
    """Compare, then compare with what must be refused."""
    floors = read_floors()
    pins = read_pins() | ({"pillow": "11.2.1"} if broken else {})
    below = find_below(floors, pins) + find_below(floors, installed_versions(floors))
    refused = find_refused(floors)
    missed = [
        name
        for name, floor in floors["packages"].items()
        if not find_below(floors, read_pins() | {name: f"{Version(floor['minimum'])}.dev1"})
    ]
    there = bundled_openjpeg()
    tried = [(name, version) for name in there for version in floors["bundled"]["openjpeg"]["refused"]
             if floors["bundled"]["openjpeg"]["allowed"].get(name, {}).get("version") != version]  # fmt: skip
    for name, version in tried:
        made = {**there, name: version}
        if not find_refused(floors, lambda made=made: made):  # type: ignore[misc]
            missed.append(f"{name} with OpenJPEG {version}")
    wrong = below + refused + missed
    return Finding(
        2 * len(floors["packages"]) + len(there) + len(tried),
        not wrong,
        f"{len(below)} of {len(floors['packages'])} packages below their floor, {len(refused)} of"
        f" {len(there)}"
        f" bundled OpenJPEG refused, {len(missed)} older ones not"
        f" named{': ' + wrong[0][:100] if wrong else ''}",
    )


@trial(
    "V4",
    f"the rules of tests/supply_chain/source_rules.py over every module; {PLANTED:,} times one of"
    f" {len(FORBIDDEN)}"
    " forbidden lines planted in a module, at a random place",
    target="0 breaches, 100 % of the planted ones found",
    sabotage="a module runs text as code",
)
def hold_rules(folder: Path, broken: bool) -> Finding:
    """Read the package, then copies of its modules with a line too many."""
    sources = folder / "hilum"
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("__pycache__"))
    if broken:
        path = sources / "config" / "load.py"
        path.write_text(path.read_text() + _BAD_LINE)
    modules, breaches = find_breaches_below(sources)
    dice = random.Random(SEED)
    paths = sorted(SOURCES.rglob("*.py"))
    count = PLANTED if not broken else 20
    missed = []
    before = {path: len(find_breaches(path.read_text())) for path in paths}
    for number in range(count):
        path, line = dice.choice(paths), FORBIDDEN[number % len(FORBIDDEN)]
        text = path.read_text().splitlines()
        tops = [at for at, one in enumerate(text) if one.startswith(("def ", "class ", "async def "))] or [
            len(text)
        ]
        at = dice.choice([*tops, len(text)])
        while at and text[at - 1].startswith("@"):
            at -= 1
        inner = "\n".join(f"    {one}" for one in line.splitlines())
        text[at:at] = [f"def planted():\n{inner}\n"]
        if len(find_breaches("\n".join(text))) <= before[path]:
            missed.append(f"{line!r} in {path.name}")
    return Finding(
        modules + count,
        not breaches and not missed,
        f"{len(breaches)} breaches in {modules} modules{': ' + breaches[0] if breaches else ''};"
        f" {count - len(missed)} of {count} planted lines found{': not ' + missed[0] if missed else ''}",
    )


@trial(
    "V5",
    f"{' and '.join(one.partition('==')[0] for one in SCANNERS)} over everything that git tracks",
    target="bandit: 0 of high severity; detect-secrets: 0 that are not in security/secrets.json",
    sabotage="a module runs a shell and holds a password and a key",
)
def scan_sources(folder: Path, broken: bool) -> Finding:
    """Scan a copy, with the baseline of the repository."""
    tools = make_venv(folder / "tools", *SCANNERS)
    copy = copy_tracked(folder / "copy")
    if broken:
        path = copy / "src" / "hilum" / "config" / "load.py"
        path.write_text(path.read_text() + _BAD_SCANNED)
    said = run(tools / "bandit", "-q", "-r", "src", "-f", "json", cwd=copy)
    if not said.stdout:
        raise RuntimeError(f"bandit: {said.stderr[-300:]}")
    found = json.loads(said.stdout)
    if found["errors"]:
        raise RuntimeError(f"bandit: {found['errors'][0]}")
    totals = {
        name: int(found["metrics"]["_totals"][f"SEVERITY.{name}"]) for name in ("HIGH", "MEDIUM", "LOW")
    }
    baseline = json.loads(BASELINE.read_text())
    excluded = next(one["pattern"] for one in baseline["filters_used"] if "pattern" in one)
    words = (
        tools / "detect-secrets",
        "scan",
        "--all-files",
        *(f"--exclude-files={one}" for one in excluded),
        ".",
    )
    scanned = run(*words, cwd=copy)
    if scanned.returncode:
        raise RuntimeError(f"detect-secrets: {scanned.stderr[-300:]}")
    results = json.loads(scanned.stdout)["results"]
    known = {(name, one["hashed_secret"]) for name, several in baseline["results"].items() for one in several}
    seen = {(name, one["hashed_secret"]) for name, several in results.items() for one in several}
    new = sorted(seen - known)
    files = sum(1 for path in copy.rglob("*") if path.is_file())
    return Finding(
        files,
        totals["HIGH"] == 0 and not new and bool(seen & known),
        f"bandit: {totals['HIGH']} high, {totals['MEDIUM']} medium, {totals['LOW']} low; detect-secrets:"
        f" {len(new)}"
        f" new{' (' + new[0][0] + ')' if new else ''}, {len(seen & known)} that were looked at, in"
        f" {files} files",
    )
