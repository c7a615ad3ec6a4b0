"""Which films are tested: a stratified sample of a split, and films of other sites by folder or table."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.config.schema import TrainConfig
from hilum.data.ingest import Dataset, open_dataset
from hilum.data.manifest import UNKNOWN_SOURCE

EXTERNAL_SPLIT = "external"


@dataclass(frozen=True, slots=True, eq=False)
class FilmSet:
    """N films: `rows` of the manifest and `pixels` uint8 (N, side, side), in the same order.

    `seen` counts the films whose file is also among the data the model is tested beside (0: a new site).
    """

    name: str
    rows: pd.DataFrame
    pixels: NDArray[np.uint8]
    seen: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def sample(self, count: int | None, *, seed: int) -> "FilmSet":
        """Return `count` films in which every class of every source keeps its share; all films if None."""
        if count is None or count >= len(self):
            return self
        shuffled = np.random.default_rng(seed).permutation(len(self))
        strata = self.rows["source"].astype(str) + "/" + self.rows["label"].astype(str)
        order = pd.Series(shuffled)
        keys = strata.to_numpy()[shuffled]
        rank = order.groupby(keys).cumcount() + 0.5
        size = order.groupby(keys).transform("size")
        nearest = np.argsort((rank / size).to_numpy(), kind="stable")[:count]
        chosen = np.sort(shuffled[nearest])
        return FilmSet(
            self.name, self.rows.iloc[chosen].reset_index(drop=True), self.pixels[chosen], self.seen
        )


def select_films(dataset: Dataset, split: str) -> FilmSet:
    """Return the usable films of a split.

    Raises
    ------
    EmptyDataset
        If there is none.
    """
    return FilmSet(split, *dataset.select(split))


def find_external(
    dataset: Dataset, split: str, others: Iterable[Path], config: TrainConfig
) -> tuple[FilmSet, ...]:
    """Return the films of other sites, one set per source: the data's own external split, then other folders.

    Raises
    ------
    EmptyDataset, DatasetError
        If another folder or table cannot be used.
    """
    sets: list[FilmSet] = []
    usable = dataset.manifest["excluded"].isna()
    own = usable & (dataset.manifest["split"] == EXTERNAL_SPLIT)
    known = set(dataset.manifest.loc[usable & ~own, "sha256"])
    if own.any() and split != EXTERNAL_SPLIT:
        sets += _by_source("", dataset, own.to_numpy(), known)
    known |= set(dataset.manifest.loc[own, "sha256"]) if split == EXTERNAL_SPLIT else set()
    for path in others:
        other = open_dataset(path, config)
        sets += _by_source(path.stem, other, other.manifest["excluded"].isna().to_numpy(), known)
    return tuple(sets)


def _by_source(name: str, dataset: Dataset, used: NDArray[np.bool_], known: set[str]) -> Iterator[FilmSet]:
    sources = dataset.manifest["source"].to_numpy().astype(str)
    for source in np.unique(sources[used]):
        mask = used & (sources == source)
        rows = dataset.manifest[mask].reset_index(drop=True)
        parts = [part for part in (name, source) if part and part != UNKNOWN_SOURCE]
        title = ": ".join(parts) or EXTERNAL_SPLIT
        yield FilmSet(title, rows, dataset.pixels[mask], int(rows["sha256"].isin(known).sum()))
