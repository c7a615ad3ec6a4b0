"""Samples of 16, 32 and 64 bits of a TIFF as they stand.

Pillow keeps 8 of 16 bits of colour and knows no 64-bit numbers. It gives the samples of any depth all the
same: a file whose rows are said to be so many bytes of 8-bit grey is decoded to these bytes, strictly.
"""

import ctypes
import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from hilum.imaging import tiff_directory as tags
from hilum.imaging.tiff_directory import TiffDirectory

BYTE_CODINGS: Final = frozenset({1, 5, 8, 32_773, 32_946, 34_925, 50_000})
"""Compressions that know nothing of samples: none, LZW, Deflate (two numbers), PackBits, LZMA, Zstandard."""
DEEP_BITS: Final = frozenset({16, 32, 64})
_HORIZONTAL, _FLOATING = 2, 3  # predictors: TIFF 6.0 section 14, TIFF Technical Note 3
_KINDS: Final = {1: "u", 2: "i", 3: "f"}  # sample formats: TIFF 6.0 section 19; 4 is "undefined"


def silence_libtiff() -> None:
    """Stop the libtiff inside Pillow from writing its errors to the terminal; Pillow raises them besides.

    Where Pillow uses another library than the one it brings along, nothing happens.
    """
    for library in (Path(PIL.__file__).parent.parent / "pillow.libs").glob("libtiff*"):
        handler = ctypes.CDLL(str(library)).TIFFSetErrorHandler
        handler.argtypes = [ctypes.c_void_p]
        handler(None)


silence_libtiff()


def sample_type(directory: TiffDirectory) -> np.dtype[Any] | None:
    """Return what numpy calls the samples, in the byte order of the file; None if not deep or not alike."""
    bits = set(directory.numbers.get(tags.BITS, (1,)))
    formats = set(directory.numbers.get(tags.SAMPLE_FORMAT, (1,)))
    if len(bits) > 1 or len(formats) > 1 or not bits <= DEEP_BITS:
        return None
    return np.dtype(f"{directory.order}{_KINDS.get(formats.pop(), 'u')}{bits.pop() // 8}")


def deep_samples(data: bytes, directory: TiffDirectory) -> NDArray[Any] | None:
    """Decode samples of 16, 32 or 64 bits as they stand.

    Returns
    -------
    (H, W, samples) in the type of the file; None if they are stored in a way that is not read here.

    Raises
    ------
    OSError, ValueError
        If the data are cut short or damaged.
    """
    kind, (width, height) = sample_type(directory), directory.size
    count, planes = directory.number(tags.SAMPLES, 1), 1
    if kind is None or directory.number(tags.COMPRESSION, 1) not in BYTE_CODINGS or not directory.pieces:
        return None
    if directory.number(tags.PLANAR, 1) == tags.PLANE_BY_PLANE and count > 1:
        rows = directory.number(tags.ROWS_PER_STRIP, height)
        if tags.TILE_OFFSETS in directory.numbers or (rows < height and height % rows):
            return None  # the planes would not follow each other as the rows of one tall picture
        count, planes = 1, count
    grey = _as_grey_bytes(data, directory, kind.itemsize * count, planes)
    with Image.open(io.BytesIO(grey), formats=("TIFF",)) as image:
        values = _unpredicted(np.asarray(image), directory, kind, count)
    return values if planes == 1 else np.moveaxis(values.reshape(planes, height, width), 0, -1)


