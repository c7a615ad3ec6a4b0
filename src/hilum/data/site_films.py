"""A site's own films for commissioning: a folder, or a CSV with a reference result where there is one.

Unlike a training set it has no splits, and films without a label are welcome: the site's normalisation
statistics need no labels.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.data.film_folder import describe_left_out, storable_path, walk_films
from hilum.data.ingest import Progress, decode_all
from hilum.data.pixel_cache import PixelCache
from hilum.data.table import label_problem, need_columns, raise_bad_rows, read_table
from hilum.domain.errors import EmptyDataset
from hilum.domain.findings import parse_finding

log = logging.getLogger(__name__)

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
        found = walk_films(site)
        for line in describe_left_out(found.left_out):
            log.warning("%s", line)
        root = site
        names = [path.relative_to(site).as_posix() for path in found.films]
        rows = pd.DataFrame({"path": pd.Series(names, dtype="object")})
    else:
        root, rows = site.parent, _read_table(site)
    rows = rows.reindex(columns=["path", "label", *_OPTIONAL]).astype({"label": "object"})
    films, reasons = decode_all(root, rows["path"].tolist(), cache, progress)
    rows["path"] = [storable_path(path) for path in rows["path"]]
    used = [index for index, film in enumerate(films) if film is not None]
    excluded = tuple(reason for reason in reasons if reason is not None)
    if not used:
        because = f"; the first: {excluded[0]}" if excluded else ""
        raise EmptyDataset(
            f"{site}: holds no usable film{because}. Give a folder of films, or a CSV of them."
        )
    pixels = np.stack([film.pixels for film in films if film is not None])
    return SiteFilms(rows.iloc[used].reset_index(drop=True), pixels, excluded)


def _read_table(table: Path) -> pd.DataFrame:
    rows = read_table(table)
    need_columns(rows, table, ("path",), ("label", *_OPTIONAL))
    labels = rows["label"] if "label" in rows.columns else [None] * len(rows)
    bad = [
        (int(number), problem)
        for number, path, label in zip(rows.index, rows["path"], labels, strict=True)
        if (problem := "has no path" if path is None else label_problem(label) if label else None)
    ]
    again = rows["path"].duplicated() & rows["path"].notna()
    bad += [(int(number), "names a film again") for number in rows.index[again]]
    raise_bad_rows(table, sorted(bad), len(rows), "Mend these rows, or remove them.")
    if "label" in rows.columns:
        rows["label"] = [None if name is None else str(parse_finding(name)) for name in rows["label"]]
    return rows.reset_index(drop=True)
