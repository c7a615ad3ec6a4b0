"""A site's own films for commissioning: a folder, or a CSV with a reference result where there is one.

Unlike a training set it has no splits, and films without a label are welcome: the site's normalisation
statistics need no labels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.data.ingest import FILM_SUFFIXES, Progress, decode_all
from hilum.data.pixel_cache import PixelCache
from hilum.domain.errors import DatasetError, EmptyDataset
from hilum.domain.findings import parse_finding

_OPTIONAL = ("patient_id", "age", "sex", "view")


@dataclass(frozen=True, slots=True, eq=False)
class SiteFilms:
    """Usable films: `rows` with path, label (None: not known) and what else is told.

    `pixels` is uint8 (N, side, side), one per row; `excluded` says why each other file was left out.
    """

    rows: pd.DataFrame
    pixels: NDArray[np.uint8]
    excluded: tuple[str, ...]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which films have a reference result, bool (N,)."""
        return self.rows["label"].notna().to_numpy()


def read_site_films(site: Path, *, cache: PixelCache, progress: Progress | None = None) -> SiteFilms:
    """Read a folder of films, or a CSV with path and optionally label, patient_id, age, sex, view.

    A label that is empty means: not known. Paths are relative to the CSV.

    Raises
    ------
    DatasetError
        If the CSV cannot be read, lacks `path`, names a film twice, or has a label that is none.
    EmptyDataset
        If there is no usable film.
    """
    if site.is_dir():
        root, found = site, sorted(path for path in site.rglob("*") if _is_film(path))
        rows = pd.DataFrame({"path": [path.relative_to(site).as_posix() for path in found]})
    else:
        root, rows = site.parent, _read_table(site)
    rows = rows.reindex(columns=["path", "label", *_OPTIONAL]).astype({"label": "object"})
    films, reasons = decode_all(root, rows["path"].tolist(), cache, progress)
    used = [index for index, film in enumerate(films) if film is not None]
    excluded = tuple(reason for reason in reasons if reason is not None)
    if not used:
        because = f"; the first: {excluded[0]}" if excluded else ""
        raise EmptyDataset(
            f"{site}: holds no usable film{because}. Give a folder of films, or a CSV of them."
        )
    pixels = np.stack([film.pixels for film in films if film is not None])
    return SiteFilms(rows.iloc[used].reset_index(drop=True), pixels, excluded)


def _is_film(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix.lower() in FILM_SUFFIXES


def _read_table(table: Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(table, dtype="string")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{table}: is not a readable CSV. Give one with the column path.") from error
    if "path" not in rows.columns or rows["path"].isna().any():
        raise DatasetError(f"{table}: every row needs a path; label and patient_id are optional columns.")
    repeated = int(rows["path"].duplicated().sum())
    if repeated:
        raise DatasetError(f"{table}: {repeated} row(s) name a film again; name each film once.")
    if "label" in rows.columns:
        rows["label"] = [None if pd.isna(name) else str(parse_finding(name)) for name in rows["label"]]
    return rows
