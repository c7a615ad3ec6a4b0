"""The directories of a TIFF or BigTIFF: what the first picture says of itself, and where its data lie.

Reads whole numbers only and decodes nothing; TIFF 6.0 section 2, BigTIFF as libtiff writes it.
"""

import struct
from dataclasses import dataclass
from typing import Final, Self

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = 273, 274, 277, 278, 279
PLANAR, PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES = 284, 317, 338, 339, 347
COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SUBSAMPLING = 320, 322, 323, 324, 325, 530

JPEG_CODING: Final = 7
JPEG_2000_CODINGS: Final = frozenset({33_003, 33_004, 33_005, 34_712})
CODING_NAMES: Final = {
    1: "uncompressed", 5: "LZW", 6: "old-style JPEG", JPEG_CODING: "JPEG", 8: "Deflate", 32_773: "PackBits",
    32_809: "ThunderScan", 32_946: "Deflate", 34_661: "JBIG", 34_676: "LogLuv", 34_677: "LogLuv",
    34_887: "LERC", 34_892: "lossy JPEG", 50_000: "Zstandard", 50_001: "WebP", 50_002: "JPEG XL",
    52_546: "JPEG XL", **dict.fromkeys(JPEG_2000_CODINGS, "JPEG 2000"),
}  # fmt: skip
MODEL_NAMES: Final = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "CIELAB"}
SIGNED: Final = 2  # TIFF 6.0, SampleFormat
PLANE_BY_PLANE: Final = 2  # TIFF 6.0, PlanarConfiguration
_BIG_TIFF = 43
_NUMBERS: Final = {
    1: "B",
    3: "H",
    4: "I",
    13: "I",
    16: "Q",
    18: "Q",
}  # types of a field that are whole numbers
_KNOWN: Final = frozenset(
    {
        SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIP_OFFSETS, ORIENTATION,
        SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR, PREDICTOR, COLOUR_MAP, EXTRA_SAMPLES, SAMPLE_FORMAT,
        JPEG_TABLES, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SUBSAMPLING,
    }
)  # fmt: skip
_MAX_DIRECTORIES = 64
_MAX_ENTRIES = 4_096
_MAX_NUMBERS = 1 << 20
"""Of one field. A film of the largest size in tiles of 16 x 16 pixels, three planes of them, has 300,000."""
_REDUCED_OR_MASK = 0b101  # NewSubfileType: a smaller version of another picture, or a mask


@dataclass(frozen=True, slots=True)
class TiffDirectory:
    """The first picture of a TIFF: byte order, whole numbers by tag, and how many full pictures there are."""

    order: str
    numbers: dict[int, tuple[int, ...]]
    pictures: int

    @classmethod
    def read(cls, data: bytes) -> Self | None:
        """Read it; None if the file ends early or states no size."""
        order = "<" if data.startswith(b"II") else ">"
        try:
            is_big = struct.unpack_from(f"{order}H", data, 2)[0] == _BIG_TIFF
            (first,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, 8 if is_big else 4)
            numbers, following = _directory(data, first, order, is_big=is_big)
            pictures, seen = 1, {first}
            while following and following not in seen and len(seen) < _MAX_DIRECTORIES:
                seen.add(following)
                other, following = _directory(data, following, order, is_big=is_big)
                pictures += not other.get(SUBFILE, (0,))[0] & _REDUCED_OR_MASK
        except (struct.error, OverflowError):  # OverflowError: an offset beyond 2^63
            return None
        return cls(order, numbers, pictures) if {WIDTH, HEIGHT} <= numbers.keys() else None

    def number(self, tag: int, default: int) -> int:
        """Return the first number of a tag."""
        return self.numbers.get(tag, (default,))[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, before any orientation is applied."""
        return self.number(WIDTH, 0), self.number(HEIGHT, 0)

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Offset and length of every strip or tile."""
        tags = (TILE_OFFSETS, TILE_COUNTS) if TILE_OFFSETS in self.numbers else (STRIP_OFFSETS, STRIP_COUNTS)
        offsets, counts = (self.numbers.get(tag, ()) for tag in tags)
        return list(zip(offsets, counts, strict=False))

    def is_complete(self, data: bytes) -> bool:
        """Tell whether every strip or tile lies inside the file, and holds its rows where it is not packed.

        A decoder reads on into whatever follows a strip that is too short.
        """
        pieces = self.pieces
        if any(start + count > len(data) for start, count in pieces):
            return False
        row_bits = self.number(WIDTH, 0) * self.number(SAMPLES, 1) * self.number(BITS, 1)
        needed = self.number(HEIGHT, 0) * -(-row_bits // 8)
        return self.number(COMPRESSION, 1) != 1 or not pieces or sum(count for _, count in pieces) >= needed

    @property
    def coding(self) -> str:
        """How the pixels are stored, in words, for a refusal."""
        coding, model = self.number(COMPRESSION, 1), self.number(PHOTOMETRIC, 1)
        sign = "signed " if self.number(SAMPLE_FORMAT, 1) == SIGNED else ""
        colours = MODEL_NAMES.get(model, f"colour model {model}")
        planes = ", plane by plane" if self.number(PLANAR, 1) == PLANE_BY_PLANE else ""
        name = CODING_NAMES.get(coding, f"compression {coding}")
        return f"{sign}{self.number(BITS, 1)}-bit {colours} pixels{planes}, {name}"


def _directory(
    data: bytes, start: int, order: str, *, is_big: bool
) -> tuple[dict[int, tuple[int, ...]], int]:
    """Return the whole numbers of a directory by tag, and where the next one starts (0: nowhere)."""
    wide = f"{order}{'Q' if is_big else 'I'}"
    head, entry_bytes, inline = (f"{order}Q", 20, 8) if is_big else (f"{order}H", 12, 4)
    (entries,) = struct.unpack_from(head, data, start)
    if entries > _MAX_ENTRIES:
        raise struct.error("a directory of more fields than any film has")
    start += struct.calcsize(head)
    numbers: dict[int, tuple[int, ...]] = {}
    for index in range(entries):
        at = start + index * entry_bytes
        tag, field = struct.unpack_from(f"{order}HH", data, at)
        (count,) = struct.unpack_from(wide, data, at + 4)
        letter = "B" if tag == JPEG_TABLES else _NUMBERS.get(field)
        if letter is None or tag not in _KNOWN or not count:
            continue
        if count > _MAX_NUMBERS:
            raise struct.error("a field of more numbers than any film has")
        place, length = at + entry_bytes - inline, count * struct.calcsize(letter)
        if length > inline:
            (place,) = struct.unpack_from(wide, data, place)
        numbers[tag] = struct.unpack_from(f"{order}{count}{letter}", data, place)
    end = start + entries * entry_bytes
    following = struct.unpack_from(wide, data, end)[0] if end + struct.calcsize(wide) <= len(data) else 0
    return numbers, following
