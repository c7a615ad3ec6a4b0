import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame

from hilum.domain.errors import UnreadableImage, UnsupportedFormat
from hilum.imaging.dicom_frame import read_pixel_element
from hilum.imaging.intake import read_radiograph

from .make_films import (
    colour,
    compressed,
    dicom,
    encode,
    film,
    items,
    jpeg_frame,
    lossless_jpeg,
    luma,
    relabelled,
    stream_of,
    with_element,
    with_frame,
)

GREY, RGB = film(), colour()
DEEP = GREY.astype(np.uint16) * 16
FULL = {"BitsStored": 12, "WindowCenter": 2040.5, "WindowWidth": 4081}
BYTE = {"WindowCenter": 128, "WindowWidth": 256}
END = b"\xff\xd9"
JPEG = jpeg_frame(GREY)
STREAMS = {
    uid.JPEGLSLossless: stream_of(DEEP, uid.JPEGLSLossless, BitsStored=12),
    uid.JPEG2000Lossless: stream_of(DEEP, uid.JPEG2000Lossless, BitsStored=12),
}
LABELS = [
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGBaseline8Bit,
    uid.JPEGLosslessSV1,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    "1.2.840.10008.1.2.4.52",  # a retired process
]


def lossless_stream() -> tuple[bytes, NDArray[np.uint8]]:
    """Return a JPEG Lossless stream of pydicom's test data, and an array of its size."""
    ds = dcmread(str(get_testdata_file("JPGLosslessP14SV1_1s_1f_8b.dcm", download=False)))
    like = np.zeros((ds.Rows, ds.Columns), np.uint8)
    return get_frame(ds.PixelData, 0, number_of_frames=1).rstrip(b"\0"), like


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("syntax", STREAMS)
def test_a_stream_is_decoded_as_what_it_is_whatever_its_label(syntax: str, label: str) -> None:
    data = with_frame(STREAMS[syntax], DEEP, label, **FULL)
    np.testing.assert_array_equal(read_radiograph(data).pixels, GREY)


@pytest.mark.parametrize("label", LABELS)
def test_a_dct_stream_is_decoded_as_what_it_is_whatever_its_label(label: str) -> None:
    expected = read_radiograph(JPEG).pixels
    np.testing.assert_array_equal(read_radiograph(with_frame(JPEG, GREY, label, **BYTE)).pixels, expected)


def test_a_lossless_jpeg_is_decoded_under_the_label_of_baseline() -> None:
    stream, like = lossless_stream()
    found, right = (
        read_radiograph(with_frame(stream, like, label)).pixels
        for label in (uid.JPEGBaseline8Bit, uid.JPEGLosslessSV1)
    )
    np.testing.assert_array_equal(found, right)
    assert np.ptp(found) > 0


@pytest.mark.parametrize("stream", [JPEG, STREAMS[uid.JPEG2000Lossless]], ids=["jpeg", "jpeg 2000"])
def test_a_stream_in_a_value_of_defined_length_is_decoded(stream: bytes) -> None:
    deep = stream != JPEG
    data = with_element(dicom(DEEP if deep else GREY, **(FULL if deep else BYTE)), stream)
    np.testing.assert_allclose(read_radiograph(data).pixels, GREY, atol=6 if stream == JPEG else 0)


@pytest.mark.parametrize("label", [uid.JPEGBaseline8Bit, uid.RLELossless, uid.JPEG2000])
def test_plain_pixels_under_the_label_of_a_compressed_syntax_are_read(label: str) -> None:
    np.testing.assert_array_equal(read_radiograph(relabelled(dicom(DEEP, **FULL), label)).pixels, GREY)


@pytest.mark.parametrize("label", [uid.ExplicitVRLittleEndian, uid.JPEG2000])
def test_rle_segments_are_decoded_under_another_label(label: str) -> None:
    frame = stream_of(DEEP, uid.RLELossless, BitsStored=12)
    np.testing.assert_array_equal(read_radiograph(with_frame(frame, DEEP, label, **FULL)).pixels, GREY)


