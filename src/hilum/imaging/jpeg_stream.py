"""JPEG files as cameras and archives leave them: what they are coded in, and bytes that do not belong there.

libjpeg warns of bytes that it skips as it warns of data that are missing, and strict decoding refuses both.
Bytes between two segments of the header hold no pixels, and zeros behind the coded data are padding: without
them a whole picture passes the strict decoder, and one that was cut still does not.
"""

import struct
from collections.abc import Iterator
from typing import Final

from hilum.imaging.headers import JPEG_STANDALONE_MARKERS, FrameHeader

LOSSLESS_MARKERS: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})  # SOF3, 7, 11, 15 of T.81 table B.1
HIERARCHICAL_MARKERS: Final = frozenset({0xC5, 0xC6, 0xCD, 0xCE})
JPEG_LS_MARKER: Final = 0xF7  # T.87
BITS_OF_BYTE: Final = 8
_START_OF_SCAN, _END_OF_IMAGE, _FILL = 0xDA, 0xD9, 0xFF
_RESTARTS = range(0xD0, 0xD8)
PROGRESSIVE_MARKERS = frozenset({0xC2, 0xCA})  # Huffman and arithmetic
_COEFFICIENTS = 64  # of a block


def undecoded_coding(header: FrameHeader) -> str | None:
    """Say in words which coding a JPEG has, if it is one that is not decoded here; else None."""
    if header.marker == JPEG_LS_MARKER:
        return "JPEG-LS"
    if header.marker in HIERARCHICAL_MARKERS:
        return "hierarchical JPEG"
    if header.marker in LOSSLESS_MARKERS:
        return f"{header.bits}-bit lossless JPEG"
    return None if header.bits == BITS_OF_BYTE else f"{header.bits}-bit JPEG"


def without_extraneous_bytes(data: bytes) -> bytes:
    """Leave out what lies between two segments before the first scan, and zeros at the end of coded data.

    What lies behind the end of the image is dropped too. Between scans nothing is left out: the rest of a
    scan that was cut inside its header would look like that.
    """
    return b"\xff\xd8" + b"".join(_parts(data))


def _parts(data: bytes) -> Iterator[bytes]:
    position, has_scan = 2, False
    while (found := _next_marker(data, position)) is not None:
        if has_scan:
            yield data[position : found[0] - 2]
        position, marker = found
        yield bytes((_FILL, marker))
        if marker == _END_OF_IMAGE:
            return
        if marker not in JPEG_STANDALONE_MARKERS:
            (length,) = struct.unpack_from(">H", data.ljust(position + 2, b"\0"), position)
            yield data[position : position + length]
            position += length
        if marker == _START_OF_SCAN or marker in _RESTARTS:
            has_scan = True
            end = _coded_end(data, position)
            yield _without_padding(data[position:end])
            position = end


def is_sent_in_full(data: bytes) -> bool:
    """Tell whether the scans of a progressive JPEG bring every coefficient to its last bit: T.81 G.1.

    One that was cut between two scans decodes without a warning, to a coarser picture.
    """
    bits_left: dict[tuple[int, int], int] = {}
    components = 0
    position = 2
    while (found := _next_marker(data, position)) is not None and found[1] != _END_OF_IMAGE:
        position, marker = found
        if marker in JPEG_STANDALONE_MARKERS:
            position = _coded_end(data, position)
            continue
        (length,) = struct.unpack_from(">H", data, position)
        segment = data[position : position + length]
        position += length
        if marker in PROGRESSIVE_MARKERS:
            components = segment[7]
        if marker == _START_OF_SCAN:
            first, last, approximation = segment[-3:]
            for component in segment[3:-3:2]:
                bits_left |= dict.fromkeys(
                    ((component, k) for k in range(first, last + 1)), approximation & 15
                )
            position = _coded_end(data, position)
    return len(bits_left) == components * _COEFFICIENTS and not any(bits_left.values())


def _next_marker(data: bytes, position: int) -> tuple[int, int] | None:
    """Return where the segment behind the next marker starts, and the marker: T.81 B.1.1.2."""
    while (position := data.find(b"\xff", position)) >= 0:
        while data[position : position + 1] == b"\xff":
            position += 1
        if position == len(data):
            return None
        marker = data[position]
        position += 1
        if marker:
            return position, marker
    return None


def _coded_end(data: bytes, position: int) -> int:
    """Return where coded data end: at the first marker, a stuffed zero (T.81 F.1.2.3) not counted."""
    while (position := data.find(b"\xff", position)) >= 0:
        if data[position + 1 : position + 2] != b"\0":
            return position
        position += 2
    return len(data)


def _without_padding(coded: bytes) -> bytes:
    bare = coded.rstrip(b"\0")
    return bare + b"\0" if bare.endswith(b"\xff") else bare  # the zero belongs to a stuffed 0xFF
