from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.monitoring.worlds import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A journal on a stepped clock, a reference, and nothing played yet."""
    made = make_world(tmp_path)
    yield made
    made.journal.close()
