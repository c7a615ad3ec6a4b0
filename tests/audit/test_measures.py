import io

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hilum.audit.measures import FilmMeasures, colour_share, find_typical, measure_films
from hilum.data.ingest import Dataset
from hilum.data.phantom.film import draw_film
from hilum.imaging.fingerprint import perceptual_hash, thumbnail


def encode(picture: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind)
    return stream.getvalue()


def test_every_film_has_its_row_and_the_size_of_an_excluded_film_is_known(faulty: FilmMeasures, planted):
    films = faulty.table.set_index("path")
    assert len(films) == len(faulty.hashes) == len(faulty.thumbnails)
    for path in planted["undersized"]:
        assert (films.loc[path, "width"], films.loc[path, "height"]) == (80, 80)
        assert pd.isna(films.loc[path, "upright"])
    for entry in planted["corrupt"]:
        assert pd.isna(films.loc[entry["path"], "width"])


def test_measures_belong_to_their_film(faulty_set: Dataset, faulty: FilmMeasures):
    used = np.flatnonzero(faulty_set.manifest["excluded"].isna())
    for place in used[::17]:
        film = faulty_set.pixels[place]
        assert int(faulty.hashes[place]) == perceptual_hash(film)
        assert np.array_equal(faulty.thumbnails[place], thumbnail(film))
        assert faulty.table["mean"].iloc[place] == pytest.approx(film.mean())
        path = faulty_set.root / faulty.table["path"].iloc[place]
        assert faulty.table["file_bytes"].iloc[place] == path.stat().st_size
    excluded = faulty_set.manifest["excluded"].notna().to_numpy()
    assert not faulty.hashes[excluded].any()
    assert not faulty.thumbnails[excluded].any()


def test_progress_counts_every_film_once(faulty_set: Dataset):
    seen: list[int] = []
    measure_films(faulty_set, on_films=seen.append)
    assert sum(seen) == len(faulty_set.manifest)


def test_the_typical_film_is_not_bent_by_what_is_foreign():
    films = np.stack([draw_film(index, side_px=128).pixels for index in range(12)])
    noise = np.random.default_rng(1).integers(0, 256, (4, 128, 128), dtype=np.uint8)
    alone, mixed = find_typical(films), find_typical(np.concatenate([films, 255 - films[:3], noise]))
    assert float((alone * mixed).sum()) > 0.995


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
def test_grey_stored_as_colour_is_not_colour(kind: str):
    film = cv2.cvtColor(draw_film(1, side_px=160).pixels, cv2.COLOR_GRAY2RGB)
    assert colour_share(encode(film, kind)) == 0.0
    stamped = film.copy()
    stamped[:40, :40] = (200, 30, 30)
    assert colour_share(encode(stamped, kind)) == pytest.approx(1 / 16, abs=0.02)


def test_grey_files_and_files_pillow_does_not_know_have_no_colour():
    assert colour_share(encode(np.zeros((120, 120), np.uint8))) == 0.0
    assert colour_share(b"DICM") == 0.0
