"""A folder or table of films to a manifest and decoded pixels.

Three layouts are read: `split/class/film`, `class/film` (split by us), and a CSV with the columns path,
label, and optionally split, patient_id, source, age, sex, view. A `sources.csv` in the folder adds those
optional columns to either folder layout. Films that cannot be used are kept in the manifest with the
reason in `excluded`; nothing stops at the first bad file (report Table 4).
"""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from hilum.config.schema import DataSettings, TrainConfig
from hilum.data.manifest import SPLITS, make_manifest, usable_films
from hilum.data.pixel_cache import CachedFilm, PixelCache, default_cache_folder
from hilum.data.splits import assign_splits, merge_groups
from hilum.domain.errors import DatasetError, EmptyDataset, InputError
from hilum.domain.findings import CLASS_NAMES, find_finding, parse_finding
from hilum.imaging.fingerprint import duplicate_clusters, perceptual_hash, thumbnail

log = logging.getLogger(__name__)

FILM_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom", ".ima", ""}
)
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
    with tqdm(desc="reading films", unit="film", disable=None, leave=False) as bar:

        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        dataset = read_dataset(
            data, cache=cache, settings=config.data, seed=config.reproducibility.seed, progress=advance
        )
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
    root, rows = find_films(data)
    films, reasons = decode_all(root, rows["path"].tolist(), cache, progress)
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
    return Dataset(root, make_manifest(rows), pixels[order])


def find_films(data: Path) -> tuple[Path, pd.DataFrame]:
    """Return the root and one row per candidate file: path, label, split (None: ours to make), metadata.

    Raises
    ------
    EmptyDataset, DatasetError
        As for `read_dataset`.
    """
    if not data.exists():
        raise DatasetError(f"{data}: does not exist. Give a folder of films or a CSV to --data.")
    if data.is_file():
        return data.parent, _rows_of_table(data)
    split_folders = {
        entry: _SPLIT_ALIASES[entry.name.lower()]
        for entry in sorted(data.iterdir())
        if entry.is_dir() and entry.name.lower() in _SPLIT_ALIASES
    }
    if split_folders:
        rows = [row for folder, split in split_folders.items() for row in _class_rows(folder, data, split)]
    elif any(entry.is_dir() and find_finding(entry.name) for entry in data.iterdir()):
        rows = _class_rows(data, data, None)
    elif (data / METADATA_FILE).is_file():
        return data, _rows_of_table(data / METADATA_FILE)
    else:
        raise EmptyDataset(
            f"{data}: no films found. Expected folders train/val/test with {'/'.join(CLASS_NAMES)} inside,"
            f" or those class folders alone, or a CSV with path and label."
        )
    frame = pd.DataFrame(rows, columns=["path", "label", "split"])
    return data, _join_metadata(frame, data / METADATA_FILE)


def _class_rows(folder: Path, root: Path, split: str | None) -> list[tuple[str, str, str | None]]:
    rows: list[tuple[str, str, str | None]] = []
    for class_folder in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        if class_folder.name.startswith("."):
            continue
        finding = find_finding(class_folder.name)
        if finding is None:
            if split is None:
                continue  # beside class folders anything may lie: masks, notes
            parse_finding(class_folder.name)  # raises with the allowed names
        films = sorted(path for path in class_folder.rglob("*") if _is_candidate(path))
        if not films:
            raise EmptyDataset(
                f"{class_folder}: the class folder holds no images (looked for"
                f" {', '.join(sorted(FILM_SUFFIXES - {''}))}). Add films or remove the folder."
            )
        rows += [(path.relative_to(root).as_posix(), str(finding), split) for path in films]
    if not rows:
        raise EmptyDataset(
            f"{folder}: no class folders inside; expected {', '.join(CLASS_NAMES)} or their aliases."
        )
    return rows


def _is_candidate(path: Path) -> bool:
    return path.suffix.lower() in FILM_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _rows_of_table(table: Path) -> pd.DataFrame:
    frame = _read_table(table)
    missing = [name for name in ("path", "label") if name not in frame.columns]
    if missing:
        raise DatasetError(
            f"{table}: lacks the column {' and '.join(missing)}; needed: path, label;"
            f" optional: split, {', '.join(_METADATA_COLUMNS)}."
        )
    if frame.empty:
        raise EmptyDataset(f"{table}: has no rows.")
    if frame["path"].isna().any():
        raise DatasetError(f"{table}: row {int(frame['path'].isna().argmax()) + 2} has no path.")
    frame["label"] = [str(parse_finding(str(label))) for label in frame["label"]]
    if "split" in frame.columns:
        names = frame["split"].astype("string").str.lower()
        frame["split"] = names.map(_SPLIT_ALIASES)
        wrong = names[frame["split"].isna()]
        if len(wrong):
            raise DatasetError(
                f"{table}: split is {wrong.iloc[0]!r} in row {int(wrong.index[0]) + 2};"
                f" allowed: {', '.join(SPLITS)}. Leave the whole column out to have the films split."
            )
    else:
        frame["split"] = None
    return frame.reindex(columns=["path", "label", "split", *_METADATA_COLUMNS])


def _read_table(table: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(table, dtype={"patient_id": "string", "path": "string"})
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{table}: is not a readable CSV. Give one with the columns path and label."
        ) from error


def _join_metadata(frame: pd.DataFrame, table: Path) -> pd.DataFrame:
    if not table.is_file():
        return frame.reindex(columns=[*frame.columns, *_METADATA_COLUMNS])
    facts = _read_table(table)
    if "path" not in facts.columns:
        raise DatasetError(f"{table}: lacks the column path.")
    facts = facts.drop_duplicates("path").set_index("path")
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
            return cache.read_film(root / path, name=path), None
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
