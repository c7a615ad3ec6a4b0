"""Switch a sabotage on: for the services that a control starts, or in its own process."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.sabotage import find


@contextmanager
def sabotaged(name: str | None) -> Iterator[None]:
    """Start every service within broken by a switch of tests.harness.sabotage; by none if None."""
    if name is None:
        yield
        return
    os.environ["HILUM_SABOTAGE"] = name
    try:
        yield
    finally:
        del os.environ["HILUM_SABOTAGE"]


def break_here(name: str) -> None:
    """Break this process for good, which is that of one trial: look things up in their module afterwards."""
    for module, patch in find(name).patches.items():
        patch(importlib.import_module(module))
