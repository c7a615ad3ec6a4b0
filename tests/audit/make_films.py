"""Phantom sets on disk and films in memory for the tests of the audit."""

from pathlib import Path

import numpy as np
import pandas as pd

from hilum.audit.measures import FilmMeasures, measure_films
from hilum.config.load import load_config
from hilum.data.ingest import Dataset, open_dataset
from hilum.data.manifest import make_manifest

CONFIG = load_config(overrides=("preprocessing.image_size=64",))


def measured(folder: Path) -> FilmMeasures:
    return measure_films(open_dataset(folder, CONFIG))


def table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """A manifest of named rows: train, Normal and 120 x 100 px unless said otherwise."""
    usual = {"label": "Normal", "split": "train", "width": 120, "height": 100, "format": "PNG"}
    named = [{"path": f"{i:03d}.png", "sha256": f"digest {i}"} for i in range(len(rows))]
    return make_manifest(pd.DataFrame([usual | name | row for name, row in zip(named, rows, strict=True)]))


def dataset(rows: list[dict[str, object]], films: np.ndarray) -> Dataset:
    return Dataset(Path("nowhere"), table(rows), films)
