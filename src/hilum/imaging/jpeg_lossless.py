"""Lossless JPEG: whether its header is sound, and whether its scan held every pixel that was decoded from it.

The only decoder for it, GDCM, ends the process over some unsound headers, so nothing unsound reaches it.

The decoders fill a scan that ends early with made-up pixels and say nothing. Lossless coding can be checked
from its result: the pixels, the predictor and the Huffman tables give the number of bits that the whole
picture takes (ITU-T T.81 annex H), and a scan with fewer was cut.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SOF3, DHT, SOS, DRI, RESTARTS = 0xC3, 0xC4, 0xDA, 0xDD, range(0xD0, 0xD8)
FILL: Final = 0xFF  # begins each marker, any number of times: T.81 B.1.1.2
HARMLESS: Final = frozenset({0xDB, 0xFE, *range(0xE0, 0xF0)})  # DQT, COM, APPn
MARKER_IN_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]")
MIN_PRECISION, MAX_PRECISION = 2, 16  # T.81 table B.2
CATEGORIES: Final = 17  # differences of 0 to 16 bits, T.81 table H.2
BITS_OF_BYTE: Final = 8
NO_EXTRA_BITS: Final = 16  # of category 16, which is one value alone
CATEGORY_OF: Final = np.array([value.bit_length() for value in range((1 << 15) + 1)], np.uint8)
PREDICTORS: Final = {
    1: lambda left, above, corner: left,  # noqa: ARG005 - each takes the three neighbours, T.81 table H.1
    2: lambda left, above, corner: above,  # noqa: ARG005
    3: lambda left, above, corner: corner,  # noqa: ARG005
    4: lambda left, above, corner: left + above - corner,
    5: lambda left, above, corner: left + ((above - corner) >> 1),
    6: lambda left, above, corner: above + ((left - corner) >> 1),
    7: lambda left, above, corner: (left + above) >> 1,  # noqa: ARG005
}


@dataclass(slots=True)
class _Scan:
    """What the markers before the coded data say; `lengths` are code lengths by table and category."""

    precision: int = 0
    restart_interval: int = 0
    predictor: int = 0
    shift: int = 0
    tables: list[int] = field(default_factory=list)
    lengths: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    frames: int = 0
    components: int = 0
    width: int = 1
    is_subsampled: bool = False
    coded: bytes = b""

    @property
    def coded_bytes(self) -> int:
        """Bytes of coded data without stuffing and restart markers."""
        restarts = sum(self.coded.count(bytes([0xFF, mark])) for mark in RESTARTS)
        return len(self.coded) - self.coded.count(b"\xff\x00") - 2 * restarts

    def restart_rows(self, width: int) -> int:
        """Return the rows between restarts, after which coding begins anew at a whole byte; 0 for none."""
        return self.restart_interval // width


def holds_all_pixels(stream: bytes, samples: NDArray[np.integer[Any]]) -> bool:
    """Tell whether the scan of a lossless JPEG (SOF3) is long enough for the samples decoded from it.

    Parameters
    ----------
    stream
        From SOI to EOI, one scan.
    samples
        (H, W), or (H, W, components), as stored.

    Raises
    ------
    struct.error, LookupError
        If the markers are damaged.
    """
    scan = _read(stream)
    planes = samples[..., None] if samples.ndim == 2 else samples  # noqa: PLR2004 - a plane
    bits_of_rows = np.zeros(len(planes), np.int64)
    for component, table in enumerate(scan.tables):
        categories = _categories(planes[..., component].astype(np.int32), scan)
        lengths = scan.lengths[table]
        if np.any(lengths[np.unique(categories)] == 0):
            return False  # differences that the scan has no code for
        bits = (lengths + np.arange(CATEGORIES) % NO_EXTRA_BITS).astype(np.uint8)
        bits_of_rows += bits[categories].sum(axis=1, dtype=np.int64)
    rows = scan.restart_rows(planes.shape[1]) or len(planes)
    bits_between = np.add.reduceat(bits_of_rows, np.arange(0, len(planes), rows))
    return int((-(-bits_between // BITS_OF_BYTE)).sum()) <= scan.coded_bytes


def _categories(plane: NDArray[np.int32], scan: _Scan) -> NDArray[np.uint8]:
    """Return the category of each difference from its prediction, (H, W)."""
    plane = (plane & ((1 << scan.precision) - 1)) >> scan.shift
    predicted = np.empty_like(plane)
    left, above, corner = plane[1:, :-1], plane[:-1, 1:], plane[:-1, :-1]
    predicted[1:, 1:] = PREDICTORS[scan.predictor](left, above, corner)
    predicted[1:, 0] = plane[:-1, 0]
    rows = scan.restart_rows(plane.shape[1]) or len(plane)
    predicted[::rows, 1:] = plane[::rows, :-1]  # the first row, and each after a restart: T.81 H.1.2.1
    predicted[::rows, 0] = 1 << (scan.precision - scan.shift - 1)
    difference = (plane - predicted).astype(np.int16).astype(np.int32)  # modulo 65,536
    return CATEGORY_OF[np.abs(difference)]


def check_lossless(stream: bytes, *, components: int, bits_allocated: int) -> None:
    """Check the segments of a lossless JPEG before GDCM may see it.

    Raises
    ------
    ValueError, struct.error, LookupError
        If one is damaged, contradicts the DICOM header, or does not belong there.
    """
    scan = _read(stream)
    complaints = (
        scan.frames != 1,
        scan.components != components or len(scan.tables) != components,
        not MIN_PRECISION <= scan.precision <= min(MAX_PRECISION, bits_allocated),
        scan.is_subsampled,
        scan.predictor not in PREDICTORS,
        scan.shift >= scan.precision,
        not set(scan.tables) <= set(scan.lengths),
        not all(_is_prefix_code(lengths) for lengths in scan.lengths.values()),
        scan.restart_interval % scan.width != 0,
        MARKER_IN_SCAN.search(scan.coded) is not None,
    )
    if any(complaints):
        raise ValueError("the header of the lossless JPEG is damaged, or not of this image")


def _is_prefix_code(lengths: NDArray[np.int64]) -> bool:
    """Tell whether codes of these lengths exist, T.81 annex C."""
    return 0 < float((2.0 ** -lengths[lengths > 0]).sum()) <= 1


def _read(stream: bytes) -> _Scan:
    scan = _Scan()
    for marker, segment, end in _segments(stream):
        if marker == SOF3:
            scan.frames += 1
            scan.precision, scan.width, scan.components = struct.unpack_from(">BxxHB", segment)
            scan.is_subsampled = segment[7::3] != b"\x11" * scan.components
        elif marker == DRI:
            (scan.restart_interval,) = struct.unpack(">H", segment)
        elif marker == DHT:
            scan.lengths.update(_code_lengths(segment))
        elif marker == SOS:
            count = segment[0]
            scan.tables = [segment[2 + 2 * index] >> 4 for index in range(count)]
            scan.predictor, last, approximation = segment[1 + 2 * count :]
            scan.shift = approximation if last == 0 else MAX_PRECISION  # Se and Ah are zero: T.81 table B.3
            scan.coded = stream[end:-2]
        elif marker not in HARMLESS:
            raise ValueError("a segment that lossless JPEG does not have")
    return scan


def _segments(stream: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield marker, content and end of each segment, the header of the scan last."""
    position, marker = 2, 0
    while marker != SOS:
        if stream[position] != FILL:
            raise ValueError("a segment does not begin where the one before it ends")
        while stream[position + 1] == FILL:
            position += 1
        marker, length = struct.unpack_from(">xBH", stream, position)
        end = position + 2 + length
        yield marker, stream[position + 4 : end], end
        position = end


def _code_lengths(segment: bytes) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Read the tables of a DHT segment, T.81 B.2.4.2: code length by category, 0 where there is no code."""
    position = 0
    while position < len(segment):
        table, counts = segment[position], segment[position + 1 : position + 17]
        position += 17
        lengths = np.zeros(CATEGORIES, np.int64)
        for length, count in enumerate(counts, start=1):
            for category in segment[position : position + count]:
                lengths[category] = length
            position += count
        yield table, lengths
