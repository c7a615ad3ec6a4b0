import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import uid

from hilum.domain.errors import UnreadableImage
from hilum.imaging.intake import read_radiograph
from hilum.imaging.jpeg_lossless import check_lossless, holds_all_pixels

from .make_films import colour, film, lossless_jpeg, luma, with_frame

GREY = film()
DEEP = (GREY.astype(np.uint16) * 257)[:20]
NOISE = np.random.default_rng(3).integers(0, 65_536, (20, 24), dtype=np.uint16)
END = b"\xff\xd9"


def cut(stream: bytes, by: int) -> bytes:
    """Return a stream without the last bytes of its scan, closed with an end marker."""
    return stream[: -2 - by] + END


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("restart_rows", [0, 4])
def test_a_whole_scan_is_read_and_a_shorter_one_refused(predictor: int, restart_rows: int) -> None:
    stream = lossless_jpeg(GREY[:20], predictor=predictor, restart_rows=restart_rows)
    file = with_frame(stream, GREY[:20], uid.JPEGLossless, WindowCenter=128, WindowWidth=256)
    np.testing.assert_array_equal(read_radiograph(file).pixels, GREY[:20])
    assert holds_all_pixels(stream, GREY[:20])
    for missing in (4, 40, 300):
        assert not holds_all_pixels(cut(stream, missing), GREY[:20])
        with pytest.raises(UnreadableImage, match="truncated or damaged"):
            read_radiograph(with_frame(cut(stream, missing), GREY[:20], uid.JPEGLossless))


@pytest.mark.parametrize("pixels", [DEEP, NOISE], ids=["film", "noise"])
def test_sixteen_bits_are_counted_modulo_65536(pixels: NDArray[np.uint16]) -> None:
    stream = lossless_jpeg(pixels, bits=16)
    assert holds_all_pixels(stream, pixels)
    assert holds_all_pixels(stream, pixels.view(np.int16))
    assert not holds_all_pixels(cut(stream, 6), pixels)


def test_a_point_transform_is_undone_before_counting() -> None:
    twelve_bits = GREY[:20].astype(np.uint16) << 4
    stream = lossless_jpeg(twelve_bits, bits=12, shift=2)
    assert holds_all_pixels(stream, twelve_bits)
    assert not holds_all_pixels(cut(stream, 6), twelve_bits)


def test_colour_is_counted_by_component() -> None:
    rgb = colour()[:16]
    stream = lossless_jpeg(rgb)
    assert holds_all_pixels(stream, rgb)
    assert not holds_all_pixels(cut(stream, 6), rgb)
    np.testing.assert_allclose(
        read_radiograph(with_frame(stream, rgb, uid.JPEGLosslessSV1)).pixels, luma(rgb), atol=1
    )


def test_colour_that_is_converted_is_counted_as_it_was_coded() -> None:
    ybr = np.stack([GREY[:16], np.full_like(GREY[:16], 128), np.full_like(GREY[:16], 128)], axis=2)
    file = with_frame(lossless_jpeg(ybr), ybr, uid.JPEGLosslessSV1, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(read_radiograph(file).pixels, GREY[:16], atol=1)


def test_a_difference_without_a_code_is_of_another_picture() -> None:
    stream = lossless_jpeg(GREY[:20])
    table = b"\0" + bytes([0, 0, 0, 0, 17, *[0] * 11]) + bytes(range(17))
    one_code = b"\0" + bytes([0, 0, 0, 0, 1, *[0] * 11]) + bytes(1)
    few = stream.replace(b"\0\x24" + table, b"\0\x14" + one_code)
    assert len(few) == len(stream) - 16
    assert not holds_all_pixels(few, GREY[:20])


def test_fill_bytes_before_a_marker_are_skipped() -> None:
    stream = lossless_jpeg(GREY[:20])
    assert holds_all_pixels(stream[:2] + b"\xff\xff" + stream[2:], GREY[:20])


SOUND = lossless_jpeg(GREY[:20], restart_rows=4)
FRAME = SOUND[SOUND.index(b"\xff\xc3") : SOUND.index(b"\xff\xdd")]
SCAN = b"\xff\xda\x00\x08\x01\x01\x00"
FIVE_BITS, FOUR_BITS = bytes([0, 0, 0, 0, 17]), bytes([0, 0, 0, 17, 0])
UNSOUND = {
    "two frames": SOUND.replace(FRAME, FRAME * 2),
    "no frame": SOUND.replace(FRAME, b""),
    "one bit": SOUND.replace(FRAME, FRAME[:4] + b"\x01" + FRAME[5:]),
    "nine bits": SOUND.replace(FRAME, FRAME[:4] + b"\x09" + FRAME[5:]),
    "three components": SOUND.replace(FRAME, FRAME[:3] + b"\x11" + FRAME[4:9] + b"\x03" + FRAME[10:] * 3),
    "subsampled": SOUND.replace(FRAME, FRAME[:11] + b"\x21\0"),
    "predictor 9": SOUND.replace(SCAN + b"\x01", SCAN + b"\x09"),
    "last coefficient 5": SOUND.replace(SCAN + b"\x01\x00", SCAN + b"\x01\x05"),
    "shift of all bits": SOUND.replace(SCAN + b"\x01\x00\x00", SCAN + b"\x01\x00\x08"),
    "a table that is not there": SOUND.replace(SCAN, SCAN[:-1] + b"\x10"),
    "more codes than there are": SOUND.replace(FIVE_BITS, FOUR_BITS),
    "restarts within a row": SOUND.replace(b"\xff\xdd\0\x04\0\xe0", b"\xff\xdd\0\x04\0\xe1"),
    "a marker in the scan": SOUND[:-40] + b"\xff\xc4" + SOUND[-40:],
    "a segment of another coding": SOUND.replace(FRAME, FRAME + b"\xff\xcc\0\x04\0\0"),
    "a gap between segments": SOUND.replace(FRAME, b"\0" + FRAME),
    "no marker": SOUND.replace(FRAME, b"\xef" + FRAME[1:]),
}


def test_a_sound_header_passes() -> None:
    check_lossless(SOUND, components=1, bits_allocated=8)
    check_lossless(lossless_jpeg(DEEP, bits=16), components=1, bits_allocated=16)
    check_lossless(lossless_jpeg(colour()[:16]), components=3, bits_allocated=8)


@pytest.mark.parametrize("case", UNSOUND)
def test_an_unsound_header_never_reaches_the_decoder(case: str) -> None:
    assert UNSOUND[case] != SOUND
    with pytest.raises((ValueError, LookupError)):
        check_lossless(UNSOUND[case], components=1, bits_allocated=8)
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(with_frame(UNSOUND[case], GREY[:20], uid.JPEGLossless))
