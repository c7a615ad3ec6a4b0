"""Switch a sabotage on for the services that a control starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


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
