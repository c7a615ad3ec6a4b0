import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum.data import pixel_cache
from hilum.data.pixel_cache import CachedFilm, PixelCache, decode_film, default_cache_folder
from hilum.domain.errors import ConfigError, UnreadableImage, UnsuitableImage
from hilum.domain.thresholds import MAX_FILE_BYTES
from hilum.imaging.radiograph import HeaderClaims
from tests.conftest import draw_blob
from tests.imaging.make_films import dicom

SIDE = 64


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    cv2.imwrite(str(path), draw_blob(1, "Pneumonia"))
    return path


@pytest.fixture
def cache(tmp_path: Path) -> PixelCache:
    return PixelCache(tmp_path / "cache", side_px=SIDE)


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the films that were really decoded."""
    names: list[str] = []

    def counted(data: bytes, *, name: str, side_px: int) -> CachedFilm:
        names.append(name)
        return decode_film(data, name=name, side_px=side_px)

    monkeypatch.setattr(pixel_cache, "decode_film", counted)
    return names


def entries(cache: PixelCache) -> list[Path]:
    return sorted(path for path in cache.folder.rglob("*") if path.is_file())


def assert_same(first: CachedFilm, second: CachedFilm) -> None:
    assert np.array_equal(first.pixels, second.pixels)
    assert (first.sha256, first.facts) == (second.sha256, second.facts)


def test_a_hit_equals_the_decode(cache: PixelCache, film: Path, decodes: list[str]):
    decoded = decode_film(film.read_bytes(), name="film", side_px=SIDE)
    assert_same(cache.read_film(film, name="film"), decoded)
    assert_same(cache.read_film(film, name="film"), decoded)
    assert_same(PixelCache(cache.folder.parent, side_px=SIDE).read_film(film, name="film"), decoded)
    assert decodes == ["film"]
    assert decoded.pixels.dtype == np.uint8
    assert decoded.facts.width == 120  # of the file, not of what is kept


def test_a_renamed_or_copied_film_hits_and_an_edited_one_misses(cache, film: Path, decodes: list[str]):
    cache.read_film(film, name="first")
    renamed = film.rename(film.with_name("other.png"))
    os.utime(renamed, (1, 1))
    cache.read_film(renamed, name="renamed")
    assert decodes == ["first"]
    facts = renamed.stat()
    cv2.imwrite(str(renamed), draw_blob(2, "Pneumonia"))
    os.utime(renamed, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # an edit that hides its date
    edited = cache.read_film(renamed, name="edited")
    assert decodes == ["first", "edited"]
    assert np.array_equal(edited.pixels, decode_film(renamed.read_bytes(), name="x", side_px=SIDE).pixels)


def test_another_side_is_another_entry(cache: PixelCache, film: Path, decodes: list[str]):
    cache.read_film(film, name="small")
    large = PixelCache(cache.folder.parent, side_px=96).read_film(film, name="large")
    assert large.pixels.shape == (96, 96)
    assert decodes == ["small", "large"]


def test_another_preprocessing_version_is_another_entry(
    cache: PixelCache, film: Path, decodes: list[str], monkeypatch: pytest.MonkeyPatch
):
    cache.read_film(film, name="old")
    monkeypatch.setattr(pixel_cache, "PREPROCESS_VERSION", pixel_cache.PREPROCESS_VERSION + 1)
    PixelCache(cache.folder.parent, side_px=SIDE).read_film(film, name="new")
    assert decodes == ["old", "new"]


def test_every_damage_of_an_entry_is_found_and_mended(cache: PixelCache, film: Path, decodes: list[str]):
    right = cache.read_film(film, name="first")
    (entry,) = entries(cache)
    whole = entry.read_bytes()
    rng = np.random.default_rng(5)
    damaged = [whole[:length] for length in (0, 7, 8, 15, 16, 40, len(whole) - 1)]
    damaged += [bytes(len(whole)), whole + b"x", b"HILUMPX1" + bytes(len(whole) - 8), rng.bytes(len(whole))]
    for place in (0, 3, 8, 12, 15, 16, 20, len(whole) // 2, len(whole) - 1, *rng.integers(0, len(whole), 20)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    for number, content in enumerate(damaged):
        entry.write_bytes(content)
        assert_same(cache.read_film(film, name=f"damage {number}"), right)
        assert entry.read_bytes() == whole
    assert len(decodes) == 1 + len(damaged)


def test_bad_films_are_refused_and_leave_no_entry(cache: PixelCache, tmp_path: Path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    with pytest.raises(UnreadableImage, match=r"^a/bad\.png: "):
        cache.read_film(bad, name="a/bad.png")
    cv2.imwrite(str(bad), np.zeros((50, 120), np.uint8))
    with pytest.raises(UnsuitableImage, match="50"):
        cache.read_film(bad, name="bad.png")
    assert entries(cache) == []


def test_a_file_above_the_size_limit_is_not_opened(cache: PixelCache, tmp_path: Path):
    huge = tmp_path / "huge.png"
    with huge.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(UnreadableImage, match=f"the file has {MAX_FILE_BYTES + 1:,} bytes; at most"):
        cache.read_film(huge, name="huge.png")


def test_a_cache_that_cannot_be_made_is_a_config_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ConfigError, match=r"pixel cache .*file: cannot be made \(Not a directory\).*HILUM_CACHE"
    ):
        PixelCache(tmp_path / "file", side_px=SIDE)


def test_a_full_disk_is_a_config_error_and_leaves_nothing(cache, film: Path, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigError, match=r"cannot be written \(No space left on device\)\. Free disk space"):
        cache.read_film(film, name="film.png")
    assert entries(cache) == []


def test_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HILUM_CACHE", "/somewhere")
    assert default_cache_folder() == Path("/somewhere")
    monkeypatch.delenv("HILUM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache_folder() == Path("/xdg/hilum/pixels")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_folder() == Path.home() / ".cache" / "hilum" / "pixels"


# Writes one entry over and over, each time in pieces, so that a kill nearly always falls inside a write.
_SLOW_WRITER = """
import sys, time
from pathlib import Path
from hilum.data import pixel_cache

