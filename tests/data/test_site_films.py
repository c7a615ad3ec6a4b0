from pathlib import Path

import cv2
import pytest

from hilum.data.pixel_cache import PixelCache
from hilum.data.site_films import read_site_films
from hilum.domain.errors import DatasetError, EmptyDataset
from tests.conftest import draw_blob


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    for index, label in enumerate(["Normal", "Tuberculosis", "Normal"]):
        cv2.imwrite(str(folder / f"{index}.png"), draw_blob(index, label))
    (folder / "broken.png").write_bytes(b"no image")
    (folder / ".hidden.png").write_bytes(b"no image")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> PixelCache:
    return PixelCache(tmp_path / "cache", side_px=32)


def test_folder_gives_films_without_labels(site: Path, cache: PixelCache):
    films = read_site_films(site, cache=cache)
    assert films.rows["path"].tolist() == ["0.png", "1.png", "2.png"]
    assert films.pixels.shape == (3, 32, 32)
    assert not films.labelled.any()
    assert len(films.excluded) == 1
    assert "broken.png" in films.excluded[0]


def test_table_may_leave_labels_empty(site: Path, cache: PixelCache):
    table = site / "site.csv"
    table.write_text("path,label,patient_id\n0.png,normal,a\n1.png,TB,b\n2.png,,c\n")
    films = read_site_films(table, cache=cache)
    assert films.rows["label"].tolist()[:2] == ["Normal", "Tuberculosis"]
    assert films.labelled.tolist() == [True, True, False]
    assert films.rows["patient_id"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label\nNormal\n", "lacks the column path"),
        ("path,label\n0.png,Normal\n,Normal\n", "1 of 2 rows cannot be used: row 3 has no path"),
        ("path\n0.png\n0.png\n", "1 of 2 rows cannot be used: row 3 names a film again"),
        ("path,label\n0.png,cat\n", "cat"),
    ],
)
def test_wrong_table_is_refused(site: Path, cache: PixelCache, content: str, message: str):
    table = site / "site.csv"
    table.write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_site_films(table, cache=cache)


def test_missing_table_and_empty_folder_are_refused(tmp_path: Path, cache: PixelCache):
    with pytest.raises(DatasetError, match="none.csv: cannot be opened"):
        read_site_films(tmp_path / "none.csv", cache=cache)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyDataset, match="holds no usable film"):
        read_site_films(tmp_path / "empty", cache=cache)
