"""Small files that would grow: decompression bombs and headers that promise too much. Made on the fly."""

import gzip
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image
from pydicom import uid

from tests.imaging.make_films import chunk, dicom, encode, png_header, with_frame, written
from tests.imaging.make_films import dataset as data_set

from .films import drawn

MEBIBYTE = 1024 * 1024


def zeros(mebibytes: int, *, raw: bool = False) -> bytes:
    """Deflate so many MiB of zeros without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS if raw else zlib.MAX_WBITS)
    block = bytes(MEBIBYTE)
    return b"".join(packer.compress(block) for _ in range(mebibytes)) + packer.flush()


def png_of_zeros(width: int, height: int) -> bytes:
    """A valid grey PNG of one value (F1)."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png_header(width, height) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def png_with(kind: bytes, content: bytes) -> bytes:
    """A good PNG with one more chunk behind its header."""
    good = encode(drawn(), "PNG")
    return good[:33] + chunk(kind, content) + good[33:]


def png_that_inflates_further(mebibytes: int) -> bytes:
    """A PNG of 128 x 128 whose compressed data hold far more rows than the header says."""
    return png_header(128, 128) + chunk(b"IDAT", zeros(mebibytes)) + chunk(b"IEND", b"")


def many_frames(file_format: str, count: int) -> bytes:
    frames = [Image.new("L", (100, 100), index % 256) for index in range(count)]
    return encode(frames[0], file_format, save_all=True, append_images=frames[1:])


def tiff_loop() -> bytes:
    """A TIFF whose directory names itself as the next one."""
    tags = [(256, 3, 100), (257, 3, 100), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 200), (278, 3, 100)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 8) + bytes(10_200)


def jpeg_header(width: int, height: int) -> bytes:
    """A good JPEG whose frame header was rewritten."""
    data = bytearray(encode(drawn(), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def j2k_tiles() -> bytes:
    """A JPEG 2000 frame of 128 x 128 in tiles of 1 x 1 that lie on a grid of 2^31."""
    siz = struct.pack(">HHIIIIIIIIHBBB", 41, 0, 2**31 - 1, 2**31 - 1, 0, 0, 1, 1, 0, 0, 1, 7, 1, 1)
    stream = b"\xff\x4f\xff\x51" + siz + bytes(200) + b"\xff\xd9"
    return with_frame(stream, drawn(), uid.JPEG2000Lossless)


def j2k_small_tiles() -> bytes:
    """A JPEG 2000 frame that keeps to its size but is cut into tiles of one pixel."""
    siz = struct.pack(">HHIIIIIIIIHBBB", 41, 0, 128, 128, 0, 0, 1, 1, 0, 0, 1, 7, 1, 1)
    cod = b"\xff\x52" + struct.pack(">HBBHBBBBBB", 12, 0, 0, 1, 0, 5, 4, 4, 0, 1)
    qcd = b"\xff\x5c" + struct.pack(">HB", 19, 0x40) + bytes(16)
    return with_frame(
        b"\xff\x4f\xff\x51" + siz + cod + qcd + bytes(200) + b"\xff\xd9", drawn(), uid.JPEG2000Lossless
    )


def deflated_data_set(mebibytes: int) -> bytes:
    """A deflated DICOM whose data set is zeros (F2)."""
    whole = dicom(drawn(), syntax=uid.DeflatedExplicitVRLittleEndian)
    return whole[: _end_of_meta(whole)] + zeros(mebibytes, raw=True)


def _end_of_meta(whole: bytes) -> int:
    (length,) = struct.unpack_from("<I", whole, 140)  # (0002,0000) is the first element: PS3.10 7.1
    return int(144 + length)


def rle_frame_that_grows() -> bytes:
    """An RLE frame of runs only: 64 times its size."""
    runs = bytes([129, 7]) * 200_000
    return with_frame(struct.pack("<16I", 1, 64, *[0] * 14) + runs, drawn(), uid.RLELossless)


def nested(depth: int) -> bytes:
    """A DICOM with sequences in sequences (F3)."""
    open_item = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    close_item = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    whole = dicom(drawn())
    at = _end_of_meta(whole)
    return whole[:at] + open_item * depth + close_item * depth + whole[at:]


def long_frame_list() -> bytes:
    ds = data_set(drawn(), NumberOfFrames=100_000)
    return written(ds)


def huge_native() -> bytes:
    return dicom(drawn(), Rows=65_535, Columns=65_535)


def zip_of_zeros() -> bytes:
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("film.png", bytes(32 * MEBIBYTE))
    return buffer.getvalue()


def short_lut() -> bytes:
    """A LUT that promises 65,536 entries and holds two."""
    from tests.imaging.make_films import lut_item

    return dicom(drawn(), VOILUTSequence=lut_item(0, 0, 16, np.arange(2, dtype=np.uint16).tobytes()))


BOMBS: dict[str, Callable[[], bytes]] = {
    "png 13,300 x 13,300 of zeros": lambda: png_of_zeros(13_300, 13_300),
    "png 24,999 x 1,000": lambda: png_of_zeros(24_999, 1_000),
    "png 6,000 x 4,167, over the pixels": lambda: png_of_zeros(6_000, 4_167),
    "png 6,000 x 1,999, over the aspect": lambda: png_of_zeros(6_000, 1_999),
    "png with rows that go on": lambda: png_that_inflates_further(128),
    "png zTXt of 96 MiB": lambda: png_with(b"zTXt", b"Comment\0\0" + zeros(96)),
    "png iTXt of 96 MiB": lambda: png_with(b"iTXt", b"Comment\0\1\0\0\0" + zeros(96)),
    "png iCCP of 96 MiB": lambda: png_with(b"iCCP", b"icc\0\0" + zeros(96)),
    "png with a chunk of 2 GiB": lambda: encode(drawn(), "PNG")[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT",
    "gif of 2,000 frames": lambda: many_frames("GIF", 2_000),
    "apng of 500 frames": lambda: many_frames("PNG", 500),
    "webp of 100 frames": lambda: many_frames("WEBP", 100),
    "tiff of 500 frames": lambda: many_frames("TIFF", 500),
    "tiff directory loop": tiff_loop,
    "jpeg 65,535 x 65,535": lambda: jpeg_header(65_535, 65_535),
    "jpeg 5,999 x 4,100 of little data": lambda: jpeg_header(5_999, 4_100),
    "j2k tiles of a grid of 2^31": j2k_tiles,
    "j2k tiles of one pixel": j2k_small_tiles,
    "dicom deflated 1 : 1000": lambda: deflated_data_set(128),
    "dicom rle that grows": rle_frame_that_grows,
    "dicom 65,535 x 65,535 x 3": huge_native,
    "dicom 100,000 frames": long_frame_list,
    "dicom nested 200 deep": lambda: nested(200),
    "dicom nested 5,000 deep": lambda: nested(5_000),
    "dicom lut without entries": short_lut,
    "zip": zip_of_zeros,
    "gzip of a png": lambda: gzip.compress(encode(drawn(), "PNG")),
}
"""Name -> maker. Each must be refused, or read as the good picture that it also is, in bounded memory."""

HARMLESS = frozenset({"png with rows that go on", "dicom rle that grows", "tiff directory loop"})
"""A whole picture with something behind it that nobody decodes: it may be read, if that costs nothing."""
