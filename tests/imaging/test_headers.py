import struct

import pytest

from hilum.imaging.headers import FrameHeader, describe_other, frame_header, header_size, sniff_format

from .make_films import colour, encode, film, jpeg_frame, png_header, tiff


@pytest.mark.parametrize(
    ("data", "file_format"),
    [
        (encode(film(), "PNG"), "PNG"),
        (encode(film(), "JPEG"), "JPEG"),
        (encode(film(), "TIFF"), "TIFF"),
        (b"MM\x00*" + bytes(20), "TIFF"),
        (encode(film(), "BMP"), "BMP"),
        (encode(film(), "WEBP"), "WEBP"),
        (b"MZ".ljust(128, b"\0") + b"DICM", "DICOM"),
        (b"\x08\x00\x05\x00CS", "DICOM"),
        (b"\x00\x08\x00\x05", "DICOM"),
        (b"BM, a text that begins so", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"", None),
    ],
)
def test_magic_bytes_decide(data: bytes, file_format: str | None) -> None:
    assert sniff_format(data) == file_format


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"GIF89a", "a GIF image"),
        (b"  \n<svg xmlns", "an SVG drawing"),
        (b"\0\0\0\x18ftypheic", "a HEIC or video file"),
        (b"path,label\na.png,Normal\n", "a text file"),
        (b"\xde\xad\xbe\xef\0", "a file of unknown type"),
    ],
)
def test_other_files_are_named(data: bytes, words: str) -> None:
    assert describe_other(data) == words


@pytest.mark.parametrize(
    ("data", "file_format"),
    [
        (encode(film(), "PNG"), "PNG"),
        (encode(film(), "JPEG", progressive=True), "JPEG"),
        (encode(film(), "TIFF"), "TIFF"),
        (tiff(film()), "TIFF"),
        (encode(film(), "BMP"), "BMP"),
        (encode(colour(), "WEBP", lossless=True), "WEBP"),
        (encode(colour(), "WEBP", quality=80), "WEBP"),
        (encode(colour(), "WEBP", exif=b"Exif\0\0II*\0"), "WEBP"),
    ],
)
def test_size_is_read_from_the_header(data: bytes, file_format: str) -> None:
    assert header_size(data, file_format) == (56, 40)


def test_size_of_headers_alone() -> None:
    assert header_size(png_header(60_000, 50_000), "PNG") == (60_000, 50_000)
    core = b"BM" + bytes(12) + struct.pack("<IHH", 12, 300, 200)
    assert header_size(core, "BMP") == (300, 200)
    top_down = b"BM" + bytes(12) + struct.pack("<Iii", 40, 300, -200)
    assert header_size(top_down, "BMP") == (300, 200)
    big_endian = b"MM\0*\0\0\0\x08\0\x02" + struct.pack(">HHIHHHHII", 256, 3, 1, 300, 0, 257, 4, 1, 200)
    assert header_size(big_endian, "TIFF") == (300, 200)


@pytest.mark.parametrize(
    ("data", "file_format"),
    [
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"RIFF\0\0\0\0WEBPALPH", "WEBP"),
        (b"II*\0\x08\0\0\0\0\0", "TIFF"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"\xff\xd8\xff\xd9", "JPEG"),
        (b"\xff\xd8" + bytes(50), "JPEG"),
    ],
)
def test_a_header_that_ends_early_has_no_size(data: bytes, file_format: str) -> None:
    assert header_size(data, file_format) is None


def test_frame_headers() -> None:
    stream = jpeg_frame(film())
    assert frame_header(stream) == FrameHeader(marker=0xC0, bits=8, width=56, height=40)
    padded = b"\xff\xd8\x00\x00\xff\xff\x01" + stream[2:]  # stray bytes, a fill byte, TEM
    assert frame_header(padded) == frame_header(stream)
    siz = b"\xff\x4f\xff\x51" + struct.pack(">HHIIIIIIIIHB", 41, 0, 60, 50, 4, 10, 60, 50, 0, 0, 1, 0x8B)
    assert frame_header(siz) == FrameHeader(marker=0x51, bits=12, width=56, height=40)
    assert frame_header(siz[:20]) is None
