"""Decode each film once: resized pixels and facts, kept by the content of the file.

The key is the SHA-256 of the file's bytes plus the preprocessing version, so a renamed or copied film
is decoded once and an edited one anew. An entry is written beside its place and renamed into it, and
carries a CRC: a killed or powered-off writer leaves either nothing or an entry that is found out and
made again. Knows nothing about labels.
"""

import json
import math
import os
import struct
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import ConfigError
from hilum.imaging.contract import check_film
from hilum.imaging.exposed_field import ExposedField, find_field
from hilum.imaging.file_bytes import read_file
from hilum.imaging.fingerprint import content_sha256
from hilum.imaging.intake import read_radiograph
from hilum.imaging.preprocess import resize_film
from hilum.imaging.radiograph import ImageFacts

PREPROCESS_VERSION = 4
"""Raise whenever decoding or resizing changes a pixel: old entries are then never read again."""

_MAGIC = b"HILUMPX1"
_LENGTHS = struct.Struct("<II")  # bytes of the JSON header, CRC-32 of header + pixels


@dataclass(frozen=True, slots=True, eq=False)
class CachedFilm:
    """A film as the network sees it: `pixels` uint8 (side, side), MONOCHROME2, of the exposed `field` alone.

    `picture` is all of it, uint8 (side, side); None where the field is the whole picture, and from the cache.
    """

    sha256: str
    facts: ImageFacts
    pixels: NDArray[np.uint8]
    field: ExposedField = ExposedField()
    picture: NDArray[np.uint8] | None = None


class PixelCache:
    """A folder of decoded films for one network input size."""

    def __init__(self, folder: Path, *, side_px: int) -> None:
        self.side_px = side_px
        self.folder = folder / f"v{PREPROCESS_VERSION}-{side_px}px"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"pixel cache {folder}: cannot be made ({error.strerror})."
                " Name another folder in the environment variable HILUM_CACHE."
            ) from error

    def read_film(self, path: Path, *, name: str) -> CachedFilm:
        """Return a film from the cache, decoding it first when it is not there.

        Raises
        ------
        UnreadableImage
            If the file cannot be read or decoded.
        UnsuitableImage
            If it is undersized or too long for its width; nothing is cached then.
        ConfigError
            If the cache cannot be written, as on a full disk.
        """
        data = read_file(path, name=name)
        sha256 = content_sha256(data)
        entry = self.folder / sha256[:2] / sha256[2:]
        film = self._load(entry, sha256)
        if film is None:
            film = decode_film(data, name=name, side_px=self.side_px)
            film = replace(film, facts=replace(film.facts, header=None))  # an age has no place in a cache
            _write_atomically(entry, _pack(film))
        return film

    def _load(self, entry: Path, sha256: str) -> CachedFilm | None:
        try:
            data = entry.read_bytes()
        except OSError:
            return None
        return _unpack(data, sha256, side_px=self.side_px)


def decode_film(data: bytes, *, name: str, side_px: int) -> CachedFilm:
    """Decode, check, cut and resize a film: the one way from bytes to network pixels, for training and use.

    Raises
    ------
    UnreadableImage, UnsuitableImage
        If it cannot be decoded, or lies outside the input contract.
    """
    radiograph = read_radiograph(data, name=name, min_side_px=side_px)
    field = find_field(radiograph.pixels)
    check_film(radiograph.facts, name=name, field=field)
    if not field.is_whole and radiograph.pixels.shape != (radiograph.facts.height, radiograph.facts.width):
        fine_side_px = math.ceil(side_px / min(field.width, field.height))  # the field must fill the network
        radiograph = read_radiograph(data, name=name, min_side_px=fine_side_px)
    pixels = resize_film(field.cut(radiograph.pixels), side_px)
    picture = None if field.is_whole else resize_film(radiograph.pixels, side_px)
    return CachedFilm(content_sha256(data), radiograph.facts, pixels, field, picture)


def default_cache_folder() -> Path:
    """Return the folder of decoded films: HILUM_CACHE, or hilum/pixels in the user's cache folder."""
    named = os.environ.get("HILUM_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hilum" / "pixels"


def _pack(film: CachedFilm) -> bytes:
    header = json.dumps({"facts": asdict(film.facts), "field": asdict(film.field)}, allow_nan=False).encode()
    body = header + film.pixels.tobytes()
    return _MAGIC + _LENGTHS.pack(len(header), zlib.crc32(body)) + body


def _unpack(data: bytes, sha256: str, *, side_px: int) -> CachedFilm | None:
    start = len(_MAGIC) + _LENGTHS.size
    if len(data) < start or not data.startswith(_MAGIC):
        return None
    header_bytes, crc = _LENGTHS.unpack_from(data, len(_MAGIC))
    if len(data) != start + header_bytes + side_px * side_px or zlib.crc32(data[start:]) != crc:
        return None
    header = json.loads(data[start : start + header_bytes])
    pixels = np.frombuffer(data, np.uint8, offset=start + header_bytes).reshape(side_px, side_px)
    return CachedFilm(
        sha256, ImageFacts.from_record(header["facts"]), pixels, ExposedField(**header["field"])
    )


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{id(data)}.tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigError(
            f"pixel cache {path.parent.parent}: cannot be written ({error.strerror})."
            " Free disk space, or name another folder in the environment variable HILUM_CACHE."
        ) from error
