"""The image without an engine: the steps of the Dockerfile, followed in a folder of the test."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .container_files import ROOT, all_of, enters_build, read_stages

_INSTALL_S = 500


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the stage "build" leaves at /opt/hilum; made once, also for several test processes."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    prefix = shared / "opt-hilum"
    done = shared / "opt-hilum.done"
    with (shared / "opt-hilum.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            follow_build_stage(prefix, source=shared / "opt-hilum.src")
            done.touch()
    return prefix


def follow_build_stage(prefix: Path, *, source: Path) -> None:
    """Run the COPY and RUN lines of the first stage with `prefix` for /opt/hilum and `source` for /src."""
    stage = read_stages()[0]
    source.mkdir()
    for one in all_of(stage, "COPY"):
        *names, _ = one.rest.split(" ")
        for name in names:
            copy_sent(ROOT / name, source / name)
    arguments = dict(one.rest.split("=", 1) for one in all_of(stage, "ARG"))
    ours = ("PYTHON", "VIRTUAL_ENV", "HILUM_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment = {**kept, **arguments, "PIP_NO_INPUT": "1"}
    for one in all_of(stage, "RUN"):
        command = one.rest.replace("/opt/hilum", str(prefix)).replace(
            "python -m venv", f"{sys.executable} -m venv"
        )
        ran = subprocess.run(
            ["sh", "-c", command],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_INSTALL_S,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout[-1500:]}\n{ran.stderr[-3000:]}"


def copy_sent(origin: Path, target: Path) -> None:
    """Copy what the .dockerignore lets through."""
    files = [origin] if origin.is_file() else [path for path in origin.rglob("*") if path.is_file()]
    for path in files:
        if enters_build(path.relative_to(ROOT).as_posix()):
            place = target / path.relative_to(origin) if path != origin else target
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
