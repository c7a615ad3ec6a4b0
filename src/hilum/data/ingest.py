"""A folder or table of films to a manifest and decoded pixels.

Three layouts are read: `split/class/film`, `class/film` (split by us), and a CSV with the columns path,
label, and optionally split, patient_id, source, age, sex, view. A `sources.csv` in the folder adds those
optional columns to either folder layout. Films that cannot be used are kept in the manifest with the
reason in `excluded`; nothing stops at the first bad file (report Table 4).
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.config.schema import DataSettings, TrainConfig
from hilum.data.film_folder import LITTER, LeftOut, describe_left_out, is_litter, storable_path, walk_films
from hilum.data.manifest import SPLITS, make_manifest, usable_films
from hilum.data.pixel_cache import CachedFilm, PixelCache, default_cache_folder
from hilum.data.splits import assign_splits, merge_groups
from hilum.data.table import broken_patient_ids, label_problem, need_columns, raise_bad_rows, read_table
from hilum.domain.errors import DatasetError, EmptyDataset, InputError
from hilum.domain.findings import CLASS_NAMES, find_finding, parse_finding
from hilum.files import show_name
from hilum.imaging.fingerprint import duplicate_clusters, perceptual_hash, thumbnail
from hilum.progress import progress_bar, to_total

log = logging.getLogger(__name__)

METADATA_FILE = "sources.csv"
_METADATA_COLUMNS = ("source", "patient_id", "age", "sex", "view")
_SPLIT_ALIASES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "external": "external",
}

Progress = Callable[[int, int], None]  # films done, films in all


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A manifest with the pixels of its usable films.

    `pixels` is uint8 (N, side, side); row i of the manifest has its film at `pixels[i]`, all zero when
    the row is excluded.
    """

    root: Path
    manifest: pd.DataFrame
    pixels: NDArray[np.uint8]
    left_out: tuple[LeftOut, ...] = ()
    """What lies in the folder and was not taken for a film of the set."""

    def select(self, split: str) -> tuple[pd.DataFrame, NDArray[np.uint8]]:
        """Return the usable rows of a split and their pixels, uint8 (n, side, side).

        Raises
        ------
        EmptyDataset
            If the split has none.
        """
        rows = usable_films(self.manifest, split=split)
        used = self.manifest["excluded"].isna() & (self.manifest["split"] == split)
        return rows, self.pixels[used.to_numpy()]


def open_dataset(data: Path, config: TrainConfig) -> Dataset:
    """Read a data set through the user's pixel cache, with a progress bar; say what was left out and why.

    Raises
    ------
    EmptyDataset, DatasetError
        As for `read_dataset`.
    """
    cache = PixelCache(default_cache_folder(), side_px=config.preprocessing.image_size)
    with progress_bar("reading films") as bar:
        dataset = read_dataset(
            data, cache=cache, settings=config.data, seed=config.reproducibility.seed, progress=to_total(bar)
        )
    for line in describe_left_out(dataset.left_out):
        log.warning("%s", line)
    for line in _describe_absent(dataset.manifest):
        log.warning("%s", line)
    reasons = dataset.manifest["excluded"].dropna()
    log.info("%d films read, %d excluded", len(dataset.manifest), len(reasons))
    for reason in reasons:
        log.warning("excluded: %s", reason)
    return dataset


def read_dataset(
    data: Path, *, cache: PixelCache, settings: DataSettings, seed: int, progress: Progress | None = None
) -> Dataset:
    """Find, check and decode every film of a data set.

    Raises
    ------
    EmptyDataset
        If there is no film, a class folder is empty, or every film was excluded.
    DatasetError
        If folder, table and labels contradict each other.
    """
    root, rows, left_out = find_films(data)
    broken_ids = broken_patient_ids(rows["patient_id"].tolist())
    if broken_ids is not None:
        raise DatasetError(f"{data}: {broken_ids}")
    films, reasons = decode_all(root, rows["path"].tolist(), cache, progress)
    rows["path"] = [storable_path(path) for path in rows["path"]]
    found = [
        (film.sha256, film.facts.width, film.facts.height, film.facts.format) if film else (None,) * 4
        for film in films
    ]
    rows[["sha256", "width", "height", "format"]] = pd.DataFrame(found, index=rows.index)
    rows["excluded"] = pd.Series(reasons, index=rows.index, dtype="string")
    if rows["excluded"].notna().all():
        raise EmptyDataset(f"{data}: none of {len(rows)} files is a usable film; the first: {reasons[0]}")
    if rows["split"].isna().any():
        rows["split"] = _split_ourselves(rows, films, settings=settings, seed=seed)
    pixels = np.zeros((len(rows), cache.side_px, cache.side_px), np.uint8)
    for index, film in enumerate(films):
        if film is not None:
            pixels[index] = film.pixels
    order = np.argsort(rows["path"].to_numpy().astype(str), kind="stable")
    return Dataset(root, make_manifest(rows), pixels[order], left_out)


