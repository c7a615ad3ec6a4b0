"""Planted identifiers, and a scan of all bytes for any trace of them.

A token is sixteen letters that occur in no digest (G to Z); a trace is the token in any usual encoding or any
six letters of it in a row.
"""

import base64
import random
import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .processes import deleted_files

LETTERS = string.ascii_uppercase[6:]
TOKEN_LETTERS = 16
PIECE_LETTERS = 6
_ROWS = tuple(  # looked ahead for, so that rows may overlap
    re.compile(b"(?=((?:" + letter + b"){6}))", re.DOTALL)
    for letter in (rb"[G-Z]", rb"[g-z]", rb"[G-Z]\0", rb"\0[G-Z]")
)


@dataclass(frozen=True)
class Hit:
    """One trace of a token."""

    surface: str
    token: str
    trace: bytes
    around: bytes


def new_token(seed: object) -> str:
    """Draw a token; the same seed gives the same one."""
    rng = random.Random(f"canary-{seed}")
    return "".join(rng.choice(LETTERS) for _ in range(TOKEN_LETTERS))


def pieces(token: str) -> set[bytes]:
    """Return every six letters in a row: as they are, in lower case, backwards, and in UTF-16."""
    plain = [token[at : at + PIECE_LETTERS] for at in range(len(token) - PIECE_LETTERS + 1)]
    found = {piece.encode() for piece in plain} | {piece.lower().encode() for piece in plain}
    found |= {piece[::-1].encode() for piece in plain}
    for codec in ("utf-16-le", "utf-16-be"):
        found |= {piece.encode(codec) for piece in plain}
    return found


def codes(token: str) -> set[bytes]:
    """Return the token as other alphabets write it."""
    found = set()
    for variant in (token.encode(), token.lower().encode()):
        found |= {variant.hex().encode(), variant.hex().upper().encode()}
        for shift in range(3):  # base64 at each alignment, without the letters its surroundings decide
            coded = base64.b64encode(bytes(shift) + variant)
            found.add(coded[-(-shift * 8 // 6) + 1 : len(coded) - 4])
    return found


def scan(surfaces: Iterable[tuple[str, bytes]], tokens: Iterable[str]) -> list[Hit]:
    """Return every surface and token with a trace, one hit for each pair.

    Letters of tokens are rare, so pieces are looked up only where six of them stand in a row.
    """
    owners = {piece: token for token in tokens for piece in pieces(token)}
    coded = {code: token for token in tokens for code in codes(token)}
    hits: dict[tuple[str, str], Hit] = {}
    for name, data in surfaces:
        found = [(owner, found) for found in _rows(data) if (owner := owners.get(data[slice(*found)]))]
        found += [
            (owner, (at, at + len(code))) for code, owner in coded.items() if (at := data.find(code)) >= 0
        ]
        for token, (start, end) in found:
            around = data[max(0, start - 60) : end + 60]
            hits.setdefault((name, token), Hit(name, token, data[start:end], around))
    return list(hits.values())


def _rows(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where six letters stand in a row, in one of the ways in which pieces are written."""
    for pattern in _ROWS:
        for match in pattern.finditer(data):
            yield match.start(1), match.end(1)


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every file of a folder, its name being a surface as well."""
    for path in sorted(folder.rglob("*")):
        yield f"name of {path}", path.name.encode()
        if path.is_file():
            yield str(path), path.read_bytes()


def process_surfaces(pid: int) -> Iterator[tuple[str, bytes]]:
    """Yield what a process tree keeps that no folder shows: nameless files."""
    yield from deleted_files(pid).items()
