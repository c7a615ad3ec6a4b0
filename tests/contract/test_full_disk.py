"""A disk that fills up while a stage writes: an error that names the file, and no half-written file."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.config.load import load_config
from hilum.data.manifest import make_manifest, write_manifest
from hilum.data.phantoms import draw_phantoms
from hilum.explain.overlay import draw_overlay
from hilum.model.checkpoint import build_classifier
from hilum.model.export import export_graph
from hilum.registry.release import write_bundle
from hilum.registry.signing import make_keys
from hilum.robustness.scores import ScoreStore
from tests.conftest import TINY_SETTINGS

FIELD = np.zeros((40, 40), np.uint8)


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


def overlay(out: Path) -> None:
    draw_overlay(FIELD, FIELD.astype(np.float32), title="Normal 0.93", out=out / "film.png")


def graph(out: Path) -> None:
    network = build_classifier(load_config(overrides=TINY_SETTINGS)).eval()
    export_graph(network, out / "model.onnx", side_px=64)


def key(out: Path) -> None:
    make_keys(out)


WRITERS = {
    "manifest.parquet": manifest,
    "noise-1.npy": scores,
    "phantom_00000.png": lambda out: draw_phantoms(out, count=1, side_px=112),
    "film.png": overlay,
    "model.onnx": graph,
    "signing.pem": key,
}


@pytest.mark.parametrize(("file", "write"), WRITERS.items(), ids=list(WRITERS))
def test_a_full_disk_is_named_and_leaves_no_half_file(
    tmp_path: Path, file: str, write: Callable[[Path], None]
):
    with full_disk(), pytest.raises(OSError, match="File too large") as refusal:
        write(tmp_path)
    assert Path(refusal.value.filename).name == file
    assert not list(tmp_path.rglob(".*"))
    assert not list(tmp_path.rglob(file))


@pytest.mark.usefixtures("without_graph")
def test_a_bundle_that_does_not_fit_is_named_as_it_would_be_called(
    tiny_run: Path, tiny_evaluation: Path, tmp_path: Path
):
    checkpoint = tiny_run / "models" / "best_model.pt"
    with full_disk(), pytest.raises(OSError, match="File too large") as refusal:
        write_bundle(checkpoint, [tiny_evaluation], tmp_path, version="0.1.0", released=date(2026, 5, 4))
    bundle = tmp_path / "test_efficientnet_v0.1.0_20260504"
    assert refusal.value.filename == str(bundle / "weights.safetensors")
    assert list(tmp_path.iterdir()) == []
