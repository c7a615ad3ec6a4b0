"""The chunks of a PNG: those that make the picture must be whole, and others that are not are left out.

Pillow does not compare the checksum of every IDAT chunk, and refuses a whole picture for a wrong checksum in
a text. Here the checksum of everything that the pixels come from is compared, and a damaged chunk of text,
time or profile never reaches the decoder.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from hilum.imaging.headers import PNG_MAGIC

TRANSPARENCY: Final = b"tRNS"
_CHUNK_FRAME_BYTES: Final = 12  # length, kind and checksum: PNG specification 5.3


def whole_chunks(data: bytes) -> bytes | None:
    """Return the PNG without its damaged chunks, and without what lies behind its end.

    Returns
    -------
    None if a chunk of the picture (the critical ones and tRNS) is damaged or there is no IEND.
    """
    kept = [PNG_MAGIC]
    for kind, chunk, is_whole in _chunks(data):
        if is_whole:
            kept.append(chunk)
        elif kind[:1].isupper() or kind == TRANSPARENCY:  # PNG specification 5.4: upper case is critical
            return None
        if kind == b"IEND":
            return b"".join(kept)
    return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield the kind of each chunk, the chunk, and whether its checksum is right."""
    position = len(PNG_MAGIC)
    while position + _CHUNK_FRAME_BYTES <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + _CHUNK_FRAME_BYTES + length
        chunk = data[position:end]
        stated = int.from_bytes(chunk[-4:], "big")
        is_whole = end <= len(data) and zlib.crc32(memoryview(chunk)[4:-4]) == stated
        yield chunk[4:8], chunk, is_whole
        position = end
