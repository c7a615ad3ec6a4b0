"""Files that only their owner may ever read, whole after any crash: not for a moment with wider rights."""

import contextlib
import os
import secrets
from pathlib import Path

from hilum.files import sync_folder

PART_SUFFIX = ".part"


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step, mode 0600; when this returns, the content is on disk.

    Unlike `hilum.files.write_atomic` it never makes the folder: a vault whose folder is gone must refuse.

    Raises
    ------
    OSError
        If it cannot be written: the old content stays.
    """
    part = path.parent / f".{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}"
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)