@pytest.mark.parametrize("fragment", [b"nothing known" * 20, b"short"])
def test_fragments_of_no_known_coding_are_refused(fragment: bytes) -> None:
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(with_frame(fragment, GREY, uid.ExplicitVRLittleEndian))
    with pytest.raises(UnsupportedFormat, match="not a registered one"):
        read_radiograph(with_frame(fragment, GREY, "1.2.3.4"))


@pytest.mark.parametrize("syntax", STREAMS)
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("table", [(b"",), ()], ids=["offset table", "no offset table"])
def test_a_missing_delimiter_and_offset_table_cost_nothing(
    syntax: str, parts: int, table: tuple[bytes]
) -> None:
    stream = STREAMS[syntax] + b"\0" * (-len(STREAMS[syntax]) % (2 * parts))
    size = len(stream) // parts
    fragments = [stream[at : at + size] for at in range(0, len(stream), size)]
    data = with_element(
        with_frame(b"\0\0", DEEP, syntax, **FULL), items(*table, *fragments), undefined_length=True
    )
    np.testing.assert_array_equal(read_radiograph(data).pixels, GREY)


def test_bytes_that_look_like_a_delimiter_end_no_fragment() -> None:
    body = items(b"", b"ab\xfe\xff\xdd\xe0\0\0\0\0cd") + b"\xfe\xff\xdd\xe0\0\0\0\0"
    data = with_element(dicom(GREY), body, undefined_length=True)
    element = read_pixel_element(data, data.index(b"\xe0\x7f\x10\0"), is_little=True)
    assert element is not None
    assert (element.value, element.is_encapsulated) == (b"ab\xfe\xff\xdd\xe0\0\0\0\0cd", True)


def test_another_element_is_no_pixel_data() -> None:
    data = dicom(GREY)
    assert read_pixel_element(data, 132, is_little=True) is None
    assert read_pixel_element(data, data.index(b"\xe0\x7f\x10\0"), is_little=False) is None


@pytest.mark.parametrize("extra", [b"\0" * 20, b"\0" * 64, b"\xff\xff\0\0 padding by a writer "])
@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, *STREAMS])
def test_bytes_behind_the_end_marker_are_left_out(syntax: str, extra: bytes) -> None:
    if syntax == uid.JPEGBaseline8Bit:
        found, expected = (
            read_radiograph(with_frame(JPEG + more, GREY, syntax, **BYTE)).pixels for more in (extra, b"")
        )
        np.testing.assert_array_equal(found, expected)
        return
    data = with_frame(STREAMS[syntax] + extra, DEEP, syntax, **FULL)
    np.testing.assert_array_equal(read_radiograph(data).pixels, GREY)


@pytest.mark.parametrize("zeros", [1, 2, 40])
@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, *STREAMS])
def test_zeros_before_the_end_marker_are_left_out(syntax: str, zeros: int) -> None:
    is_dct = syntax == uid.JPEGBaseline8Bit
    stream = JPEG if is_dct else STREAMS[syntax]
    padded = stream.removesuffix(END) + b"\0" * zeros + END
    stored, window = (GREY, BYTE) if is_dct else (DEEP, FULL)
    found, expected = (
        read_radiograph(with_frame(one, stored, syntax, **window)).pixels for one in (padded, stream)
    )
    np.testing.assert_array_equal(found, expected)


def test_zeros_around_the_end_of_a_lossless_jpeg_are_left_out() -> None:
    stream, like = lossless_stream()
    plain = read_radiograph(with_frame(stream, like, uid.JPEGLosslessSV1)).pixels
    for padded in (stream + b"\0" * 40, stream.removesuffix(END) + b"\0\0" + END):
        np.testing.assert_array_equal(
            read_radiograph(with_frame(padded, like, uid.JPEGLosslessSV1)).pixels, plain
        )