def _as_grey_bytes(data: bytes, directory: TiffDirectory, factor: int, planes: int) -> bytes:
    """Return a classic TIFF of 8-bit grey around the same data, its rows `factor` times as wide."""
    width, height = directory.size
    is_tiled = tags.TILE_OFFSETS in directory.numbers
    offsets, counts = zip(*directory.pieces, strict=True)
    fields: dict[int, tuple[int, ...]] = {
        tags.WIDTH: (width * factor,),
        tags.HEIGHT: (height * planes,),
        tags.BITS: (8,),
        tags.COMPRESSION: (directory.number(tags.COMPRESSION, 1),),
        tags.PHOTOMETRIC: (1,),
        tags.SAMPLES: (1,),
        tags.TILE_OFFSETS if is_tiled else tags.STRIP_OFFSETS: offsets,
        tags.TILE_COUNTS if is_tiled else tags.STRIP_COUNTS: counts,
    }
    if is_tiled:
        fields[tags.TILE_WIDTH] = (directory.number(tags.TILE_WIDTH, width) * factor,)
        fields[tags.TILE_HEIGHT] = (directory.number(tags.TILE_HEIGHT, height),)
    else:
        fields[tags.ROWS_PER_STRIP] = (min(directory.number(tags.ROWS_PER_STRIP, height), height),)
    return classic_tiff(data, directory.order, fields)


def classic_tiff(data: bytes, order: str, fields: Mapping[int, tuple[int, ...]]) -> bytes:
    """Return a classic TIFF with these fields around the same data, which stay where they are.

    Pillow reads a BigTIFF of one byte order only.
    """
    start = len(data)
    behind = start + 2 + 12 * len(fields) + 4
    entries, arrays = b"", b""
    for tag, values in sorted(fields.items()):
        kind, letter = (7, "B") if tag == tags.JPEG_TABLES else (4, "I")
        place = values[0] if len(values) == 1 else behind + len(arrays)
        entries += struct.pack(f"{order}HHII", tag, kind, len(values), place)
        arrays += b"" if len(values) == 1 else struct.pack(f"{order}{len(values)}{letter}", *values)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    directory = struct.pack(f"{order}H", len(fields)) + entries + bytes(4) + arrays
    return b"".join((head, memoryview(data)[len(head) :], directory))


def _unpredicted(
    rows: NDArray[np.uint8], directory: TiffDirectory, kind: np.dtype[Any], count: int
) -> NDArray[Any]:
    """Undo the predictor: uint8 (rows, bytes) to (rows, W, samples). Each tile is predicted for itself."""
    predictor, width = directory.number(tags.PREDICTOR, 1), directory.size[0]
    if predictor not in {_HORIZONTAL, _FLOATING}:
        return rows.view(kind).reshape(len(rows), width, count)
    undo = _undo_horizontal if predictor == _HORIZONTAL else _undo_floating
    # The last tile of a row goes on behind the picture; a float is spread over all of it.
    tile_bytes = directory.number(tags.TILE_WIDTH, width) * count * kind.itemsize
    if predictor == _FLOATING and rows.shape[1] % tile_bytes:
        raise ValueError("a tile of floating-point numbers that goes on behind the picture")
    parts = [
        undo(np.ascontiguousarray(rows[:, left : left + tile_bytes]), kind, count)
        for left in range(0, rows.shape[1], tile_bytes)
    ]
    return np.concatenate(parts, axis=1)


def _undo_horizontal(rows: NDArray[np.uint8], kind: np.dtype[Any], count: int) -> NDArray[Any]:
    whole = np.dtype(f"{kind.byteorder}u{kind.itemsize}")
    values = rows.view(whole).reshape(len(rows), -1, count)
    return np.cumsum(values, axis=1, dtype=whole.newbyteorder("=")).view(kind.newbyteorder("="))


def _undo_floating(rows: NDArray[np.uint8], kind: np.dtype[Any], count: int) -> NDArray[Any]:
    added = np.cumsum(rows.reshape(len(rows), -1, count), axis=1, dtype=np.uint8)
    planes = added.reshape(len(rows), kind.itemsize, -1)  # the most significant bytes of a row come first
    joined = np.ascontiguousarray(np.moveaxis(planes, 1, -1))
    return joined.view(kind.newbyteorder(">"))[:, :, 0].reshape(len(rows), -1, count)
