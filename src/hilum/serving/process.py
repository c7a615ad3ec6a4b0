"""What a process of the service does with memory: keeps it for the next film, leaves none when it dies."""

import ctypes
import resource
import sys

from hilum.domain.thresholds import KEPT_FREE_BYTES

_PR_SET_DUMPABLE = 4  # <sys/prctl.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
_LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024  # HEAP_MAX_SIZE / 2: glibc ignores a larger one


def forbid_dumps() -> None:
    """Forbid core files and other processes' looks into memory, which holds films."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def keep_freed_memory() -> None:
    """Let the next film have the memory of the last: fetched anew, 4 MiB cost a thousand page faults."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, KEPT_FREE_BYTES)
