"""Score a split with a trained network: the table that every evaluation starts from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.data.ingest import Dataset
from hilum.domain.findings import CLASS_NAMES
from hilum.model.ensemble import Ensemble
from hilum.model.scoring import Scorer

_CARRIED_COLUMNS = ["path", "label", "split", "source", "patient_id", "age", "sex", "view", "sha256"]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSplit:
    """`table` has one row per usable film with logit_<class>.

    `embeddings` float32 (N, C), `cams` float32 (N, K, h, w), `pixels` uint8 (N, S, S), `sides` int64 (N, 2):
    width and height of the files, px.
    """

    table: pd.DataFrame
    embeddings: NDArray[np.float32]
    cams: NDArray[np.float32]
    pixels: NDArray[np.uint8]
    sides: NDArray[np.int64]

    def logits(self) -> NDArray[np.float32]:
        """Return float32 (N, K)."""
        return self.table[[f"logit_{name}" for name in CLASS_NAMES]].to_numpy(np.float32)

    def labels(self) -> NDArray[np.int64]:
        """Return int64 (N,): the index of the label in CLASS_NAMES."""
        return self.table["label"].map(CLASS_NAMES.index).to_numpy(np.int64)

    def predicted(self) -> NDArray[np.int64]:
        """Return int64 (N,): the class with the highest logit."""
        return np.asarray(self.logits().argmax(axis=1), np.int64)


def score_split(
    scorer: Scorer | Ensemble,
    dataset: Dataset,
    split: str,
    *,
    on_films: Callable[[int], None] | None = None,
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
    sides = rows[["width", "height"]].to_numpy(np.int64)
    return ScoredSplit(table, scores.embedding, scores.cam, pixels, sides)
