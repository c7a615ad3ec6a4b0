"""Installed size of hilum[serve] and resident memory of the server, beside the plain torch peer.

Ours is installed into an environment made here, without and with OpenVINO. The peer's size is that of the
packages that pip installs for what `benchmarks/peers/plain_service.py` imports, read from this environment:
as pip gives them, and without the packages that only a graphics card needs. Memory is the proportional share
(PSS) of the whole process tree after 50 films, read from the kernel, for which this must run as root: the
service forbids others to look into its memory.

    python benchmarks/footprint.py [--films 50]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from commit import current_commit
from serving import PEERS, UNLIMITED, ask_one, draw_films, free_port, running, wait_ready

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "docs" / "measured" / "footprint.json"
PEER = ("torch", "timm", "fastapi", "uvicorn", "python-multipart", "pillow", "pydicom", "grad-cam")
GRAPHICS_CARD = ("nvidia-", "cuda-", "triton")
INSTALLERS = {"pip", "setuptools", "wheel"}
MEGABYTE = 1e6
_SIZES = """
import json, re, sys
from importlib.metadata import distributions
def normal(name): return re.sub(r"[-_.]+", "-", name).lower()
known = {normal(each.name): each for each in distributions()}
waiting = [normal(name) for name in sys.argv[1:]] or list(known)
sizes = {}
while waiting:
    name = waiting.pop()
    if name in sizes or name not in known:
        continue
    each = known[name]
    files = [each.locate_file(file) for file in each.files or ()]
    sizes[name] = sum(file.stat().st_size for file in files if file.is_file())
    if sys.argv[1:]:
        needed = [line for line in each.requires or () if "extra ==" not in line]
        waiting += [normal(re.match(r"[\\w.-]+", line)[0]) for line in needed]
print(json.dumps(sizes))
"""


def package_bytes(python: Path | str, *names: str) -> dict[str, int]:
    """Return the bytes of each package installed, or of those named with all that they require."""
    done = subprocess.run(
        [str(python), "-c", _SIZES, *names],
        capture_output=True,
        text=True,
        check=True,
        cwd=tempfile.gettempdir(),
    )
    return {name: size for name, size in json.loads(done.stdout).items() if name not in INSTALLERS}


def install(folder: Path) -> Path:
    """Make an environment with hilum[serve] and return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    add(folder / "bin" / "python", f"{ROOT}[serve]")
    return folder / "bin" / "python"


def add(python: Path, requirement: str) -> None:
    """Install at the versions of requirements.txt."""
    constraints = str(ROOT / "requirements.txt")
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint",
         constraints, requirement],
        check=True,
    )  # fmt: skip


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def pss_bytes(pid: int) -> int:
    """Return the proportional set size of a process tree."""
    total = 0
    for each in tree(pid):
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += 1024 * int(line.split()[1])
    return total


def memory(
    command: list[str], port: int, films: list[bytes], count: int, *, is_ours: bool
) -> dict[str, float]:
    """Return the megabytes of a server once it is ready and after so many films, and its processes."""
    with running(command, port, **(UNLIMITED if is_ours else {})) as process:
        assert process.stdout is not None
        key = ""
        if is_ours:
            key = dict(process.stdout.readline().split() for _ in range(3))["clinician"]
            wait_ready(port)
        time.sleep(1)
        ready = pss_bytes(process.pid)
        for number in range(count):
            status, answer = ask_one(port, films[number % len(films)], key)
            if status != 200:
                raise SystemExit(f"{status} {answer}")
        return {
            "ready_mb": ready / MEGABYTE,
            "after_mb": pss_bytes(process.pid) / MEGABYTE,
            "processes": len(tree(process.pid)),
        }


def main() -> None:
    """Install, measure, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=50)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("run as root: the service forbids others to look into its memory")
    films = list(draw_films().values())
    serve = ["-m", "hilum", "serve", "--demo", "--port"]
    used = {}
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder) / "venv")
        sizes = {"hilum[serve]": package_bytes(python)}
        port = free_port()
        command = [str(python), *serve, str(port), "--data", f"{folder}/data"]
        used["hilum, ONNX Runtime"] = memory(command, port, films, arguments.films, is_ours=True)
        add(python, "openvino")
        sizes["hilum[serve,openvino]"] = package_bytes(python)
        port = free_port()
        command = [str(python), *serve, str(port), "--data", f"{folder}/data-2"]
        used["hilum, the faster of both runtimes"] = memory(
            command, port, films, arguments.films, is_ours=True
        )
    port = free_port()
    command = [sys.executable, str(PEERS / "plain_service.py"), str(port)]
    used["plain peer"] = memory(command, port, films, arguments.films, is_ours=False)
    sizes["plain peer"] = package_bytes(sys.executable, *PEER)
    sizes["plain peer, without graphics card packages"] = {
        name: size for name, size in sizes["plain peer"].items() if not name.startswith(GRAPHICS_CARD)
    }
    record = {
        "command": "python benchmarks/footprint.py",
        "commit": current_commit(),
        "films": arguments.films,
        "size_mb": {what: sum(packages.values()) / MEGABYTE for what, packages in sizes.items()},
        "largest_mb": {what: largest(packages) for what, packages in sizes.items()},
        "memory": used,
    }
    MEASURED.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


def largest(packages: dict[str, int]) -> dict[str, float]:
    """Return the eight largest packages."""
    chosen = sorted(packages, key=lambda name: -packages[name])[:8]
    return {name: packages[name] / MEGABYTE for name in chosen}


if __name__ == "__main__":
    main()
