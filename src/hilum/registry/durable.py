"""Files that survive a crash: written beside their place, synced, renamed, and the folder synced.

A reader sees the old content or the new one, whole. Knows nothing about bundles.
"""

import os
from pathlib import Path

from hilum.files import sync_folder, write_atomic


def write_durably(path: Path, content: bytes, *, beside: Path | None = None) -> None:
    """Replace a file in one step; when this returns, the content is on the disk.

    Parameters
    ----------
    beside
        Folder of the same file system in which the content is prepared; the file's own if None. A crash can
        leave something there, which must not be where every file counts.

    Raises
    ------
    OSError
        If it cannot be written: the old content stays.
    """
    write_atomic(path, content, durable=True, beside=beside)


def append_durably(path: Path, content: bytes) -> None:
    """Append to a file; when this returns, the content is on the disk.

    Raises
    ------
    OSError
        If it cannot be written: part of the content may be there.
    """
    is_new = not path.exists()
    with path.open("ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Bring every file and folder below a folder to the disk, for one that is about to be renamed."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)
