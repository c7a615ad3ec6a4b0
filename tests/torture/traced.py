"""Kill a child at a chosen system call: strace joins it before its work begins, so calls count from there."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

CALLS = ("openat", "write", "fsync", "rename", "unlink", "unlinkat", "rmdir", "mkdir", "flock", "close")
"""Calls at which a writer of the registry is killed: those that change the disk, and opening and closing."""
JOINED_S = 20.0


def run_traced(work: Callable[[], object], *options: str) -> int:
    """Run work in a fork under strace; return the signal that ended it, 0 if none did.

    Raises
    ------
    RuntimeError
        strace did not join, or the work itself failed.
    """
    hear, say = os.pipe()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 2)
            os.read(hear, 1)
            work()
            code = 0
        except Exception as error:
            os.write(tell, f"{type(error).__name__}: {error}"[:300].encode())
        finally:
            os._exit(code)
    words = ["strace", "-f", "-qq", "-e", "signal=none", *options, "-p", str(child)]
    tracer = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + JOINED_S
        while not _is_traced(child):
            if time.monotonic() > until or tracer.poll() is not None:
                os.kill(child, signal.SIGKILL)
                raise RuntimeError("strace did not join")
            time.sleep(0.002)
        os.write(say, b"x")
    finally:
        status = os.waitpid(child, 0)[1]
        for end in (hear, say, tell):
            os.close(end)
        tracer.wait(JOINED_S)
    with os.fdopen(told) as lines:
        said = lines.read()
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError(f"the work failed by itself: {said}")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def find_points(work: Callable[[], object], log: Path, calls: Sequence[str] = CALLS) -> list[tuple[str, int]]:
    """Run work once, whole; return each of its calls by name and number."""
    run_traced(work, "-e", f"trace={','.join(calls)}", "-o", str(log))
    counts = dict.fromkeys(calls, 0)
    points = []
    for line in log.read_text().splitlines():
        call = line.split(None, 1)[1].partition("(")[0]
        if call in counts:
            counts[call] += 1
            points.append((call, counts[call]))
    return points


def kill_at(work: Callable[[], object], call: str, number: int) -> bool:
    """Run work until its n-th call of a name; say whether it died there."""
    return run_traced(work, "-e", f"inject={call}:signal=SIGKILL:when={number}") == signal.SIGKILL


def _is_traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return re.search(r"^TracerPid:\s+[1-9]", status, re.MULTILINE) is not None
