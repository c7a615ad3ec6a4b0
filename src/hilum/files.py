"""Writing files whole or not at all, JSON without NaN, and names of files as they may be shown."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

TEMPORARY_SUFFIX = ".tmp"
_SHOWN_LETTERS = 40  # of a name in that of its temporary file, which must not be longer than a name may be


def write_atomic(
    path: Path, data: bytes | str, *, durable: bool = False, private: bool = False, beside: Path | None = None
) -> None:
    """Write a file under another name and rename it: `path` is the old file or the new one, always whole.

    Parameters
    ----------
    data
        Bytes, or text that becomes UTF-8.
    durable
        Flush file and folder to the disk, so that the new file survives a power cut.
    private
        Readable by its owner alone; else with the rights that the process gives new files.
    beside
        Folder of the same file system for the temporary file, which a crash can leave; by default the file's
        own, which is made if missing.

    Raises
    ------
    OSError
        If the disk refuses, with the name of `path`; nothing is left beside the old file.
    """
    with open_atomic(path, durable=durable, private=private, beside=beside) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def open_atomic(
    path: Path, *, durable: bool = False, private: bool = False, beside: Path | None = None
) -> Iterator[IO[bytes]]:
    """Open a file to write it in parts, as `write_atomic` does: `path` changes when all of it is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f".{path.name[:_SHOWN_LETTERS]}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
    temporary = (beside or path.parent) / name
    rights = 0o600 if private else 0o666  # less the process's umask
    with naming(path, temporary=temporary):
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, rights)
            with os.fdopen(descriptor, "wb") as file:
                yield file
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


@contextmanager
def naming(path: Path, *, temporary: Path) -> Iterator[None]:
    """Let an error of the disk name `path`, which people know, and not the temporary file or folder.

    A full disk names no file at all; an error about another file keeps its name.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            if error.errno is not None:  # else its text would be lost
                error.filename = str(path)
        elif (named := Path(str(error.filename))).is_relative_to(temporary):
            error.filename = str(path / named.relative_to(temporary))
            del error.filename2  # None would be shown
        raise


def sync_folder(folder: Path) -> None:
    """Bring names made, renamed or removed in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
