"""Score a split with a trained network: the table that every evaluation starts from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.data.ingest import Dataset
from hilum.domain.findings import CLASS_NAMES
from hilum.model.scoring import Scorer

_CARRIED_COLUMNS = ["path", "label", "split", "source", "patient_id", "age", "sex", "view", "sha256"]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSplit:
    """`table` has one row per usable film with logit_<class>; `cams` float32 (N, K, h, w); `pixels` uint8."""

    table: pd.DataFrame
    cams: NDArray[np.float32]
    pixels: NDArray[np.uint8]

    def predicted(self) -> NDArray[np.int64]:
        """Return int64 (N,): the class with the highest logit."""
        logits = self.table[[f"logit_{name}" for name in CLASS_NAMES]].to_numpy(np.float64)
        return np.asarray(logits.argmax(axis=1), np.int64)


def score_split(
    scorer: Scorer, dataset: Dataset, split: str, *, on_films: Callable[[int], None] | None = None
) -> ScoredSplit:
    """Score the usable films of a split.

    Raises
    ------
    EmptyDataset
        If the split has none.
    """
    rows, pixels = dataset.select(split)
    scores = scorer.score(pixels, on_films=on_films)
    table = rows[_CARRIED_COLUMNS].copy()
    for index, name in enumerate(CLASS_NAMES):
        table[f"logit_{name}"] = scores.logits[:, index]
    return ScoredSplit(table, scores.cam, pixels)
