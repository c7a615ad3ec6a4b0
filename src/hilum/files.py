"""One way to write a file whole or not at all, and JSON without NaN. Knows nothing about what is in them."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_atomic(path: Path, data: bytes | str, *, durable: bool = False, private: bool = False) -> None:
    """Write a file beside its place and rename it there: `path` is the old file or the new one, always whole.

    Parameters
    ----------
    data
        Bytes, or text that becomes UTF-8.
    durable
        Flush file and folder to the disk, so that the new file survives a power cut.
    private
        Readable by its owner alone; else with the rights that the process gives new files.

    Raises
    ------
    OSError
        If the disk refuses; nothing is left beside the old file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            if not private:
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def to_json(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Return JSON text.

    Raises
    ------
    ValueError
        If a number is NaN or infinite: no JSON reader takes it, and no such figure may be shown.
    """
    return json.dumps(value, indent=indent, sort_keys=sort_keys, allow_nan=False)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the rename itself must reach the disk
    finally:
        os.close(descriptor)
