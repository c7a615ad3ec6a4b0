"""Which version answers when the wanted one cannot.

The version before it, then the one before that, then the one that ships with hilum. A version that failed is
not asked again until someone moves the alias: A to B never leads back to A.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hilum.domain.errors import CheckpointError, HilumError
from hilum.registry.alias import PRODUCTION, alias_file
from hilum.registry.bundle import find_released
from hilum.registry.integrity import check_bundle
from hilum.registry.store import ModelStore

UNKNOWN = "unknown"
"""What a wanted version is called whose name cannot be read."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that might answer; `find` gives its folder or raises CheckpointError."""

    name: str
    find: Callable[[], Path]


class ModelSource(Protocol):
    """Where versions come from."""

    def generation(self) -> object:
        """Return something that differs once another version is wanted."""

    def candidates(self) -> Iterator[Candidate]:
        """Yield the wanted version first, then those to fall back to."""


class OneBundle:
    """A bundle named by the operator, or the one that ships with hilum."""

    def __init__(self, folder: Path | None = None, public_key: Path | None = None) -> None:
        self._folder = folder
        self._public_key = public_key

    def generation(self) -> object:
        """Return the same each time: nothing can be promoted here."""
        return None

    def candidates(self) -> Iterator[Candidate]:
        """Yield the bundle, then the shipped one."""
        if self._folder is not None:
            yield _signed(self._folder.resolve(), self._public_key)
        yield from _shipped(self._public_key)


class RegistryAlias:
    """The alias `production` of a registry."""

    def __init__(self, store: ModelStore, public_key: Path | None = None) -> None:
        self._store = store
        self._public_key = public_key

    def generation(self) -> object:
        """Return what the alias file looks like; moving the alias replaces the file."""
        try:
            status = alias_file(self._store.root).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def candidates(self) -> Iterator[Candidate]:
        """Yield the production version, those that were it before, then the shipped one."""
        name = self._wanted_name()
        seen: set[str] = set()
        if name is not None:
            yield Candidate(name, lambda: self._store.resolve(PRODUCTION))
        while name is not None and name not in seen:
            seen.add(name)
            folder = self._previous(name)
            name = None if folder is None else folder.name
            if folder is not None and name not in seen:
                yield _signed(folder, self._public_key)
        yield from _shipped(self._public_key)

    def _wanted_name(self) -> str | None:
        try:
            return self._store.production()
        except (HilumError, OSError):
            return UNKNOWN  # a damaged alias, and a history that does not tell either

    def _previous(self, name: str) -> Path | None:
        try:
            return self._store.previous(name)
        except (HilumError, OSError):
            return None


def _signed(folder: Path, public_key: Path | None) -> Candidate:
    """Return a candidate whose signature is checked when it is opened, if there is a key."""
    if public_key is None:
        return Candidate(folder.name, lambda: folder)
    return Candidate(folder.name, lambda: check_bundle(folder, public_key=public_key).folder)


def _shipped(public_key: Path | None) -> Iterator[Candidate]:
    try:
        folder = find_released()
    except CheckpointError:
        return
    yield _signed(folder, public_key)
