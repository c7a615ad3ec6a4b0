"""Planted identifiers, and a scan of all bytes for any trace of them.

A token is sixteen letters that occur in no digest (G to Z); a trace is the token in any usual encoding or any
six letters of it in a row.
"""

import base64
import random
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .processes import deleted_files

LETTERS = string.ascii_uppercase[6:]
TOKEN_LETTERS = 16
PIECE_LETTERS = 6


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


def traces(token: str) -> list[bytes]:
    """List the byte strings that give a token away."""
    whole = token.encode()
    pieces = [token[at : at + PIECE_LETTERS] for at in range(len(token) - PIECE_LETTERS + 1)]
    found = {piece.encode() for piece in pieces} | {piece.lower().encode() for piece in pieces}
    found |= {piece[::-1].encode() for piece in pieces}
    for codec in ("utf-16-le", "utf-16-be"):
        found |= {piece.encode(codec) for piece in pieces}
    for variant in (whole, whole.lower()):
        found |= {variant.hex().encode(), variant.hex().upper().encode(), quote(variant).encode()}
        for shift in range(
            3
        ):  # base64 of the text at each alignment, without the letters its surroundings decide
            coded = base64.b64encode(bytes(shift) + variant)
            found.add(coded[-(-shift * 8 // 6) + 1 : len(coded) - 4])
    return sorted(found)


def scan(surfaces: Iterable[tuple[str, bytes]], tokens: Iterable[str]) -> list[Hit]:
    """Return every surface and token with a trace, one hit for each pair."""
    wanted = {token: traces(token) for token in tokens}
    hits = []
    for name, data in surfaces:
        for token, needles in wanted.items():
            for needle in needles:
                at = data.find(needle)
                if at >= 0:
                    hits.append(Hit(name, token, needle, data[max(0, at - 60) : at + 60]))
                    break
    return hits


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every file of a folder, its name being a surface as well."""
    for path in sorted(folder.rglob("*")):
        yield f"name of {path}", path.name.encode()
        if path.is_file():
            yield str(path), path.read_bytes()


def process_surfaces(pid: int) -> Iterator[tuple[str, bytes]]:
    """Yield what a process tree keeps that no folder shows: nameless files."""
    yield from deleted_files(pid).items()
