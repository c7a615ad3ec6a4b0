"""Old films and new ones in one table to train on, so that nothing that tests a model teaches it.

    old train, val, test    stay what they are; old external films are left out
    new films               train, val, and `external`: the new films under test, apart from the old ones

A new film whose patient the old films know goes where that patient is: to train only if all of them are
there. A copy of an old film is no new film and is left out. All other new films are split by patient and
duplicate, or as their table says; then a patient whom it has in two splits goes to the one that is held out.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path

import numpy as np
import pandas as pd

from hilum.config.schema import DataSettings
from hilum.data.ingest import Dataset
from hilum.data.splits import assign_splits, merge_groups
from hilum.domain.errors import EmptyDataset
from hilum.files import write_atomic
from hilum.imaging.fingerprint import duplicate_clusters, perceptual_hash, thumbnail

NEW_TEST = "external"
"""The split of the new films under test."""

_COLUMNS = ["path", "label", "split", "source", "patient_id", "age", "sex", "view"]
_HELD_OUT = ("train", "val", NEW_TEST)  # the later, the further from training


@dataclass(frozen=True, slots=True, eq=False)
class CombinedData:
    """The table, and how many films went where.

    Parameters
    ----------
    table
        Columns of a data set's CSV; paths are absolute.
    old, new
        Used films by split.
    left_out
        New films that are not used, by reason: `copies`, and of these `contradicting`, whose label is another
        than the old film's; `straddling`, whose patient is in several old splits.
    kept_from_training
        New films that went to val or the new test for the sake of an old film's patient.
    """

    table: pd.DataFrame
    old: Mapping[str, int]
    new: Mapping[str, int]
    left_out: Mapping[str, int]
    kept_from_training: int

    def write(self, path: Path) -> Path:
        """Write the CSV with paths relative to it, whole or not at all."""
        root = path.parent.resolve()
        table = self.table.assign(path=[relpath(film, root) for film in self.table["path"]])
        write_atomic(path, table.to_csv(index=False))
        return path


def combine(
    old: Dataset, new: Dataset, *, is_split_stated: bool, settings: DataSettings, seed: int
) -> CombinedData:
    """Put a data set and new films together.

    Parameters
    ----------
    is_split_stated
        Whether the new films came with splits of their own.

    Raises
    ------
    EmptyDataset
        If no new film is left.
    """
    known, fresh = _usable(old), _usable(new)
    films = pd.concat([known, fresh], ignore_index=True)
    is_old = np.arange(len(films)) < len(known)
    pixels = np.concatenate([_pixels(old), _pixels(new)])
    clusters = duplicate_clusters(
        [perceptual_hash(film) for film in pixels], np.stack([thumbnail(film) for film in pixels])
    )
    patients = [value if isinstance(value, str) else None for value in films["patient_id"]]
    groups = merge_groups(patients, clusters)
    copies, contradicting = _find_copies(films["label"].tolist(), clusters, is_old)
    splits = _place(films, groups, is_old, copies, stated=is_split_stated, settings=settings, seed=seed)
    straddling = sum(splits[film] is None for film in range(len(known), len(films)) if film not in copies)
    old_splits = _splits_by_group(films, groups, is_old)
    moved = [
        film
        for film in range(len(known), len(films))
        if splits[film] not in {None, "train"} and groups[film] in old_splits
    ]
    films["split"] = splits
    used = films["split"].notna()
    if not (used & ~is_old).any():
        raise EmptyDataset(
            f"the new data: none of {len(fresh)} usable films is new; {len(copies)} are copies of old films"
            f" and {straddling} of patients in several old splits. Add films."
        )
    table = films.loc[used, _COLUMNS].reset_index(drop=True)
    return CombinedData(
        table,
        dict(Counter(films.loc[used & is_old, "split"])),
        dict(Counter(films.loc[used & ~is_old, "split"])),
        {"copies": len(copies), "contradicting": contradicting, "straddling": straddling},
        len(moved),
    )


def _usable(dataset: Dataset) -> pd.DataFrame:
    rows = dataset.manifest[dataset.manifest["excluded"].isna()]
    root = dataset.root.resolve()
    return rows[_COLUMNS].assign(path=[str(root / path) for path in rows["path"]]).reset_index(drop=True)


def _pixels(dataset: Dataset) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return dataset.pixels[dataset.manifest["excluded"].isna().to_numpy()]


def _find_copies(
    labels: Sequence[str], clusters: Sequence[int], is_old: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
) -> tuple[set[int], int]:
    """Return the new films that show an old film, and how many of them have a label of their own."""
    known: dict[int, set[str]] = defaultdict(set)
    for film in np.flatnonzero(is_old).tolist():
        known[clusters[film]].add(labels[film])
    copies = {film for film in np.flatnonzero(~is_old).tolist() if clusters[film] in known}
    return copies, sum(labels[film] not in known[clusters[film]] for film in copies)


def _splits_by_group(
    films: pd.DataFrame, groups: Sequence[int], chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for film in np.flatnonzero(chosen).tolist():
        found[groups[film]].add(str(films["split"].iloc[film]))
    return found


def _place(
    films: pd.DataFrame,
    groups: Sequence[int],
    is_old: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
    copies: set[int],
    *,
    stated: bool,
    settings: DataSettings,
    seed: int,
) -> list[str | None]:
    """Return the split of every film; None for one that is left out."""
    told = films["split"].tolist()
    splits: list[str | None] = [
        split if old and split != "external" else None for split, old in zip(told, is_old, strict=True)
    ]
    of_old, of_new = (_splits_by_group(films, groups, chosen) for chosen in (is_old, ~is_old))
    ours: list[int] = []
    for film in np.flatnonzero(~is_old).tolist():
        if film in copies:
            continue
        elsewhere = of_old.get(groups[film])
        if elsewhere:
            splits[film] = _held_out(elsewhere) if len(elsewhere) == 1 else None
        elif stated:
            splits[film] = _held_out(of_new[groups[film]])
        else:
            ours.append(film)
    shares = {"train": settings.train_share, "val": settings.val_share, NEW_TEST: settings.test_share}
    labels = films["label"].tolist()
    chosen = assign_splits(
        [labels[film] for film in ours], [groups[film] for film in ours], shares=shares, seed=seed
    )
    for film, split in zip(ours, chosen, strict=True):
        splits[film] = split
    return splits


def _held_out(splits: set[str]) -> str:
    return max((NEW_TEST if split == "test" else split for split in splits), key=_HELD_OUT.index)
