"""Group V: tests that ask nobody, in a namespace without a network; wheels that come out the same twice."""

import hashlib
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from tests.harness.server import ROOT, clean_environment

from .sabotaged import sabotaged
from .trial import Finding, trial
from .venvs import build_wheel, copy_tracked

ALONE = (
    "config",
    "contract",
    "data",
    "domain",
    "explain",
    "imaging",
    "inference",
    "registry",
    "supply_chain",
)
"""Folders of tests that start no server: no loopback is needed, and there is none."""
SERVES = "tests/contract/test_parity.py"  # but this one does
TESTS_S = 900
MACHINES = ((0o022, "UTC"), (0o077, "Asia/Kathmandu"), (0o002, "UTC"))
SOURCES = ("src", "pyproject.toml", "README.md", "LICENSE")
_PASSED = re.compile(r"(\d+) passed")
_FAILED = re.compile(r"(\d+) (?:failed|error)")
_NO_NETWORK = """
import socket, sys
for address in (("192.0.2.1", 80), ("127.0.0.1", 80)):
    try:
        socket.create_connection(address, timeout=2)
    except OSError as error:
        print(error.errno)
"""


@trial(
    "V6",
    f"the tests of {', '.join(ALONE)} in a network namespace of their own, in which not even the"
    " loopback is up",
    target="all pass, at least 500",
    sabotage="reading a film asks a host first",
)
def without_network(folder: Path, broken: bool) -> Finding:
    """Make sure that nothing can be reached, then run the tests."""
    inside = ("unshare", "--net")
    probe = subprocess.check_output([*inside, sys.executable, "-c", _NO_NETWORK], text=True).split()
    names = ALONE if not broken else ("imaging",)
    words = [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2"),
        *("--basetemp", str(folder / "tests"), f"--ignore={SERVES}", *(f"tests/{name}" for name in names)),
    ]
    with sabotaged("asks-a-host" if broken else None):
        done = subprocess.run(
            [*inside, *words], cwd=ROOT, env=clean_environment({}), capture_output=True, text=True,
            timeout=TESTS_S, check=False,
        )  # fmt: skip
    said = done.stdout.strip().splitlines()[-1:] or [done.stderr[-200:]]
    passed = sum(map(int, _PASSED.findall(said[0])))
    failed = sum(map(int, _FAILED.findall(said[0])))
    return Finding(
        passed + failed,
        done.returncode == 0 and failed == 0 and passed >= 500 and len(probe) == 2,
        f"{passed} passed, {failed} failed; of 2 addresses {len(probe)} could not be reached (errors"
        f" {', '.join(probe)})",
    )


@trial(
    "V7",
    f"the wheel built {len(MACHINES)} times, each from a copy of its own, at another path, with other times"
    " of files, another umask and time zone",
    target="the same SHA-256",
    sabotage="the wheel takes in the times of the files",
)
def build_twice(folder: Path, broken: bool) -> Finding:
    """Build, compare the files and, where they differ, their parts."""
    wheels = []
    for number, (mask, zone) in enumerate(MACHINES):
        before = os.umask(mask)
        try:
            source = copy_tracked(folder / f"{number}{'x' * number}", *SOURCES)
            if broken:
                path = source / "pyproject.toml"
                path.write_text(path.read_text() + "\n[tool.hatch.build]\nreproducible = false\n")
            moment = time.time() - 86_400 * (number + 1)
            for path in source.rglob("*"):
                os.utime(path, (moment, moment))
            out = folder / f"out{number}"
            out.mkdir()
            wheels.append(build_wheel(source, out, {"TZ": zone}))
        finally:
            os.umask(before)
    sums = {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
    parts = [{one.filename: one.CRC for one in zipfile.ZipFile(wheel).infolist()} for wheel in wheels]
    is_same = all(one == parts[0] for one in parts)
    return Finding(
        len(wheels),
        len(sums) == 1 and len(parts[0]) > 200,
        f"{len(sums)} different of {len(wheels)} wheels of {len(parts[0])} files and"
        f" {wheels[0].stat().st_size / 2**20:.1f} MiB; contents"
        f" {'the same' if is_same else 'differ'}",
    )
