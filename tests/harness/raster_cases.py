"""Polyglots, foreign formats and every mode of PNG and JPEG as tables; outcomes as in `dicom_cases`.

One word more: "white" is a picture whose grey values saturate, which must never pass as a film.
"""

import io
import struct
import zipfile
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from tests.imaging.make_films import chunk, dicom, encode, rotated

from .dicom_cases import Case
from .films import drawn

PROGRAMS = {
    "PE": b"MZ\x90\0",
    "ELF": b"\x7fELF\x02\x01\x01",
    "Mach-O": b"\xcf\xfa\xed\xfe",
    "Mach-O of 32 bits": b"\xce\xfa\xed\xfe",
    "universal Mach-O": b"\xca\xfe\xba\xbe",
}
SCRIPT = b"<script>alert(document.cookie)</script>"
FOREIGN = {
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1/x"/></svg>',
    "SVG behind a declaration": b'<?xml version="1.0"?><svg/>',
    "entity bomb": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>',
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n(/etc/passwd) run\n",
    "PDF": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n",
    "FITS": b"SIMPLE  =                    T".ljust(2880),
    "ICO": struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, 40, 22) + bytes(40),
    "PSD": b"8BPS\0\x01" + bytes(60),
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60),
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(60),
    "MP4": b"\0\0\0\x18ftypmp42" + bytes(60),
    "gzip": b"\x1f\x8b\x08\0" + bytes(40),
    "7-Zip": b"7z\xbc\xaf\x27\x1c" + bytes(40),
    "pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "NumPy": b"\x93NUMPY\x01\0v\0" + bytes(120),
    "HTML": b"<!DOCTYPE html><html>" + SCRIPT,
    "JSON": b'{"file": "film.png"}',
    "shell script": b"#!/bin/sh\nexit 0\n",
    "WMF": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "PCX": b"\x0a\x05\x01\x08" + bytes(200),
    "TGA": bytes([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 100, 0, 24, 0]) + bytes(400),
    "JPEG XL": b"\xff\x0a" + bytes(60),
    "bare JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
    "DDS": b"DDS " + bytes(124),
    "MPO of nothing": b"\xff\xd8\xff\xe2" + bytes(60),
    "empty": b"",
    "one byte": b"\x89",
    "zeros": bytes(4096),
    "text": b"not an image at all\n" * 40,
}


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../film.png", b"film")
    return buffer.getvalue()


def polyglots() -> Iterator[Case]:
    """Test A7."""
    png, jpeg = encode(drawn(), "PNG"), encode(drawn(), "JPEG", quality=100)
    film = dicom(drawn(), WindowCenter=128, WindowWidth=256, Modality="DX")
    for name, magic in PROGRAMS.items():
        yield f"{name} in the DICOM preamble", magic.ljust(128, b"\0") + film[128:], "refused"
        yield name, magic + bytes(400), "format"
    for name, head in (
        ("PDF", b"%PDF-1.7"),
        ("HTML", SCRIPT),
        ("ZIP", b"PK\x03\x04"),
        ("shell", b"#!/bin/sh\n"),
    ):
        yield f"{name} in the DICOM preamble", head.ljust(128, b"\0") + film[128:], "same"
    yield "PNG with a zip behind", png + _zip(), "same"
    yield "PNG with a script behind", png + SCRIPT, "same"
    yield "JPEG with a zip behind", jpeg + _zip(), "close"
    comment = b"<?php system($_GET[0]);?>"
    marked = b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment
    yield "JPEG with a PHP comment", jpeg[:2] + marked + jpeg[2:], "close"
    yield "PNG with a script in a chunk", png[:33] + chunk(b"tEXt", b"a\0" + SCRIPT) + png[33:], "same"
    yield "PNG that goes on as a JPEG", png[:200] + jpeg[200:], "refused"
    yield "JPEG magic before a PNG", b"\xff\xd8\xff" + png[3:], "refused"
    yield "PNG magic before a JPEG", png[:8] + jpeg[8:], "refused"
    yield "DICM at 128 of a PNG", png[:128] + b"DICM" + png[132:], "refused"
    yield "zip", _zip(), "format"
    for name, data in FOREIGN.items():
        yield name, data, "refused" if name == "MPO of nothing" else "format"
    for kind in ("GIF", "TIFF", "BMP", "WEBP", "PPM", "ICO", "PCX", "TGA", "JPEG2000"):
        yield f"a whole {kind}", encode(drawn(), kind), "format"


def _gamma(data: bytes) -> bytes:
    return data[:33] + chunk(b"gAMA", struct.pack(">I", 45_455)) + data[33:]


def _interlaced() -> bytes:
    """The picture as an Adam7 PNG of pass 1 to 7, PNG specification 8.2."""
    import zlib

    grey = drawn()
    steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(
        b"\0" + row.tobytes()
        for top, left, down, right in steps
        for row in np.ascontiguousarray(grey[top::down, left::right])
    )
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 1)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def modes() -> Iterator[Case]:
    """Test A8: one picture in every mode that PNG and JPEG have."""
    grey = drawn()
    image = Image.fromarray(grey)
    full = Image.new("L", image.size, 255)
    yield "png 8", encode(grey, "PNG"), "same"
    yield "png 16", encode(grey.astype(np.uint16) * 257, "PNG"), "same"
    yield "png 16 of few values", encode(grey.astype(np.uint16) * 4, "PNG"), "near"
    yield "png rgb", encode(image.convert("RGB"), "PNG"), "close"
    yield "png opaque rgba", encode(Image.merge("RGBA", [image, image, image, full]), "PNG"), "close"
    yield "png opaque la", encode(Image.merge("LA", [image, full]), "PNG"), "same"
    yield "png palette", encode(image.convert("P"), "PNG"), "close"
    yield "png 1 bit", encode(Image.fromarray(grey > 128), "PNG"), "near"
    yield "png interlaced", _interlaced(), "same"
    yield "png with gamma", _gamma(encode(grey, "PNG")), "same"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield "png with icc", encode(grey, "PNG", icc_profile=icc), "same"
    yield "jpeg", encode(grey, "JPEG", quality=100), "close"
    yield "jpeg progressive", encode(grey, "JPEG", quality=100, progressive=True), "close"
    yield "jpeg rgb", encode(image.convert("RGB"), "JPEG", quality=100), "close"
    yield "jpeg stored as rgb", encode(image.convert("RGB"), "JPEG", quality=100, keep_rgb=True), "close"
    yield "jpeg with icc", encode(grey, "JPEG", quality=100, icc_profile=icc), "close"
    none = Image.new("L", image.size, 0)
    inks = Image.merge("CMYK", [none, none, none, Image.fromarray(255 - grey)])
    yield "jpeg cmyk", encode(inks, "JPEG", quality=100), "close"
    for orientation in range(1, 9):
        yield f"png turned {orientation}", rotated(grey, orientation, "PNG"), "same"
        yield f"jpeg turned {orientation}", rotated(grey, orientation, "JPEG", quality=100), "close"
    yield "apng", encode(image, "PNG", save_all=True, append_images=[full]), "refused"
    yield "png all white", encode(full, "PNG"), "white"
    deep = np.full((128, 128), 65_535, np.uint16)
    deep[:40] = 20_000
    yield "png 16 mostly saturated", encode(deep, "PNG"), "white"


@lru_cache
def raster_cases() -> tuple[Case, ...]:
    return (*polyglots(), *modes())
