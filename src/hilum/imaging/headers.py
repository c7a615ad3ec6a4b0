"""Read what a file is, and how large, from its first bytes, without decoding anything.

Magic bytes decide the format: a file name is only a claim. Sizes are read here rather than by the decoder
so that a decompression bomb is refused before any decoder has seen it.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from hilum.imaging.tiff_directory import TiffDirectory

JPEG_2000_START = b"\xff\x4f\xff\x51"  # SOC, then SIZ: T.800 A.4
BIG_TIFF_MAGICS = (b"II+\x00", b"MM\x00+")
TIFF_MAGICS = (b"II*\x00", b"MM\x00*", *BIG_TIFF_MAGICS)
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
DICOM_PREFIX_OFFSET = 128
BARE_DATA_SETS = (b"DICM", b"\x02\x00", b"\x08\x00", b"\x00\x08")  # DICOM without its preamble
JPEG_STANDALONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RSTn, SOI: no length field follows
JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # SOF0-15, SOF55 (JPEG-LS)
JPEG_END_MARKERS = frozenset({0xD9, 0xDA})  # EOI, SOS: a frame header must come before

OTHER_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"\xca\xfe\xba\xbe", "a macOS program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"\xce\xfa\xed\xfe", "a macOS program"),
    (b"8BPS", "a Photoshop file"),
    (b"SIMPLE  =", "a FITS file"),
    (b"\x93NUMPY", "a NumPy array file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x5c\x01\x00\x00", "a NIfTI volume"),
    (b"\x00\x00\x00\x0cjP  ", "a bare JPEG 2000 file"),
    (JPEG_2000_START, "a bare JPEG 2000 codestream"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<html", "an HTML page"),
)
PROGRAMS = frozenset({"a Windows program", "a Linux program", "a macOS program"})


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The frame header of a JPEG, JPEG-LS or JPEG 2000 stream: marker 0x51 (SIZ) stands for JPEG 2000."""

    marker: int
    bits: int
    width: int
    height: int


def sniff_format(data: bytes) -> str | None:
    """Name the format from magic bytes: one of ours, or None.

    A DICOM file may carry anything in its 128-byte preamble (PS3.10 7.1), so "DICM" is looked at first.
    Without a preamble a data set starts with group 0002 or 0008; that is only a guess, which the
    DICOM reader has to confirm.
    """
    signatures = {
        "DICOM": data[DICOM_PREFIX_OFFSET : DICOM_PREFIX_OFFSET + 4] == b"DICM",
        "PNG": data.startswith(PNG_MAGIC),
        "JPEG": data.startswith(b"\xff\xd8\xff"),
        "TIFF": data.startswith(TIFF_MAGICS),
        "WEBP": data.startswith(b"RIFF") and data[8:12] == b"WEBP",
        "BMP": data.startswith(b"BM") and data[6:10] == bytes(4),
    }
    found = next((name for name, matches in signatures.items() if matches), None)
    return "DICOM" if found is None and data.startswith(BARE_DATA_SETS) else found


def describe_other(data: bytes) -> str:
    """Say in words what a file that is not ours seems to be."""
    if not data:
        return "an empty file"
    head = data[:64].lstrip()
    for magic, words in OTHER_FORMATS:
        if data.startswith(magic) or (magic.startswith(b"<") and head.startswith(magic)):
            return words
    if data[4:8] == b"ftyp":
        return "a HEIC or video file"
    if all(byte in b"\t\n\r" or byte >= ord(" ") for byte in data[:512]):
        return "a text file"
    return "a file of unknown type"


def header_size(data: bytes, file_format: str) -> tuple[int, int] | None:
    """Read (width, height) in pixels from the header, before any orientation is applied.

    Returns
    -------
    None if the header ends early or makes no sense: the file is damaged.
    """
    readers: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
        "PNG": _png_size,
        "BMP": _bmp_size,
        "WEBP": _webp_size,
        "TIFF": _tiff_size,
        "JPEG": _jpeg_size,
    }
    try:
        return readers[file_format](data)
    except (struct.error, KeyError):
        return None


def frame_header(stream: bytes) -> FrameHeader | None:
    """Read the frame header of a JPEG, JPEG-LS or raw JPEG 2000 stream; None if there is none."""
    try:
        if stream.startswith(JPEG_2000_START):
            right, bottom, left, top = struct.unpack_from(">IIII", stream, 8)
            (depth,) = struct.unpack_from(">B", stream, 42)
            return FrameHeader(marker=0x51, bits=(depth & 0x7F) + 1, width=right - left, height=bottom - top)
        return _jpeg_frame_header(stream)
    except struct.error:
        return None


def _jpeg_frame_header(stream: bytes) -> FrameHeader | None:
    position = 2
    while True:
        prefix, marker = struct.unpack_from(">BB", stream, position)
        if prefix != 0xFF:  # noqa: PLR2004 - the marker prefix of ITU-T T.81 B.1.1.2
            position = stream.find(b"\xff", position)
            if position < 0:
                return None
        elif marker == 0xFF:  # noqa: PLR2004 - a fill byte, T.81 B.1.1.2
            position += 1
        elif marker in JPEG_STANDALONE_MARKERS or marker == 0:
            position += 2
        elif marker in JPEG_FRAME_MARKERS:
            bits, height, width = struct.unpack_from(">BHH", stream, position + 4)
            return FrameHeader(marker=marker, bits=bits, width=width, height=height)
        elif marker in JPEG_END_MARKERS:
            return None
        else:
            position += 2 + struct.unpack_from(">H", stream, position + 2)[0]


def _png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    header = frame_header(data)
    return None if header is None else (header.width, header.height)


def _bmp_size(data: bytes) -> tuple[int, int]:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes == 12:  # noqa: PLR2004 - BITMAPCOREHEADER, the OS/2 form with 16-bit sides
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)  # a negative height means top row first
    return width, abs(height)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return 1 + low_width + (high_width << 16), 1 + low_height + (high_height << 16)
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return 1 + (packed & 0x3FFF), 1 + ((packed >> 14) & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    directory = TiffDirectory.read(data)
    return None if directory is None else directory.size
