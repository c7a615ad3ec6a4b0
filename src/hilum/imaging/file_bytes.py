"""The one reader of files that people name: films, tables and lists.

A folder of films may hold a named pipe, a device or a link to one; opening it may wait for ever, and reading
it may never end. Here such a thing is refused before a byte is read, and no file is read beyond its limit,
whatever its size claims.
"""

import os
import stat
from pathlib import Path

from hilum.domain.errors import FileUnreadable, InputError
from hilum.domain.thresholds import MAX_FILE_BYTES
from hilum.imaging.limits import MEBIBYTE, check_bytes

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_file(path: Path, *, name: str, refusal: type[InputError] | None = None) -> bytes:
    """Return the bytes of a regular file, at most `MAX_FILE_BYTES`.

    Parameters
    ----------
    path
        Links are followed.
    name
        How the caller's user knows the file.
    refusal
        What is raised for a file that is no film (a table, a list): `DatasetError`, for example.

    Raises
    ------
    FileUnreadable
        If it is missing, may not be read, or is a folder, a pipe, a socket or a device; at once, also where
        opening it would wait.
    FileTooLarge
        If it is larger.
    """
    try:
        _check_regular(path.stat().st_mode, name, refusal)  # before it is opened: opening can do things
        # Not to wait if a pipe took its place meanwhile; means nothing for a regular file.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            _check_regular(status.st_mode, name, refusal)
            _check_length(status.st_size, name, refusal)
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL inside the path
        reason = getattr(error, "strerror", None) or "the path is not valid"
        raise (refusal or FileUnreadable)(f"{name}: cannot be opened ({reason}). Check the path.") from error
    _check_length(len(data), name, refusal)  # it may have grown, or have had no size to state
    return data


def _check_regular(mode: int, name: str, refusal: type[InputError] | None) -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "not a file")
    raise (refusal or FileUnreadable)(
        f"{name}: this is {kind}; a regular file is needed. Name the file itself."
    )


def _check_length(size: int, name: str, refusal: type[InputError] | None) -> None:
    if refusal is None:
        check_bytes(size, name=name)
    elif size > MAX_FILE_BYTES:
        raise refusal(
            f"{name}: the file has {size:,} bytes; at most {MAX_FILE_BYTES:,}"
            f" ({MAX_FILE_BYTES // MEBIBYTE} MiB) are read. Split it."
        )
