"""Manifest rows and grey films for the probes, without files."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

SIDE = 96


def make_rows(
    labels: Sequence[str],
    *,
    source: str | Sequence[str] = "one",
    patients: Sequence[str | None] | None = None,
    split: str = "train",
) -> pd.DataFrame:
    count = len(labels)
    return pd.DataFrame(
        {
            "path": pd.array(
                [f"{split}/{label}/film_{row:04d}.png" for row, label in enumerate(labels)], "string"
            ),
            "label": pd.array(list(labels), "string"),
            "split": split,
            "source": pd.array([source] * count if isinstance(source, str) else list(source), "string"),
            "patient_id": pd.array(
                [f"p{row}" for row in range(count)] if patients is None else list(patients), "string"
            ),
            "width": pd.array([SIDE] * count, "Int64"),
            "height": pd.array([SIDE] * count, "Int64"),
            "format": pd.array(["PNG"] * count, "string"),
        }
    )


def noise_films(count: int, *, seed: int = 0, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 120, (count, side, side), dtype=np.uint8)
