"""Everything the audit measures on each film, once: size, file, colour, appearance, likeness, fingerprint.

Grey measures come from the decoded squares that training sees; colour and the size of an excluded film are
read from the file again, since the squares do not have them. Judges nothing: `hilum.audit.quality` does.

Likeness is that to the mean film of the set itself, so it holds where most films of a set are upright chests.
"""

import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from hilum.data.film_folder import stored_file
from hilum.data.ingest import Dataset
from hilum.domain.errors import InputError, UnreadableImage
from hilum.domain.thresholds import COLOUR_MIN_CHANNEL_GREY, TYPICAL_MIN_CORRELATION
from hilum.imaging.appearance import match_template, mean_film, measure_appearance
from hilum.imaging.damage import DECODER_ERRORS
from hilum.imaging.file_bytes import read_file
from hilum.imaging.fingerprint import perceptual_hash, thumbnail
from hilum.imaging.intake import read_radiograph
from hilum.imaging.picture_modes import PHOTOMETRIC_OF_MODE, RASTER_FORMATS
from hilum.imaging.quiet import decoder_warnings_ignored

_COLOUR_SIDE_PX = 64
_COLOUR_MODES = frozenset({"RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "CMYK", "YCbCr"})

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True, eq=False)
class FilmMeasures:
    """Measures of the N films of a manifest, in its order.

    Parameters
    ----------
    table
        One row per film: the manifest's columns; `width` and `height` also for readable films that were
        excluded; `file_bytes`; `colour_share` in [0, 1]; the fields of `Appearance` and of `TemplateMatch`.
        Missing where the film could not be read.
    hashes
        uint64 (N,) of `perceptual_hash`; 0 where excluded.
    thumbnails
        float32 (N, 32, 32) of `thumbnail`; all zeros where excluded or blank.
    typical
        float32 (32, 32): the mean film of the set.
    """

    table: pd.DataFrame
    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.float32]
    typical: NDArray[np.float32]


def measure_films(dataset: Dataset, *, on_films: Progress | None = None) -> FilmMeasures:
    """Measure every film of a data set; `on_films` is told how many more are done."""
    manifest, pixels = dataset.manifest, dataset.pixels
    used = manifest["excluded"].isna().to_numpy()
    typical = find_typical(pixels[used])

    def measure(index: int) -> tuple[dict[str, object], int, NDArray[np.float32]]:
        row = _measure_file(dataset.root, str(manifest["path"].iloc[index]), is_used=bool(used[index]))
        if not used[index]:
            return row, 0, np.zeros_like(typical)
        film = pixels[index]
        looks = asdict(measure_appearance(film)) | asdict(match_template(film, typical))
        return row | looks, perceptual_hash(film), thumbnail(film)

    rows, hashes, thumbnails = [], [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, value, small in pool.map(measure, range(len(manifest))):
            rows.append(row)
            hashes.append(value)
            thumbnails.append(small)
            if on_films is not None:
                on_films(1)
    found = pd.DataFrame(rows, index=manifest.index)
    table = manifest.join(found.drop(columns=["width", "height"]))
    for side in ("width", "height"):
        table[side] = table[side].fillna(found[side].astype("Int64"))
    return FilmMeasures(table, np.array(hashes, np.uint64), np.stack(thumbnails), typical)


def find_typical(films: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of the films, uint8 (N, H, W), that look like the mean: float32 (32, 32).

    The mean is taken twice, the second time without what does not resemble the first.
    """
    first = mean_film(films)
    alike = [film for film in films if match_template(film, first).upright >= TYPICAL_MIN_CORRELATION]
    return mean_film(np.stack(alike)) if alike else first


def _measure_file(root: Path, path: str, *, is_used: bool) -> dict[str, object]:
    """Return what the grey square does not have; an excluded film is read for its size."""
    empty: dict[str, object] = {"width": None, "height": None, "file_bytes": None, "colour_share": None}
    try:
        data = read_file(stored_file(root, path), name=path)
    except UnreadableImage:
        return empty
    facts: dict[str, object] = empty | {"file_bytes": len(data)}
    if is_used:
        return facts | {"colour_share": colour_share(data)}
    try:
        film = read_radiograph(data, name=path)
    except InputError:
        return facts
    return facts | {"width": film.facts.width, "height": film.facts.height}


def colour_share(data: bytes) -> float:
    """Return the share of a picture's pixels that are coloured: whose channels lie far apart.

    Grey stored as RGB, as most public sets are, has none. DICOM is taken for grey.
    """
    with decoder_warnings_ignored():
        try:
            with Image.open(io.BytesIO(data), formats=RASTER_FORMATS) as image:
                if image.mode not in _COLOUR_MODES or image.mode not in PHOTOMETRIC_OF_MODE:
                    return 0.0
                image.draft("RGB", (_COLOUR_SIDE_PX, _COLOUR_SIDE_PX))  # a JPEG is decoded at 1/8
                small = image.convert("RGB").resize((_COLOUR_SIDE_PX, _COLOUR_SIDE_PX), Image.Resampling.BOX)
        except DECODER_ERRORS:
            return 0.0
    channels = np.asarray(small, np.int16)  # (64, 64, 3)
    apart = channels.max(axis=2) - channels.min(axis=2)
    return float((apart >= COLOUR_MIN_CHANNEL_GREY).mean())
