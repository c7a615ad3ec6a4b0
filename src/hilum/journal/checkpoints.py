"""Signed heads of the chain, one line each, in a file outside the database.

Several processes append to it, each under a lock; a line that a power cut tore is removed by the next one.
Keep the file where the database's administrator has no hand: another host, or `chattr +a`.
"""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.errors import JournalUnavailable
from hilum.journal.chain import is_same, sign_head, to_canonical

_TAIL_BYTES = 4096  # longer than any line


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Record `seq` existed at `at` (text, UTC), with the link `hash`."""

    seq: int
    hash: str
    at: str


class CheckpointsAltered(Exception):
    """A line is not what hilum wrote."""


class Checkpoints:
    """The file.

    Parameters
    ----------
    path
        Where it is or shall be.
    key
        The chain key.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self._key = key

    def exists(self) -> bool:
        """Whether there is any checkpoint."""
        return self.path.is_file() and self.path.stat().st_size > 0

    def append(self, *, seq: int, link: str, at: str) -> None:
        """Sign a head and flush it to disk.

        Raises
        ------
        JournalUnavailable
            The file cannot be written.
        """
        mac = sign_head(self._key, "checkpoint", seq=seq, link=link, at=at)
        line = to_canonical({"seq": seq, "hash": link, "at": at, "mac": mac}) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                _cut_torn_line(handle)
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as fault:
            raise JournalUnavailable(
                f"journal: cannot write the checkpoints ({fault.strerror}); no answers until it can"
            ) from fault

    def read(self) -> list[Checkpoint]:
        """Return every checkpoint in file order; none when there is no file.

        Raises
        ------
        CheckpointsAltered
            A whole line cannot be read, or its mac is not ours.
        JournalUnavailable
            The file cannot be read.
        """
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as fault:
            raise JournalUnavailable(f"journal: the checkpoints cannot be read ({fault.strerror})") from fault
        whole = text[: text.rfind(b"\n") + 1]  # the rest is a torn line, never acknowledged
        return [self._read_line(line, number) for number, line in enumerate(whole.splitlines(), start=1)]

    def refuse_another_key(self) -> None:
        """Refuse to go on where another key has signed: records under two keys would never verify again.

        Raises
        ------
        JournalUnavailable
            The newest checkpoint is not ours, or cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                tail = _read_tail(file.fileno())
            lines = tail[: tail.rfind(b"\n") + 1].splitlines()
            if lines:
                self._read_line(lines[-1], 0)
        except FileNotFoundError:
            return
        except (OSError, CheckpointsAltered):
            raise JournalUnavailable(
                "journal: the newest checkpoint is altered, or signed with another key;"
                " restore the chain key or the checkpoints"
            ) from None

    def _read_line(self, line: bytes, number: int) -> Checkpoint:
        try:
            stated = json.loads(line)
            found = Checkpoint(seq=int(stated["seq"]), hash=str(stated["hash"]), at=str(stated["at"]))
            is_ours = is_same(
                stated["mac"], sign_head(self._key, "checkpoint", seq=found.seq, link=found.hash, at=found.at)
            )
        except (ValueError, KeyError, TypeError):
            is_ours = False
        if not is_ours:
            raise CheckpointsAltered(
                f"line {number} of the checkpoints is altered, or signed with another key"
            )
        return found


def _read_tail(handle: int) -> bytes:
    size = os.fstat(handle).st_size
    return os.pread(handle, _TAIL_BYTES, max(0, size - _TAIL_BYTES))


def _cut_torn_line(handle: int) -> None:
    tail = _read_tail(handle)
    torn = len(tail) - tail.rfind(b"\n") - 1
    if torn:
        os.ftruncate(handle, os.fstat(handle).st_size - torn)
