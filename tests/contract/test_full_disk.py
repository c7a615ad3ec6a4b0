"""A disk that fills up while a stage writes: an error with the file's name, and no half-written file."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.data.manifest import make_manifest, write_manifest
from hilum.data.phantom.files import write_bytes
from hilum.registry.release import write_bundle
from hilum.robustness.scores import ScoreStore

pytestmark = pytest.mark.usefixtures("without_graph")


@contextmanager
def full_disk() -> Iterator[None]:
    """Refuse every write beyond the first 100 bytes of a file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def manifest(out: Path) -> None:
    rows = {"path": ["a.png"], "label": ["Normal"], "split": ["val"], "sha256": ["1"], "excluded": [None]}
    write_manifest(make_manifest(pd.DataFrame(rows)), out / "manifest.parquet")


def scores(out: Path) -> None:
    ScoreStore(out, []).get("noise-1", lambda: np.zeros((50, 3), np.float32))


def phantom(out: Path) -> None:
    write_bytes(out / "film.png", bytes(200))


@pytest.mark.parametrize(
    ("write", "file"), [(manifest, "manifest.parquet"), (scores, "noise-1.npy"), (phantom, "film.png")]
)
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, write: Callable[[Path], None], file: str):
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        write(tmp_path)
    assert Path(caught.value.filename).name == file
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_bundle_that_does_not_fit_is_an_error_of_the_disk(
    tiny_run: Path, tiny_evaluation: Path, tmp_path: Path
):
    checkpoint = tiny_run / "models" / "best_model.pt"
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        write_bundle(checkpoint, [tiny_evaluation], tmp_path, version="0.1.0", released=date(2026, 5, 4))
    assert Path(caught.value.filename).parent.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
