import io

import numpy as np
import pytest
from PIL import Image

from hilum.domain.errors import DamagedImage, UnsupportedCoding
from hilum.imaging.headers import FrameHeader
from hilum.imaging.intake import read_radiograph
from hilum.imaging.jpeg_stream import is_sent_in_full, undecoded_coding, without_extraneous_bytes

from .make_films import encode, jpeg_frame

NOISE = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
OPTIONS = {
    "grey": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "colour": {},
    "cmyk": {},
}


def picture(kind: str) -> bytes:
    image = Image.fromarray(NOISE).convert({"colour": "RGB", "cmyk": "CMYK"}.get(kind, "L"))
    return encode(image, "JPEG", quality=90, **OPTIONS[kind])


EXTRANEOUS = {
    "zeros before the end": (b"\xff\xd9", bytes(12)),
    "one zero before the end": (b"\xff\xd9", bytes(1)),
    "zeros before the tables": (b"\xff\xdb", bytes(2)),
    "bytes before the tables": (b"\xff\xdb", b"abc\xff\0z"),
    "zeros before the frame": (b"\xff\xc4", bytes(5)),
    "bytes before the scan": (b"\xff\xda", b"\x11\x22\x33"),
    "fill bytes before the scan": (b"\xff\xda", b"\xff\xff"),
}


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("where", EXTRANEOUS)
def test_a_whole_picture_with_bytes_that_do_not_belong_there_is_read(kind: str, where: str) -> None:
    data = picture(kind)
    marker, junk = EXTRANEOUS[where]
    at = data.rindex(marker) if marker == b"\xff\xd9" else data.index(marker)
    read = read_radiograph(data[:at] + junk + data[at:])
    np.testing.assert_array_equal(read.pixels, read_radiograph(data).pixels)
    assert read.facts.file_bytes == len(data) + len(junk)


def test_zeros_before_a_restart_marker_are_padding() -> None:
    data = picture("restarts")
    at = data.index(b"\xff\xd0", data.index(b"\xff\xda"))
    np.testing.assert_array_equal(
        read_radiograph(data[:at] + bytes(3) + data[at:]).pixels, read_radiograph(data).pixels
    )


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("tail", [b"", bytes(2), bytes(200), bytes(20_000), b"\xff" * 5, b"\x11" * 7])
def test_a_cut_picture_closed_with_an_end_marker_is_refused_whatever_lies_before_it(
    kind: str, tail: bytes
) -> None:
    data = picture(kind)
    start = data.index(b"\xff\xda") + 20
    for percent in range(5, 100, 5):
        cut = data[: start + (len(data) - start) * percent // 100] + tail + b"\xff\xd9"
        with pytest.raises(DamagedImage, match="truncated or damaged"):
            read_radiograph(cut)


def test_a_progressive_picture_cut_between_two_scans_is_refused() -> None:
    data = picture("progressive")
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for scan in scans[1:]:
        tables = data.rindex(b"\xff\xc4", 0, scan)  # those of the scan lie before it
        cut = data[:tables] + b"\xff\xd9"
        with Image.open(io.BytesIO(cut)) as accepted:
            accepted.load()  # libjpeg has nothing against it
        assert not is_sent_in_full(cut)
        with pytest.raises(DamagedImage, match="truncated or damaged"):
            read_radiograph(cut)
    assert is_sent_in_full(data)


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_sound_stream_stays_as_it_is(kind: str) -> None:
    data = picture(kind)
    assert without_extraneous_bytes(data) == data
    assert without_extraneous_bytes(data + b"behind the end") == data


def test_a_stuffed_zero_at_the_end_of_coded_data_stays() -> None:
    stream = b"\xff\xd8\xff\xda\0\2\x01\xff\0" + b"\0\0" + b"\xff\xd9"
    assert without_extraneous_bytes(stream) == b"\xff\xd8\xff\xda\0\2\x01\xff\0\xff\xd9"


@pytest.mark.parametrize(
    "stream",
    [
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xff",
        b"\xff\xd8\xff\xe0",
        b"\xff\xd8\xff\xe0\0",
        b"\xff\xd8\xff\0",
    ],
)
def test_a_stream_that_ends_early_comes_out_no_longer(stream: bytes) -> None:
    assert stream.startswith(without_extraneous_bytes(stream))


def test_coded_data_without_an_end_are_kept() -> None:
    assert without_extraneous_bytes(b"\xff\xd8\xff\xda\0\2abc") == b"\xff\xd8\xff\xda\0\2abc"


@pytest.mark.parametrize(
    ("marker", "bits", "words"),
    [
        (0xC0, 8, None),
        (0xC2, 8, None),
        (0xC9, 8, None),
        (0xC1, 12, "12-bit JPEG"),
        (0xC3, 16, "16-bit lossless JPEG"),
        (0xCB, 8, "8-bit lossless JPEG"),
        (0xC5, 8, "hierarchical JPEG"),
        (0xF7, 8, "JPEG-LS"),
    ],
)
def test_codings_that_are_not_decoded_have_a_name(marker: int, bits: int, words: str | None) -> None:
    assert undecoded_coding(FrameHeader(marker=marker, bits=bits, width=9, height=9)) == words


@pytest.mark.parametrize(
    ("marker", "bits", "words"),
    [(0xC1, 12, "12-bit JPEG"), (0xCB, 12, "12-bit lossless JPEG"), (0xF7, 8, "JPEG-LS")],
)
def test_a_whole_file_in_another_coding_is_refused_for_that(marker: int, bits: int, words: str) -> None:
    data = bytearray(jpeg_frame(NOISE))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, bits
    with pytest.raises(UnsupportedCoding) as refused:
        read_radiograph(bytes(data), name="film.jpg")
    assert str(refused.value) == (
        f"film.jpg: this is {words}; of JPEG files, 8-bit baseline and progressive pictures and lossless grey"
        " ones are decoded. Export the film as PNG, TIFF or DICOM."
    )


def test_pillow_would_take_the_cut_picture() -> None:
    data = picture("grey")
    with Image.open(io.BytesIO(data[: len(data) // 2] + b"\xff\xd9")) as accepted:
        accepted.load()  # that is why the check exists
