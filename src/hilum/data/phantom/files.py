"""Write phantom films so that a killed run leaves no half-written file."""

import csv
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.data.phantom.film import PhantomFilm
from hilum.files import write_atomic

MASKS_FOLDER = "masks"
LUNGS_FOLDER = "lungs"
_COLUMNS = ("path", "split", "label", "source", "patient_id", "age", "sex", "view", "width", "height")
_WHITE = 255
_NOISE_COMPRESSION = 1  # of 9: quantum noise does not deflate, so more effort only costs time


def encode_png(pixels: NDArray[np.uint8], *, compression: int = _NOISE_COMPRESSION) -> bytes:
    """Return a grey PNG of `pixels` uint8 (H, W)."""
    _, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, compression])
    return bytes(data.tobytes())


def write_film(out: Path, film: PhantomFilm, *, name: str | None = None) -> None:
    """Write a film and its two masks under `name`, by default the film's own path."""
    path = name or film.path
    lesion = film.lesion.astype(np.uint8) * _WHITE
    lungs = (film.lung_right | film.lung_left).astype(np.uint8) * _WHITE
    write_atomic(out / MASKS_FOLDER / path, encode_png(lesion))
    write_atomic(out / LUNGS_FOLDER / path, encode_png(lungs))
    write_atomic(out / path, encode_png(film.pixels))


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table of films; unknown values stay empty."""
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomic(path, text.getvalue())


def remove_leftovers(out: Path, kept: set[str]) -> None:
    """Remove phantom films of an earlier, larger run; other people's files stay."""
    for path in sorted(out.glob("**/phantom_*.png")):
        parts = path.relative_to(out).parts
        name = "/".join(parts[1:] if parts[0] in (MASKS_FOLDER, LUNGS_FOLDER) else parts)
        if name not in kept:
            path.unlink()