def find_films(data: Path) -> tuple[Path, pd.DataFrame, tuple[LeftOut, ...]]:
    """Return the root, one row per candidate file, and what was left out.

    Rows have path, label, split (None: ours to make) and metadata.

    Raises
    ------
    EmptyDataset, DatasetError
        As for `read_dataset`.
    """
    if not data.exists():
        raise DatasetError(f"{data}: does not exist. Give a folder of films or a CSV to --data.")
    if not data.is_dir():
        return data.parent, _rows_of_table(data), ()
    split_folders = {
        entry: _SPLIT_ALIASES[entry.name.lower()]
        for entry in sorted(data.iterdir())
        if entry.is_dir() and entry.name.lower() in _SPLIT_ALIASES
    }
    left_out: list[LeftOut] = []
    if split_folders:
        rows = [
            row
            for folder, split in split_folders.items()
            for row in _class_rows(folder, data, split, left_out)
        ]
    elif any(entry.is_dir() and find_finding(entry.name) for entry in data.iterdir()):
        rows = _class_rows(data, data, None, left_out)
    elif (data / METADATA_FILE).is_file():
        return data, _rows_of_table(data / METADATA_FILE), ()
    else:
        raise EmptyDataset(
            f"{data}: no films found. Expected folders train/val/test with {'/'.join(CLASS_NAMES)} inside,"
            f" or those class folders alone, or a CSV with path and label."
        )
    frame = pd.DataFrame(rows, columns=["path", "label", "split"], dtype="object")
    return data, _join_metadata(frame, data / METADATA_FILE), tuple(left_out)


def _class_rows(
    folder: Path, root: Path, split: str | None, left_out: list[LeftOut]
) -> list[tuple[str, str, str | None]]:
    rows: list[tuple[str, str, str | None]] = []
    unknown: list[tuple[Path, int]] = []
    for class_folder in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        place = class_folder.relative_to(root).as_posix()
        if is_litter(class_folder.name):
            left_out.append(LeftOut(place, LITTER))
            continue
        found = walk_films(class_folder)
        finding = find_finding(class_folder.name)
        if finding is None:
            unknown.append((class_folder, len(found.films)))
            continue
        left_out += [LeftOut(f"{place}/{one.path}", one.reason) for one in found.left_out]
        if not found.films:
            raise EmptyDataset(
                f"{show_name(str(class_folder))}: the class folder holds no images. Add films or remove the"
                " folder."
            )
        rows += [(path.relative_to(root).as_posix(), str(finding), split) for path in found.films]
    _judge_unknown(unknown, root, split, left_out)
    if not rows:
        raise EmptyDataset(
            f"{folder}: no class folders inside; expected {', '.join(CLASS_NAMES)} or their aliases."
        )
    return rows


def _judge_unknown(
    unknown: Sequence[tuple[Path, int]], root: Path, split: str | None, left_out: list[LeftOut]
) -> None:
    """Refuse folders of films of no known class inside a split; beside class folders anything may lie."""
    for folder, films in unknown:
        left_out.append(LeftOut(folder.relative_to(root).as_posix(), f"no class folder, {films} films"))
    with_films = [(folder, films) for folder, films in unknown if films]
    if split is not None and with_films:
        named = ", ".join(f"{show_name(folder.name)!r} ({films} films)" for folder, films in with_films)
        raise DatasetError(
            f"{with_films[0][0].parent}: class {named} is unknown; expected one of {', '.join(CLASS_NAMES)}"
            " or an alias such as NORMAL, TB, TURBERCULOSIS. Rename the folder, or move it out of the split."
        )


def _describe_absent(manifest: pd.DataFrame) -> list[str]:
    """Return a line for each split without a usable film of some class, or of any."""
    usable = manifest[manifest["excluded"].isna()]
    lines = []
    for split in ("train", "val", "test"):
        present = set(usable["label"][usable["split"] == split])
        if not present:
            lines.append(f"there is no usable film in the split {split}")
        elif absent := [name for name in CLASS_NAMES if name not in present]:
            lines.append(f"the split {split} has no usable film of {' or '.join(absent)}")
    return lines