@pytest.mark.parametrize("percent", [10, 50, 90])
@pytest.mark.parametrize("zeros", [0, 4])
@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, uid.JPEGLSLossless, uid.JPEGLosslessSV1])
def test_a_scan_that_ends_early_stays_refused_with_zeros_and_an_end_marker(
    syntax: str, percent: int, zeros: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    if syntax == uid.JPEGLosslessSV1:
        stream = lossless_jpeg(noise)
    else:
        stream = jpeg_frame(noise) if syntax == uid.JPEGBaseline8Bit else stream_of(noise, syntax)
    cut = stream[: len(stream) * percent // 100] + b"\0" * zeros + END
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(with_frame(cut, noise, syntax))


@pytest.mark.parametrize("planar", [0, 1])
def test_a_missing_planar_configuration_is_found_out(planar: int) -> None:
    stored = RGB.transpose(2, 0, 1) if planar else RGB
    data = dicom(RGB, PlanarConfiguration=None, PixelData=np.ascontiguousarray(stored).tobytes())
    np.testing.assert_allclose(read_radiograph(data).pixels, luma(RGB), atol=1)


def test_colour_of_half_resolution_is_read() -> None:
    pixels = np.empty((40, 28, 4), np.uint8)
    pixels[..., 0], pixels[..., 1] = GREY[:, ::2], GREY[:, 1::2]
    pixels[..., 2:] = 128
    data = dicom(RGB, PhotometricInterpretation="YBR_FULL_422", PixelData=pixels.tobytes())
    np.testing.assert_allclose(read_radiograph(data).pixels, GREY, atol=1)
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(dicom(RGB, PhotometricInterpretation="YBR_FULL_422", PixelData=pixels.tobytes()[:-2]))


def test_the_last_pixel_must_be_there() -> None:
    whole = dicom(GREY)
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(whole[:-1])
    np.testing.assert_array_equal(
        read_radiograph(whole + struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 0)).pixels,
        read_radiograph(whole).pixels,
    )


def test_colour_in_a_compressed_frame_needs_no_planar_configuration() -> None:
    data = compressed(RGB, uid.RLELossless)
    np.testing.assert_allclose(read_radiograph(data).pixels, luma(RGB), atol=1)


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    stream = encode(GREY, "JPEG", progressive=True, quality=95)
    whole = read_radiograph(with_frame(stream, GREY, uid.JPEGBaseline8Bit, **BYTE)).pixels
    np.testing.assert_allclose(whole, GREY, atol=6)
    cut = stream[: stream.rindex(b"\xff\xda")] + END
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(with_frame(cut, GREY, uid.JPEGBaseline8Bit))


def test_bytes_between_the_segments_of_a_jpeg_are_left_out() -> None:
    at = JPEG.index(b"\xff\xdb")
    spoilt = JPEG[:at] + b"\0\0" + JPEG[at:]
    found, expected = (
        read_radiograph(with_frame(stream, GREY, uid.JPEGBaseline8Bit, **BYTE)).pixels
        for stream in (spoilt, JPEG)
    )
    np.testing.assert_array_equal(found, expected)


def test_a_grey_jpeg_in_a_header_of_colour_is_read() -> None:
    found = read_radiograph(with_frame(JPEG, RGB, uid.JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_array_equal(found.pixels, read_radiograph(JPEG).pixels)


@pytest.mark.parametrize(
    ("marker", "words"),
    [(0xC9, "arithmetic-coded JPEG"), (0xC5, "hierarchical JPEG"), (0xCB, "lossless JPEG")],
)
def test_codings_without_a_decoder_are_named(marker: int, words: str) -> None:
    stream = JPEG.replace(b"\xff\xc0", bytes([0xFF, marker]))
    with pytest.raises(UnsupportedFormat, match=f"the DICOM pixels are .*{words}, which is not decoded"):
        read_radiograph(with_frame(stream, GREY, uid.JPEGBaseline8Bit))
