"""What a process of the service may leave behind when it dies: nothing that it had in memory."""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4  # <sys/prctl.h>


def forbid_dumps() -> None:
    """Forbid core files and other processes' looks into memory, which holds films."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
