from pathlib import Path

import numpy as np
import pytest
from pydicom import uid
from pydicom.data import get_testdata_file

from hilum.domain.errors import UnreadableImage
from hilum.imaging.intake import read_radiograph

from .make_films import (
    PATIENT,
    colour,
    compressed,
    dataset,
    dicom,
    film,
    jpeg_dicom,
    jpeg_frame,
    luma,
    with_frame,
    written,
)

GREY, RGB = film(), colour()
DEEP = GREY.astype(np.uint16) * 16  # 12 bits: 320 to 3328
FULL = {
    "WindowCenter": 2040.5,
    "WindowWidth": 4081,
}  # LINEAR: value v becomes v / 4080 * 255, so 16 g becomes g
BYTE = {"WindowCenter": 128, "WindowWidth": 256}  # LINEAR: value v becomes v

EXACT = {
    "implicit": dicom(DEEP, syntax=uid.ImplicitVRLittleEndian, BitsStored=12, **FULL),
    "explicit": dicom(DEEP, BitsStored=12, **FULL),
    "big endian": dicom(DEEP, syntax=uid.ExplicitVRBigEndian, BitsStored=12, **FULL),
    "deflated": dicom(DEEP, syntax=uid.DeflatedExplicitVRLittleEndian, BitsStored=12, **FULL),
    "rle": compressed(DEEP, uid.RLELossless, BitsStored=12, **FULL),
    "jpeg-ls": compressed(DEEP, uid.JPEGLSLossless, BitsStored=12, **FULL),
    "jpeg 2000": compressed(DEEP, uid.JPEG2000Lossless, BitsStored=12, **FULL),
    "8 bit": dicom(GREY, **BYTE),
    "8 bit rle": compressed(GREY, uid.RLELossless, **BYTE),
    "monochrome1": dicom(255 - GREY, PhotometricInterpretation="MONOCHROME1", **BYTE),
    "signed": dicom(
        DEEP.astype(np.int16) - 2048, BitsStored=12, WindowCenter=2040.5 - 2048, WindowWidth=4081
    ),
    "rescaled": dicom(DEEP, BitsStored=12, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=3980.5,
                      WindowWidth=8161),
    "several windows": dicom(DEEP, BitsStored=12, WindowCenter=[2040.5, 10], WindowWidth=[4081, 20]),
    "high bit": dicom(DEEP << 4, BitsStored=12, HighBit=15, **FULL),
    "overlay in unused bits": dicom(DEEP | 0x8000, BitsStored=12, **FULL),
    "empty number of frames": dicom(GREY, NumberOfFrames="", **BYTE),
}  # fmt: skip


@pytest.mark.parametrize("case", EXACT)
def test_every_encoding_gives_the_known_picture(case: str) -> None:
    radiograph = read_radiograph(EXACT[case])
    np.testing.assert_array_equal(radiograph.pixels, GREY)
    facts = radiograph.facts
    assert (facts.format, facts.width, facts.height) == ("DICOM", 56, 40)
    assert facts.bits == (8 if EXACT[case] in (EXACT["8 bit"], EXACT["8 bit rle"]) else facts.bits)


def test_jpeg_baseline_equals_its_frame() -> None:
    jpeg = read_radiograph(jpeg_frame(GREY)).pixels
    np.testing.assert_array_equal(read_radiograph(jpeg_dicom(GREY, **BYTE)).pixels, jpeg)
    inverted = jpeg_dicom(GREY, PhotometricInterpretation="MONOCHROME1", **BYTE)
    np.testing.assert_array_equal(read_radiograph(inverted).pixels, 255 - jpeg)


def test_colour_becomes_luma() -> None:
    np.testing.assert_allclose(read_radiograph(dicom(RGB)).pixels, luma(RGB), atol=1)
    deep = RGB.astype(np.uint16) * 257
    radiograph = read_radiograph(dicom(deep))
    np.testing.assert_allclose(radiograph.pixels, luma(RGB), atol=1)
    assert (radiograph.facts.photometric, radiograph.facts.bits) == ("RGB", 16)


