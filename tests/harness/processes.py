"""What the kernel says about a process and its children: memory, threads, open files.

Memory is the proportional share (PSS), summed over the tree: `ru_maxrss` of a spawned child shows the peak of
its parent, and a plain sum of RSS counts shared pages once for each process.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

KIBIBYTE = 1024


def tree(pid: int) -> list[int]:
    """List a process and all its living descendants, the process itself first."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(word) for word in task.read_text().split()]
    return found


def tree_pss_bytes(pid: int) -> int:
    """Sum the proportional set size over the tree."""
    return sum(_field_bytes(Path(f"/proc/{each}/smaps_rollup"), "Pss:") for each in tree(pid))


def pss_bytes(pid: int) -> int:
    return _field_bytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")


def peak_bytes(pid: int) -> int:
    """Return the highest resident size that one process ever had (VmHWM)."""
    return _field_bytes(Path(f"/proc/{pid}/status"), "VmHWM:")


def thread_count(pid: int) -> int:
    return sum(len(list(Path(f"/proc/{each}/task").glob("*"))) for each in tree(pid))


def open_files(pid: int) -> dict[Path, str]:
    """Map each descriptor of the tree, as /proc/PID/fd/N, to what it points at."""
    found = {}
    for each in tree(pid):
        for link in Path(f"/proc/{each}/fd").glob("*"):
            with contextlib.suppress(OSError):
                found[link] = os.readlink(link)
    return found


def is_no_file(target: str) -> bool:
    """Tell whether an open file is a device, or memory that processes share, and lies in no folder.

    The folders of the tests may lie below /dev/shm too: what is written there is a file.
    """
    return target.startswith(("/memfd:", "/dev/", "/proc/")) and not target.startswith(tempfile.gettempdir())


def deleted_files(pid: int) -> dict[str, bytes]:
    """Read every file that the tree holds open although it has no name any more."""
    found = {}
    for link, target in open_files(pid).items():
        if target.endswith(" (deleted)") and not is_no_file(target):
            with contextlib.suppress(OSError):
                found[f"{link} -> {target}"] = link.read_bytes()
    return found


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until(holds: Callable[[], bool], *, timeout_s: float, every_s: float = 0.05) -> bool:
    """Ask again and again until it holds; False after the time is up."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(every_s)
    return holds()


def _field_bytes(path: Path, field: str) -> int:
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * KIBIBYTE
    return 0
