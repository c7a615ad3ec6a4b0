"""Which bundle a registry calls production, and which ones were before it: one small file, moved in one step.

    aliases/production.json   {"name": ..., "previous": [newest first, ...], "since": ..., "event": {...}}

`previous` is a stack: promoting pushes the active name, rolling back pops it, so one undoes the other. The
file carries the event that wrote it: renaming it is the moment at which a promotion happens, and a writer
that dies before the history has the event leaves it here for the next one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.errors import CheckpointError
from hilum.files import sync_folder
from hilum.registry.durable import write_durably
from hilum.registry.history import Event, History
from hilum.registry.versions import parse_name

PRODUCTION = "production"
ALIAS_FOLDER = "aliases"
_DAMAGE = (ValueError, KeyError, TypeError, RecursionError, CheckpointError)


@dataclass(frozen=True, slots=True)
class Alias:
    """The active name, those before it (newest first), and the event that made it so."""

    name: str
    previous: tuple[str, ...]
    event: Event


def alias_file(root: Path) -> Path:
    """Return where the alias lies; readers watch this file."""
    return root / ALIAS_FOLDER / f"{PRODUCTION}.json"


def read_alias(root: Path, history: History) -> Alias | None:
    """Return the alias; None when nothing was ever promoted.

    Parameters
    ----------
    history
        Tells what the alias was when its file is lost or damaged.

    Raises
    ------
    CheckpointError
        If it is damaged and the history does not say either.
    """
    try:
        return _read_file(root) or replay(history.read()[0])
    except _DAMAGE as error:
        told = replay(history.read()[0])
        if told is None:
            raise CheckpointError(
                f"{alias_file(root)}: is damaged, and the history does not say what it was. Promote a model"
                " again."
            ) from error
        return told


def is_alias_whole(root: Path) -> bool:
    """Say whether the alias file can be read without the history's help."""
    try:
        return _read_file(root) is not None
    except _DAMAGE:
        return False


def _read_file(root: Path) -> Alias | None:
    try:
        content = json.loads(alias_file(root).read_bytes())
    except FileNotFoundError:
        return None
    names = [content["name"], *content["previous"]]
    for name in names:
        parse_name(name)
    return Alias(names[0], tuple(names[1:]), Event.from_plain(content["event"]))


def write_alias(root: Path, alias: Alias) -> None:
    """Move the alias; when this returns, the move is on the disk.

    Raises
    ------
    OSError
        If it cannot be written: it stays where it was.
    """
    file = alias_file(root)
    if not file.parent.is_dir():
        file.parent.mkdir()
        sync_folder(root)
    content = {
        "name": alias.name,
        "previous": list(alias.previous),
        "since": alias.event.at,
        "event": alias.event.to_plain(),
    }
    write_durably(file, json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")


def push(alias: Alias | None, event: Event) -> Alias:
    """Return the alias after the promotion that an event tells."""
    return Alias(event.name, (alias.name, *alias.previous) if alias else (), event)


def pop_to(alias: Alias, event: Event) -> Alias:
    """Return the alias after the rollback that an event tells; what lay above its name is dropped."""
    index = alias.previous.index(event.name)
    return Alias(event.name, alias.previous[index + 1 :], event)


def drop(alias: Alias, names: Sequence[str]) -> Alias:
    """Return the alias without names that are no longer there."""
    return Alias(alias.name, tuple(name for name in alias.previous if name not in names), alias.event)


def replay(events: Sequence[Event]) -> Alias | None:
    """Return the alias that a history led to."""
    alias: Alias | None = None
    for event in events:
        if event.kind == "promote":
            alias = push(alias, event)
        elif event.kind == "rollback" and alias is not None and event.name in alias.previous:
            alias = pop_to(alias, event)
        elif event.kind == "prune" and alias is not None:
            alias = drop(alias, event.details.get("names", ()))
    return alias