def test_palette_becomes_luma() -> None:
    ds = dataset(GREY, PhotometricInterpretation="PALETTE COLOR")
    for channel in ("Red", "Green", "Blue"):
        setattr(ds, f"{channel}PaletteColorLookupTableDescriptor", [256, 0, 16])
        table = np.arange(256, dtype=np.uint16)[::-1] * 257
        setattr(ds, f"{channel}PaletteColorLookupTableData", table.tobytes())
    np.testing.assert_allclose(read_radiograph(written(ds)).pixels, 255 - GREY, atol=1)


@pytest.mark.parametrize("prefix", [b"", b"DICM"])
def test_a_file_without_preamble_is_read(prefix: bytes) -> None:
    np.testing.assert_array_equal(read_radiograph(prefix + dicom(GREY, **BYTE)[132:]).pixels, GREY)


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
def test_a_bare_data_set_is_read(syntax: str) -> None:
    ds = dataset(DEEP, syntax=syntax, BitsStored=12, Modality="DX", **FULL)
    data = written(ds)
    start = data.index(b"\x00\x08\x00\x60" if syntax == uid.ExplicitVRBigEndian else b"\x08\x00\x60\x00")
    np.testing.assert_array_equal(read_radiograph(data[start:]).pixels, GREY)


REFUSED = {
    "no pixels": (dicom(GREY, PixelData=None), "holds no image"),
    "no rows": (dicom(GREY, Rows=None), "holds no image"),
    "zero rows": (dicom(GREY, Rows=0), "the header says 56x0 px"),
    "giant": (dicom(GREY, Rows=65_535, Columns=65_535), "the header says 65535x65535 px"),
    "two rows": (dicom(GREY, Rows=[40, 40]), "attribute Rows is missing or not one whole number"),
    "frames": (dicom(GREY, NumberOfFrames=2), "(0028,0008) NumberOfFrames is 2; exactly 1 is allowed"),
    "1 bit": (dicom(GREY, BitsStored=1), "(0028,0101) BitsStored is 1; 8 to 16"),
    "stored above allocated": (dicom(GREY, BitsStored=12), "(0028,0101) BitsStored is 12; 8 to 16"),
    "no bits": (dicom(GREY, BitsStored=None, BitsAllocated=None, HighBit=None), "one of them is needed"),
    "packed": (dicom(GREY, BitsAllocated=12), "(0028,0100) BitsAllocated is 12; 8, 16 or 32"),
    "photometric": (dicom(GREY, PhotometricInterpretation="HSV"), "(0028,0004) PhotometricInterpretation"),
    "samples": (dicom(GREY, SamplesPerPixel=3), "SamplesPerPixel is 3; MONOCHROME2 needs 1"),
    "more rows than pixels": (dicom(GREY, Rows=41), "truncated or damaged"),
    "half the rows of the pixels": (dicom(GREY, Rows=20), "make 1120 bytes, the pixel data are 2240;"),
    "half the rows of the colour pixels": (
        dicom(RGB, Rows=20),
        "header make 3360 bytes, the pixel data are 6720; the two must agree",
    ),
    "planar": (dicom(RGB, PlanarConfiguration=2), "attribute PlanarConfiguration is 2; 0 or 1 is allowed"),
    "a report": (dicom(GREY, Rows=None, PixelData=None), "holds no image"),
    "cut in the header": (dicom(GREY, PixelData=None)[:-3], "truncated or damaged"),
    "floats": (dicom(GREY).replace(b"\xe0\x7f\x10\x00", b"\xe0\x7f\x08\x00"), "floating-point numbers"),
    "mpeg": (
        with_frame(b"mpeg", GREY, uid.MPEG2MPML),
        "transfer syntax is MPEG2 Main Profile / Main Level; allowed",
    ),
    "private syntax": (
        with_frame(b"stream", GREY, "1.2.3.4.5"),
        "transfer syntax is not a registered one; allowed",
    ),
    "12-bit jpeg": (
        Path(str(get_testdata_file("JPEG-lossy.dcm", download=False))).read_bytes(),
        "the DICOM pixels are 12-bit JPEG Extended; of lossy JPEG only 8 bits are decoded",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_attribute_and_no_patient(case: str) -> None:
    data, words = REFUSED[case]
    with pytest.raises(UnreadableImage) as refused:
        read_radiograph(data, name="film.dcm")
    message = str(refused.value)
    assert words in message
    assert message.startswith("film.dcm: ")
    assert "\n" not in message
    assert PATIENT not in message
    assert refused.value.__cause__ is None


def test_a_frame_of_another_size_than_the_header_is_refused() -> None:
    for frame, reason in (
        (jpeg_frame(GREY[:20]), "compressed frame is 56x20 px, .* say 56x40"),
        (b"\xff\xd8\xff\xd9", "truncated or damaged"),
    ):
        with pytest.raises(UnreadableImage, match=reason):
            read_radiograph(with_frame(frame, GREY, uid.JPEGBaseline8Bit))


@pytest.mark.parametrize("percent", range(10, 100, 10))
def test_a_cut_jpeg_frame_closed_with_an_end_marker_is_refused(percent: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    frame = jpeg_frame(pixels)
    cut = frame[: len(frame) * percent // 100] + b"\xff\xd9"
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(with_frame(cut, pixels, uid.JPEGBaseline8Bit))


def test_a_cut_stream_without_end_marker_is_refused() -> None:
    ds = dataset(DEEP, BitsStored=12)
    ds.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    at = ds.PixelData.index(b"\xff\x4f\xff\x51")
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(with_frame(ds.PixelData[at : at + 150], DEEP, uid.JPEG2000Lossless, BitsStored=12))


def test_a_jpeg_2000_frame_of_one_grey_value_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(compressed(np.zeros_like(DEEP), uid.JPEG2000Lossless))


def test_jp2_boxes_around_the_codestream_are_taken_off_before_a_decoder_sees_them() -> None:
    ds = dataset(DEEP, BitsStored=12)
    ds.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    end = ds.PixelData.rindex(b"\xff\xd9") + 2
    stream = ds.PixelData[ds.PixelData.index(b"\xff\x4f\xff\x51") : end]
    boxed = b"\0\0\0\x0cjP  \r\n\x87\n" + (8 + len(stream)).to_bytes(4, "big") + b"jp2c" + stream
    bare, found = (
        read_radiograph(with_frame(one, DEEP, uid.JPEG2000Lossless, BitsStored=12)) for one in (stream, boxed)
    )
    np.testing.assert_array_equal(found.pixels, bare.pixels)
    assert np.ptp(found.pixels) > 0


def test_deep_nesting_is_refused() -> None:
    open_item = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(dicom(GREY)[:132] + open_item * 5000)


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG1_J2KR.dcm"])
def test_a_real_chest_film_comes_out_with_dark_air(name: str) -> None:
    radiograph = read_radiograph(Path(str(get_testdata_file(name, download=False))))
    pixels = radiograph.pixels
    assert (radiograph.facts.width, radiograph.facts.height, radiograph.facts.bits) == (1841, 1955, 15)
    assert radiograph.facts.photometric == "MONOCHROME1"
    lung, spine, outside = pixels[400:600, 1200:1350], pixels[500:900, 900:950], pixels[:30, :30]
    assert outside.mean() < lung.mean() < spine.mean() - 40


@pytest.mark.parametrize("name", ["JPEG-LL.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm",
                                  "JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm"])  # fmt: skip
def test_other_compressed_syntaxes_decode(name: str) -> None:
    radiograph = read_radiograph(Path(str(get_testdata_file(name, download=False))))
    assert radiograph.pixels.std() > 10