def write_in_pieces(path, data):
    with open(path, "wb") as file:
        for start in range(0, len(data), 512):
            file.write(data[start : start + 512])
            file.flush()
            if start == 512:
                print("inside", flush=True)
            time.sleep(0.002)

Path.write_bytes = write_in_pieces
pixel_cache.PixelCache._load = lambda *args: None
cache = pixel_cache.PixelCache(Path(sys.argv[1]), side_px=64)
while True:
    cache.read_film(Path(sys.argv[2]), name="film")
"""


def test_a_writer_killed_inside_a_write_leaves_nothing_wrong(
    cache: PixelCache, film: Path, decodes: list[str]
):
    command = [sys.executable, "-c", _SLOW_WRITER, str(cache.folder.parent), str(film)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "inside\n"
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
    torn = entries(cache)
    assert len(torn) == 1
    assert torn[0].name.endswith(".tmp")
    assert 0 < torn[0].stat().st_size < SIDE * SIDE
    right = decode_film(film.read_bytes(), name="x", side_px=SIDE)
    assert_same(cache.read_film(film, name="after"), right)
    assert_same(cache.read_film(film, name="again"), right)
    assert decodes == ["after"]


def test_no_age_and_no_claim_of_a_header_is_kept_in_a_cache(tmp_path: Path):
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom(np.tile(np.arange(120, dtype=np.uint8), (120, 1)), PatientAge="047Y"))
    assert decode_film(path.read_bytes(), name="a", side_px=32).facts.header == HeaderClaims(age_years=47)
    cache = PixelCache(tmp_path / "cache", side_px=32)
    first, again = (cache.read_film(path, name="a") for _ in range(2))
    assert first.facts == again.facts
    assert first.facts.header is None
    (entry,) = entries(cache)
    assert b'"header": null' in entry.read_bytes()[:400]
