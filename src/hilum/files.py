"""Writing files whole or not at all, JSON without NaN, and names of files as they may be shown."""

import json
import os
import secrets
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
        If the disk refuses, with the name of `path`; nothing is left beside the old file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    rights = 0o600 if private else 0o666  # less the process's umask
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, rights)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # a full disk names no file
            raise OSError(error.errno, error.strerror, str(path)) from error
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


def show_name(name: str) -> str:
    r"""Return a name of a file as it may be printed: what is not printable becomes an escape.

    Bytes that are not UTF-8, terminal escapes and marks that turn the direction of text are not printable; a
    name with one of them is shown as `caf\xe9.png`.
    """
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in name)


def guard_cell(text: str) -> str:
    """Return text for a cell of a CSV that no spreadsheet takes for a formula.

    References
    ----------
    OWASP, "CSV Injection": a cell that begins with = + - @, tab or carriage return gets a quote before it.
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _escape(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - how Python keeps a byte that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the rename itself must reach the disk
    finally:
        os.close(descriptor)
