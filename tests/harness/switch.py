"""What a sabotage switch is, and the ways to replace something of the product."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from .import_hook import Patch


@dataclass(frozen=True)
class Sabotage:
    """One promise broken.

    Parameters
    ----------
    group
        Of RELIABILITY.md.
    says
        What is broken.
    patches
        By module: done right after it is loaded.
    tests
        Node ids of which at least one must fail.
    """

    group: str
    says: str
    patches: Mapping[str, Patch]
    tests: tuple[str, ...]


def replaced(attribute: str, make: Callable[[Any], Any]) -> Patch:
    """Return a patch that puts `make(old)` in the place of an attribute, dotted for one of a class."""

    def patch(module: ModuleType) -> None:
        owner: Any = module
        *path, last = attribute.split(".")
        for step in path:
            owner = getattr(owner, step)
        setattr(owner, last, make(getattr(owner, last)))

    return patch


def value(name: str, new: Any) -> Patch:
    """Return a patch that gives a name another value."""
    return replaced(name, lambda _: new)


def nothing(attribute: str) -> Patch:
    """Return a patch after which a function does nothing and returns None."""
    return replaced(attribute, lambda _: lambda *_arguments, **_options: None)


def together(*patches: Patch) -> Patch:
    """Return a patch of several in one module."""

    def patch(module: ModuleType) -> None:
        for one in patches:
            one(module)

    return patch
