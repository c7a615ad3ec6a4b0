"""What happened to a registry, in order: one JSON line for each event, each bound to the line before it.

    {"seq": 3, "at": "2026-11-24T00:10:00Z", "kind": "promote", "name": ..., "by": ..., "after": ...}

`after` is the SHA-256 of the line before, so an edited, removed or reordered line is noticed. A line that a
crash cut short is dropped by the next writer; readers ignore it. Knows nothing about bundles or aliases.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hilum.domain.errors import ConfigError
from hilum.domain.thresholds import MAX_REASON_LENGTH
from hilum.registry.durable import append_durably, write_durably

HISTORY_FILE = "history.jsonl"
KINDS = frozenset({"register", "promote", "rollback", "refuse", "prune"})


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that was done to a registry.

    `name` is the bundle it is about; `previous` the one that was production before; `override` why a refusal
    was overruled; `details` figures, refusals or names.
    """

    seq: int
    kind: str
    name: str
    by: str
    reason: str
    at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    previous: str | None = None
    override: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind

    def to_plain(self) -> dict[str, Any]:
        """Return what JSON knows."""
        return asdict(self)

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "Event":
        """Return the event of a line or an alias file.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is none.
        """
        known = {name: content[name] for name in cls.__slots__}
        if not isinstance(known["seq"], int) or known["kind"] not in KINDS:
            raise ValueError("no event")
        return cls(**known)


class History:
    """The file of events of one registry."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> tuple[list[Event], list[str]]:
        """Return all events in order, and what is wrong with the file, one sentence each."""
        events: list[Event] = []
        problems: list[str] = []
        before = b""
        for number, line in enumerate(self._lines(), start=1):
            try:
                content = json.loads(line)
                event = Event.from_plain(content)
                after = content["after"]
            except (ValueError, KeyError, TypeError, RecursionError):
                problems.append(f"{HISTORY_FILE}, line {number}: is no event.")
                before = line
                continue
            if after != _digest(before):
                problems.append(f"{HISTORY_FILE}, line {number}: does not follow the line before it.")
            if event.seq != (events[-1].seq if events else 0) + 1:
                problems.append(f"{HISTORY_FILE}, line {number}: number {event.seq} is out of order.")
            events.append(event)
            before = line
        return events, problems

    def append(self, event: Event) -> None:
        """Add an event; the caller holds the registry's lock and has called `mend`."""
        lines = self._lines()
        content = {**event.to_plain(), "after": _digest(lines[-1] if lines else b"")}
        append_durably(self._file, json.dumps(content, allow_nan=False).encode() + b"\n")

    def last_number(self) -> int:
        """Return the number of the last event; 0 when there is none."""
        events, _ = self.read()
        return events[-1].seq if events else 0

    def mend(self) -> None:
        """Drop what a crash left of an unfinished line."""
        content = self._content()
        if content and not content.endswith(b"\n"):
            write_durably(self._file, content[: content.rfind(b"\n") + 1])

    def _lines(self) -> list[bytes]:
        whole, _, _ = self._content().rpartition(b"\n")
        return whole.split(b"\n") if whole else []

    def _content(self) -> bytes:
        return self._file.read_bytes() if self._file.exists() else b""


def one_line(text: str, what: str) -> str:
    """Return text fit for the history: one line of printable characters.

    Raises
    ------
    ConfigError
        If it is empty, too long, or holds control characters.
    """
    text = text.strip()
    if not text or len(text) > MAX_REASON_LENGTH or not text.isprintable():
        raise ConfigError(
            f"{what} must be said in one line of 1 to {MAX_REASON_LENGTH} printable characters; it is kept"
            " in the registry's history. Name no patient."
        )
    return text


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
