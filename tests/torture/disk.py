"""A small ext4 that loses its power: what was not flushed is gone. Needs root and loop devices.

The file system is written back by nothing but fsync for ten minutes; its file is copied as it is while the
writer dies, which is what a disk would hold.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTE = 1024 * 1024


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """Mount an image; unmount at the end."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop,commit=600", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_disk(image: Path, megabytes: int = 16) -> None:
    """Make an empty file system in a file."""
    image.write_bytes(b"")
    os.truncate(image, megabytes * MEGABYTE)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)


def cut_power(
    disk: Path, image: Path, after: Path, work: Callable[[int], None], wait: Callable[[int], None]
) -> list[str]:
    """Let a child work until `wait` returns, kill it, and copy the disk as it is; return what it said.

    Parameters
    ----------
    disk
        Where the image is mounted.
    work
        What the child does, given a descriptor that it writes lines to.
    wait
        Waits in the parent, given a descriptor that the lines come from.
    """
    del disk
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(hear)
            work(say)
        finally:
            os._exit(1)
    os.close(say)
    try:
        wait(hear)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        shutil.copyfile(image, after)  # before the unmount writes back what was only in memory
    with os.fdopen(hear) as told:
        return told.read().splitlines()
