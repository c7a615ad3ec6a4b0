"""Damaged bytes of every format: a Radiograph or an UnreadableImage, never anything else."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid

from hilum.domain.errors import UnreadableImage
from hilum.imaging.damage import damaged_message
from hilum.imaging.intake import read_radiograph
from hilum.imaging.radiograph import Radiograph

from .make_films import colour, compressed, dicom, encode, film, jpeg_dicom, lut_item, rotated, tiff

DEEP = film().astype(np.uint16) * 16
SAMPLES = {
    "png": encode(film(), "PNG"),
    "png 16 bit": encode(DEEP, "PNG"),
    "png palette": encode(Image.fromarray(colour()).convert("P"), "PNG"),
    "jpeg": rotated(film(), 6, "JPEG"),
    "jpeg progressive": encode(colour(), "JPEG", progressive=True),
    "jpeg cmyk": encode(Image.fromarray(colour()).convert("CMYK"), "JPEG"),
    "tiff": rotated(film(), 6, "TIFF"),
    "tiff lzw": encode(colour(), "TIFF", compression="tiff_lzw"),
    "tiff float": tiff(film().astype(np.float32)),
    "bmp": encode(film(), "BMP"),
    "webp": encode(colour(), "WEBP"),
    "webp lossless": encode(colour(), "WEBP", lossless=True),
    "dicom explicit": dicom(DEEP, BitsStored=12, WindowCenter=100, WindowWidth=50, PixelPaddingValue=3),
    "dicom implicit": dicom(DEEP, syntax=uid.ImplicitVRLittleEndian, RescaleSlope=2, RescaleIntercept=1),
    "dicom big endian": dicom(DEEP, syntax=uid.ExplicitVRBigEndian),
    "dicom deflated": dicom(DEEP, syntax=uid.DeflatedExplicitVRLittleEndian),
    "dicom voi lut": dicom(film(), VOILUTSequence=lut_item(256, 0, 8, list(range(256)))),
    "dicom colour": dicom(colour()),
    "dicom rle": compressed(DEEP, uid.RLELossless),
    "dicom jpeg": jpeg_dicom(film()),
    "dicom jpeg-ls": compressed(DEEP, uid.JPEGLSLossless),
    "dicom jpeg 2000": compressed(DEEP, uid.JPEG2000Lossless),
}


def read_or_refuse(data: bytes) -> Radiograph | None:
    try:
        return read_radiograph(data, name="film")
    except UnreadableImage as refused:
        message = str(refused)
        assert message.startswith("film: ")
        assert "\n" not in message
        return None


@pytest.mark.parametrize("sample", SAMPLES)
@settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_mutated_files_never_raise_anything_else(sample: str, data: st.DataObject) -> None:
    content = bytearray(SAMPLES[sample])
    header = min(len(content), 700) - 1
    positions = st.integers(0, header) | st.integers(0, len(content) - 1)
    for at, bit in data.draw(st.lists(st.tuples(positions, st.integers(0, 7)), max_size=8)):
        content[at] ^= 1 << bit
    cut = data.draw(st.none() | st.integers(0, len(content)))
    read_or_refuse(bytes(content[:cut]))


@pytest.mark.parametrize("sample", [name for name in SAMPLES if name.startswith("dicom")])
def test_truncated_dicom_is_refused_or_unchanged(sample: str) -> None:
    data = SAMPLES[sample]
    whole = read_radiograph(data).pixels
    for length in range(0, len(data), max(1, len(data) // 120)):
        radiograph = read_or_refuse(data[:length])
        if radiograph is not None:
            np.testing.assert_array_equal(radiograph.pixels, whole)


def test_message_says_what_why_and_the_way_out() -> None:
    assert damaged_message("a.png", "PNG") == (
        "a.png: the PNG data are truncated or damaged; a complete PNG file is needed, since a partly decoded"
        " film could hide the lesion. Copy or export it again."
    )
