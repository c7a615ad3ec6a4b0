"""A child process of which strace lets one system call fail, or kills it there."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.harness.processes import wait_until


@dataclass(frozen=True)
class Ended:
    """What came of the child.

    Parameters
    ----------
    said
        The lines that it wrote.
    status
        As waitpid returns it.
    was_hit
        Whether the call came that was to be hit.
    """

    said: list[str]
    status: int
    was_hit: bool


def is_traced(pid: int) -> bool:
    """Return whether somebody traces a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return re.search(r"^TracerPid:\s+[1-9]", status, re.MULTILINE) is not None


def run_traced(folder: Path, inject: str, work: Callable[[Callable[[str], None]], None]) -> Ended:
    """Fork, trace, let the child work, and wait for its end.

    Parameters
    ----------
    folder
        For the trace.
    inject
        As strace takes it: CALL:error=ENOSPC:when=3. Calls are counted for each thread.
    work
        What the child does, given a function that says a line; by writev, which must not be traced.
    """
    go, ready = os.pipe()
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(ready)
            os.close(hear)
            os.read(go, 1)
            work(lambda line: os.writev(say, [f"{line}\n".encode()]) and None)
            code = 0
        finally:
            os._exit(code)
    os.close(go)
    os.close(say)
    trace = folder / "trace"
    call, _, _ = inject.partition(":")
    words = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={call}", "-e", f"inject={inject}"]
    tracer = subprocess.Popen([*words, "-p", str(child)], stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: is_traced(child), timeout_s=20, every_s=0.002), "strace does not attach"
        os.write(ready, b"x")
        with os.fdopen(hear) as lines:
            said = lines.read().split()
    finally:
        os.close(ready)
        _, status = os.waitpid(child, 0)
        tracer.wait(20)
    return Ended(said, status, "INJECTED" in trace.read_text() or os.WIFSIGNALED(status))