def _rows_of_table(table: Path) -> pd.DataFrame:
    frame = read_table(table)
    need_columns(frame, table, ("path", "label"), ("split", *_METADATA_COLUMNS))
    splits = (
        frame["split"] if "split" in frame.columns else pd.Series(None, index=frame.index, dtype="object")
    )
    has_splits = splits.notna().any()
    bad: list[tuple[int, str]] = []
    labels: dict[str, str] = {}
    for number, path, label, split in zip(frame.index, frame["path"], frame["label"], splits, strict=True):
        problem = None if path else "has no path"
        problem = problem or label_problem(label)
        if problem is None and has_splits and str(split).lower() not in _SPLIT_ALIASES:
            problem = f"has the split {split!r}; allowed: {', '.join(SPLITS)}"
        if problem is None:
            finding = str(parse_finding(str(label)))
            if labels.setdefault(str(path), finding) != finding:
                problem = f"names a film again that is {labels[str(path)]} above and {finding} here"
        if problem is not None:
            bad.append((int(number), problem))
    raise_bad_rows(table, bad, len(frame), "Mend these rows, or remove them.")
    frame["label"] = [str(parse_finding(label)) for label in frame["label"]]
    frame["split"] = [_SPLIT_ALIASES[split.lower()] if has_splits else None for split in splits.astype(str)]
    again = frame["path"].duplicated()
    if again.any():
        log.warning("%s: %d row(s) name a film again and are counted once", table, int(again.sum()))
    return (
        frame[~again].reset_index(drop=True).reindex(columns=["path", "label", "split", *_METADATA_COLUMNS])
    )


def _join_metadata(frame: pd.DataFrame, table: Path) -> pd.DataFrame:
    if not table.is_file():
        return frame.reindex(columns=[*frame.columns, *_METADATA_COLUMNS])
    facts = read_table(table)
    need_columns(facts, table, ("path",), ("label", *_METADATA_COLUMNS))
    facts = facts.drop_duplicates("path").set_index("path")
    if not facts.index.isin(frame["path"]).any():
        raise DatasetError(
            f"{table}: names none of the {len(frame)} films beside it (its first path is"
            f" {show_name(str(facts.index[0]))!r}, a film is {show_name(frame['path'].iloc[0])!r}). Paths"
            " must be relative to the table."
        )
    joined = facts.reindex(frame["path"])
    if "label" in facts.columns:
        told = joined["label"].to_numpy()
        for path, label, other in zip(frame["path"], frame["label"], told, strict=True):
            if isinstance(other, str) and str(parse_finding(other)) != label:
                raise DatasetError(
                    f"{path}: lies in a {label} folder but {table.name} says {other}."
                    " Move the film or mend the table."
                )
    for column in _METADATA_COLUMNS:
        frame[column] = joined[column].to_numpy() if column in facts.columns else None
    return frame


def decode_all(
    root: Path, paths: list[str], cache: PixelCache, progress: Progress | None
) -> tuple[list[CachedFilm | None], list[str | None]]:
    """Decode films in parallel: for each path the film, or why it cannot be used."""

    def read(path: str) -> tuple[CachedFilm | None, str | None]:
        try:
            return cache.read_film(root / path, name=show_name(path)), None
        except InputError as error:
            return None, f"{error.code}: {error}"

    films: list[CachedFilm | None] = []
    reasons: list[str | None] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for film, reason in pool.map(read, paths):
            films.append(film)
            reasons.append(reason)
            if progress is not None:
                progress(len(films), len(paths))
    return films, reasons


def _split_ourselves(
    rows: pd.DataFrame, films: list[CachedFilm | None], *, settings: DataSettings, seed: int
) -> list[str]:
    readable = [index for index, film in enumerate(films) if film is not None]
    pixels = [film.pixels for film in films if film is not None]
    clusters = duplicate_clusters(
        [perceptual_hash(film) for film in pixels], np.stack([thumbnail(film) for film in pixels])
    )
    patients = [value if isinstance(value, str) else None for value in rows["patient_id"].iloc[readable]]
    shares = {"train": settings.train_share, "val": settings.val_share, "test": settings.test_share}
    labels = rows["label"].iloc[readable].tolist()
    chosen = assign_splits(labels, merge_groups(patients, clusters), shares=shares, seed=seed)
    splits = ["train"] * len(rows)  # an excluded film is in no split; the column needs a value
    for index, split in zip(readable, chosen, strict=True):
        splits[index] = split
    return splits
