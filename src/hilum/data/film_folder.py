"""Films below a folder, found by what files are and not by what they are called; what is left out is named.

Archives name DICOM files by UID, without a suffix, and leave litter beside them. Knows nothing about labels.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilum.files import show_name
from hilum.imaging.headers import sniff_format

FILM_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom", ".ima"}
)
"""A file of one of these names is taken for a film whatever its bytes: it is damaged, and has to be said."""

_LITTER = frozenset(
    {"@eadir", "__macosx", "thumbs.db", "desktop.ini", "dicomdir", "$recycle.bin", "lost+found",
     "system volume information"}
)  # fmt: skip
_TABLES = frozenset({".csv", ".parquet"})
_SNIFFED_BYTES = 256
_NAMED_EXAMPLES = 3

LITTER, NOT_AN_IMAGE, NOT_A_FILE = "litter of systems", "not an image", "not a regular file"
BROKEN_LINK, LINK_LOOP, UNREADABLE = (
    "a link to nothing",
    "a link to a folder that was read",
    "cannot be opened",
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder that was not taken, relative to the folder searched, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class FoundFilms:
    """Films below a folder, sorted, and what else lies there."""

    films: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]


def walk_films(folder: Path) -> FoundFilms:
    """Find the films below a folder. Links are followed once; hidden files and litter are left out.

    Raises
    ------
    OSError
        If the folder itself cannot be listed.
    """
    films: list[Path] = []
    left_out: list[LeftOut] = []
    seen = {_identity(folder)}
    pending = [folder]
    while pending:
        for entry in sorted(_entries(pending.pop(), folder, left_out), key=lambda one: one.name):
            path = Path(entry.path)
            reason = _why_left_out(entry, path, seen)
            if reason is None and path.is_dir():
                seen.add(_identity(path))
                pending.append(path)
            elif reason is None:
                films.append(path)
            elif path.suffix.lower() not in _TABLES:
                left_out.append(LeftOut(path.relative_to(folder).as_posix(), reason))
    return FoundFilms(tuple(sorted(films)), tuple(sorted(left_out, key=lambda one: one.path)))


def is_litter(name: str) -> bool:
    """Return whether a file or folder of this name is what systems leave behind, or hidden."""
    return name.startswith(".") or name.lower() in _LITTER


def describe_left_out(left_out: Sequence[LeftOut]) -> list[str]:
    """Return one line for each reason: how many, and the first names."""
    lines = []
    for reason, count in Counter(one.reason for one in left_out).most_common():
        names = [show_name(one.path) for one in left_out if one.reason == reason]
        more = ", ..." if count > _NAMED_EXAMPLES else ""
        lines.append(f"left out, {reason}: {count} ({', '.join(names[:_NAMED_EXAMPLES])}{more})")
    return lines


def storable_path(path: str) -> str:
    """Return a path that Parquet and JSON can hold: bytes that are not UTF-8 become escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def stored_file(root: Path, path: str) -> Path:
    """Return the file of a path that `storable_path` made."""
    plain = root / path
    if "\\x" not in path or plain.exists():
        return plain
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda escape: bytes([int(escape[1], 16)]), path.encode())
    return root / os.fsdecode(raw)


def _entries(folder: Path, root: Path, left_out: list[LeftOut]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        if folder == root:
            raise
        left_out.append(LeftOut(folder.relative_to(root).as_posix(), UNREADABLE))


def _why_left_out(entry: os.DirEntry[str], path: Path, seen: set[tuple[int, int]]) -> str | None:
    if is_litter(entry.name):
        return LITTER
    try:
        status = path.stat()  # of what a link leads to
    except OSError:
        return BROKEN_LINK if entry.is_symlink() else UNREADABLE
    if path.is_dir():
        return LINK_LOOP if (status.st_dev, status.st_ino) in seen else None
    if not path.is_file():
        return NOT_A_FILE
    try:
        with path.open("rb") as file:
            head = file.read(_SNIFFED_BYTES)
    except OSError:
        return None if path.suffix.lower() in FILM_SUFFIXES else UNREADABLE
    return None if sniff_format(head) or path.suffix.lower() in FILM_SUFFIXES else NOT_AN_IMAGE


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
