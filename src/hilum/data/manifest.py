"""The table of films that every later stage reads: one row per file, kept as Parquet.

Knows nothing about pixels: `hilum.data.ingest` fills it, the audit and the loaders read it.
"""

import hashlib
import io
from pathlib import Path

import pandas as pd

from hilum.domain.errors import DatasetError, EmptyDataset
from hilum.domain.findings import CLASS_NAMES
from hilum.files import write_atomic

SPLITS = ("train", "val", "test", "external")
UNKNOWN_SOURCE = "unknown"

COLUMNS: dict[str, str] = {
    "path": "string",  # relative to the data root, forward slashes
    "label": "string",  # one of CLASS_NAMES
    "split": "string",  # one of SPLITS
    "source": "string",  # hospital or collection; "unknown" when not told
    "patient_id": "string",  # missing when not told
    "age": "Float64",  # years
    "sex": "string",
    "view": "string",
    "sha256": "string",  # of the file's bytes; missing when it could not be read
    "width": "Int64",  # px, upright
    "height": "Int64",
    "format": "string",
    "excluded": "string",  # why the film is left out; missing when it is used
}


def empty_manifest() -> pd.DataFrame:
    """Return a manifest without rows, with every column and its dtype."""
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in COLUMNS.items()})


def make_manifest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `rows` with exactly the manifest's columns and dtypes, sorted by path.

    Raises
    ------
    DatasetError
        If a label or split is not an allowed one, an age is not a number, or a path occurs twice.
    """
    frame = rows.reindex(columns=list(COLUMNS))
    _refuse_wordy_ages(frame)
    frame = frame.astype(COLUMNS)
    frame["source"] = frame["source"].fillna(UNKNOWN_SOURCE)
    _refuse_unknown(frame, "label", CLASS_NAMES)
    _refuse_unknown(frame, "split", SPLITS)
    repeated = frame["path"][frame["path"].duplicated()]
    if len(repeated):
        times = int((frame["path"] == repeated.iloc[0]).sum())
        raise DatasetError(f"{repeated.iloc[0]}: listed {times} times; list each film once.")
    return frame.sort_values("path", kind="stable").reset_index(drop=True)


def usable_films(manifest: pd.DataFrame, *, split: str) -> pd.DataFrame:
    """Return the rows of a split that are not excluded, index reset.

    Raises
    ------
    EmptyDataset
        If there is none; the message names the splits that have films.
    """
    used = manifest[manifest["excluded"].isna()]
    rows = used[used["split"] == split].reset_index(drop=True)
    if rows.empty:
        counts = used["split"].value_counts().to_dict()
        have = ", ".join(f"{name} ({count})" for name, count in counts.items()) or "none"
        raise EmptyDataset(f"split {split!r} has no usable film; splits with films: {have}.")
    return rows


def manifest_digest(manifest: pd.DataFrame) -> str:
    """Return the SHA-256 that identifies what is learned from: path-free content, label and split."""
    used = manifest[manifest["excluded"].isna()]
    lines = sorted(
        f"{row.sha256} {row.label} {row.split}" for row in used[["sha256", "label", "split"]].itertuples()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def write_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Write Parquet, whole or not at all."""
    content = io.BytesIO()
    manifest.to_parquet(content, index=False)
    write_atomic(path, content.getvalue())


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest written by `write_manifest`.

    Raises
    ------
    DatasetError
        If the file is not a manifest.
    """
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path}: is not a readable manifest. Make one with `hilum train` or `ingest`."
        ) from error
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise DatasetError(f"{path}: lacks the columns {', '.join(missing)}; it was not written by hilum.")
    return make_manifest(frame)


def _refuse_wordy_ages(frame: pd.DataFrame) -> None:
    wordy = frame[pd.to_numeric(frame["age"], errors="coerce").isna() & frame["age"].notna()]
    if len(wordy):
        first = wordy.iloc[0]
        raise DatasetError(
            f"{first['path']}: age is {first['age']!r} (and {len(wordy) - 1} more rows);"
            " expected years as a number, or nothing when it is not known."
        )


def _refuse_unknown(frame: pd.DataFrame, column: str, allowed: tuple[str, ...]) -> None:
    wrong = frame[~frame[column].isin(allowed)]
    if len(wrong):
        first = wrong.iloc[0]
        raise DatasetError(
            f"{first['path']}: {column} is {first[column]!r} (and {len(wrong) - 1} more rows);"
            f" allowed: {', '.join(allowed)}."
        )
