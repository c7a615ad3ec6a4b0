"""Removing old bundles from a registry, in steps that a crash cannot leave half done.

What is to go is written down first (`pending.json`), then the alias forgets it, then each folder loses its
name in one rename before its files go. Whoever changes the registry next finishes what a crash interrupted.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from hilum.files import sync_folder
from hilum.registry.alias import Alias, drop, write_alias
from hilum.registry.durable import write_durably
from hilum.registry.history import Event
from hilum.registry.versions import parse_name

PENDING_FILE = "pending.json"
_GOING = ".pruned."


def choose_prunable(
    names: Sequence[str], alias: Alias | None, *, keep: int, is_whole: Callable[[str], bool]
) -> list[str]:
    """Return the names that may go: neither active, nor among the previous `keep`, nor waiting for promotion.

    A version waits for promotion when it is higher than the active one and was never production. Damaged
    bundles on the way down do not count as one of the previous `keep`, and stay.

    Parameters
    ----------
    names
        All bundles of the registry.
    alias
        None when nothing was ever promoted: then nothing may go.
    """
    if alias is None:
        return []
    kept, whole = {alias.name}, 0
    for name in dict.fromkeys(alias.previous):
        if whole == keep:
            break
        if name not in kept:
            kept.add(name)
            whole += name in names and is_whole(name)
    active = parse_name(alias.name).version
    return [
        name
        for name in names
        if name not in kept and (name in alias.previous or parse_name(name).version <= active)
    ]


def start_prune(root: Path, event: Event) -> None:
    """Write down what is about to go; from here on it will go, whoever finishes it."""
    write_durably(root / PENDING_FILE, json.dumps(event.to_plain(), allow_nan=False).encode() + b"\n")


def pending_prune(root: Path) -> Event | None:
    """Return the prune that was started and not finished."""
    file = root / PENDING_FILE
    return Event.from_plain(json.loads(file.read_bytes())) if file.exists() else None


def carry_out_prune(root: Path, event: Event, alias: Alias | None) -> None:
    """Remove the bundles an event names; may be repeated until it ends."""
    names = event.details["names"]
    if alias is not None and set(names) & set(alias.previous):
        write_alias(root, drop(alias, names))
    _remove_going(root)  # a name that came back since the crash would not move onto what is left of it
    for name in names:
        if (root / name).exists():
            (root / name).rename(root / f"{_GOING}{name}")
    sync_folder(root)
    _remove_going(root)


def _remove_going(root: Path) -> None:
    for folder in root.glob(f"{_GOING}*"):
        shutil.rmtree(folder)


def end_prune(root: Path) -> None:
    """Forget a prune that the history now has."""
    (root / PENDING_FILE).unlink()
    sync_folder(root)
