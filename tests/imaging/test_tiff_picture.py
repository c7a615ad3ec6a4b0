import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from openjpeg.utils import encode as encode_jpeg_2000
from PIL import Image

from hilum.domain.errors import DamagedImage, SeveralFrames, UnsupportedCoding
from hilum.imaging.intake import read_radiograph

from .make_films import colour, encode, film, luma, tiff_file, tiff_of

GREY, RGB = film(), colour()
NOISE = np.random.default_rng(0).integers(0, 4096, (120, 150)).astype(np.uint16)
PLAIN = read_radiograph(encode(NOISE, "PNG")).pixels


def deep(count: int, **options: Any) -> bytes:
    return tiff_of(np.dstack([NOISE] * count), **options)


@pytest.mark.parametrize(
    ("data", "model"),
    [
        (deep(1), "MONOCHROME2"),
        (deep(3), "RGB"),
        (deep(3, order=">", is_big=True), "RGB"),
        (deep(3, rows_per_strip=7, pack=zlib.compress, fields={259: 8}), "RGB"),
        (deep(3, tile=32), "RGB"),
        (tiff_of(np.stack([NOISE] * 3), fields={284: 2}), "RGB"),
        (tiff_of(np.dstack([NOISE] * 3 + [np.full_like(NOISE, 4095)]), fields={338: 2}), "RGBA"),
        (tiff_of(np.dstack([NOISE, np.full_like(NOISE, 65_535)]), fields={338: 2}), "GREY_ALPHA"),
        (tiff_of(np.dstack([NOISE] * 3 + [NOISE // 2]), fields={338: 0}), "RGB"),
        (tiff_of(4095 - NOISE[:, :, None], fields={262: 0}), "MONOCHROME1"),
        (tiff_of(NOISE[:, :, None].astype(np.float64)), "MONOCHROME2"),
        (tiff_of(NOISE[:, :, None].astype(np.float32) / 4095), "MONOCHROME2"),
        (tiff_of(NOISE[:, :, None].astype(np.int16) - 1000), "MONOCHROME2"),
        (tiff_of(NOISE[:, :, None].astype(np.uint32)), "MONOCHROME2"),
    ],
)
def test_12_bit_values_in_any_deep_tiff_equal_their_grey_twin(data: bytes, model: str) -> None:
    radiograph = read_radiograph(data)
    assert np.abs(radiograph.pixels.astype(int) - PLAIN).max() <= 1
    assert radiograph.facts.photometric == model
    assert (radiograph.facts.width, radiograph.facts.height) == (150, 120)


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_8_bit_pictures_of_both_orders_and_sizes_are_exact(order: str, is_big: bool) -> None:
    for options in ({}, {"rows_per_strip": 7}, {"tile": 16}):
        grey = read_radiograph(tiff_of(GREY[:, :, None], order=order, is_big=is_big, **options))
        np.testing.assert_array_equal(grey.pixels, GREY)
        rgb = read_radiograph(tiff_of(RGB, order=order, is_big=is_big, **options))
        assert np.abs(rgb.pixels.astype(int) - luma(RGB)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pictures_are_turned_like_others(orientation: int) -> None:
    plain = read_radiograph(tiff_of(GREY[:, :, None], fields={274: orientation}))
    turned = read_radiograph(tiff_of(GREY[:, :, None].astype(np.uint16) * 257, fields={274: orientation}))
    np.testing.assert_array_equal(turned.pixels, plain.pixels)
    assert (turned.facts.width, turned.facts.height) == turned.pixels.shape[::-1]
    assert (plain.facts.width, plain.facts.height) == plain.pixels.shape[::-1]


def test_packed_12_bit_values_are_read() -> None:
    pairs = NOISE.astype(np.uint32).reshape(120, 75, 2)
    first, second = pairs[:, :, 0], pairs[:, :, 1]
    packed = np.dstack([first >> 4, (first & 15) << 4 | second >> 8, second & 255]).astype(np.uint8)
    fields = {256: 150, 257: 120, 258: 12, 259: 1, 262: 1, 273: 16, 277: 1, 278: 120, 279: packed.size}
    assert np.abs(read_radiograph(tiff_file(packed.tobytes(), fields)).pixels.astype(int) - PLAIN).max() <= 1


SMALL = (NOISE >> 4).astype(np.uint8)


def codestream(pixels: NDArray[Any]) -> bytes:
    return bytes(encode_jpeg_2000(pixels))


@pytest.mark.parametrize("coding", [33_003, 33_005, 34_712])
def test_jpeg_2000_in_tiff_is_read(coding: int) -> None:
    coloured = np.dstack([SMALL, 255 - SMALL, SMALL // 2])
    for pixels, expected in ((SMALL, SMALL), (coloured, luma(coloured)), (NOISE, PLAIN)):
        samples = pixels.reshape(*pixels.shape[:2], -1)
        stream = codestream(pixels)
        data = tiff_of(samples, pack=lambda _, stream=stream: stream, fields={259: coding})
        assert np.abs(read_radiograph(data).pixels.astype(int) - expected).max() <= 1


def test_jpeg_2000_that_is_cut_or_of_another_size_is_refused() -> None:
    whole = codestream(SMALL)
    broken = (
        whole[:2000],
        whole[:300] + b"\xff\xd9",
        codestream(SMALL[:100]),
        codestream(np.zeros_like(SMALL)),
        b"none",
    )
    for stream in broken:
        with pytest.raises(DamagedImage, match="TIFF data are truncated or damaged"):
            read_radiograph(tiff_of(SMALL[:, :, None], pack=lambda _, s=stream: s, fields={259: 34_712}))


def test_jpeg_2000_in_several_pieces_is_refused_for_that() -> None:
    data = tiff_of(SMALL[:, :, None], rows_per_strip=60, fields={259: 34_712})
    with pytest.raises(UnsupportedCoding, match="8-bit grey pixels, JPEG 2000, which are not decoded here"):
        read_radiograph(data)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_strips_are_read_and_refused_when_cut(mode: str) -> None:
    noise = Image.fromarray((NOISE >> 4).astype(np.uint8)).convert(mode)
    data = encode(noise, "TIFF", compression="jpeg")
    whole = read_radiograph(data).pixels
    assert np.corrcoef(whole.ravel(), np.asarray(noise.convert("L")).ravel())[0, 1] > 0.98
    at = data.index(b"\xff\xda") + 40
    for where in (at, at + 400):
        end = data.index(b"\xff\xd9", where)
        cut = bytearray(data)
        cut[where : end + 2] = b"\xff\xd9" + bytes(end - where)
        with pytest.raises(DamagedImage, match="TIFF data are truncated or damaged"):
            read_radiograph(bytes(cut))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tiff_of(GREY[:, :, None].view(np.int8)), "signed 8-bit grey pixels, uncompressed"),
        (deep(1, fields={262: 3}), "16-bit palette pixels, uncompressed"),
        (deep(4, fields={262: 5}), "16-bit CMYK pixels, uncompressed"),
        (deep(3, fields={259: 34_887}), "16-bit RGB pixels, LERC"),
        (
            tiff_of(np.stack([NOISE] * 3), rows_per_strip=7, fields={284: 2}),
            "16-bit RGB pixels, plane by plane, uncompressed",
        ),
    ],
)
def test_a_whole_tiff_that_is_not_decoded_is_refused_for_that(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedCoding) as refused:
        read_radiograph(data, name="film.tif")
    assert str(refused.value) == (
        f"film.tif: the TIFF holds {words}, which are not decoded here. Export the film as 8-bit or 16-bit"
        " grey, uncompressed or with LZW or Deflate."
    )


def test_a_preview_behind_the_picture_is_passed_over() -> None:
    plain = tiff_of(GREY[:, :, None])
    start = int.from_bytes(plain[4:8], "little")
    entries = int.from_bytes(plain[start : start + 2], "little")
    link = start + 2 + 12 * entries
    for kind in (0, 1):
        fields = b"".join(
            tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
            for tag, value in ((254, kind), (256, 56), (257, 40))
        )
        preview = b"\3\0" + fields + bytes(4)
        data = plain[:link] + len(plain).to_bytes(4, "little") + plain[link + 4 :] + preview
        if kind:
            np.testing.assert_array_equal(read_radiograph(data).pixels, GREY)
        else:
            with pytest.raises(SeveralFrames, match="the TIFF file holds more than one frame; exactly 1"):
                read_radiograph(data)


def test_strips_outside_the_file_are_damage() -> None:
    with pytest.raises(DamagedImage):
        read_radiograph(tiff_of(GREY[:, :, None], fields={273: 100_000}))


def test_the_film_is_not_inverted_by_a_key_that_is_not_there() -> None:
    dark = tiff_of((255 - GREY)[:, :, None], fields={262: 0})
    np.testing.assert_array_equal(read_radiograph(dark).pixels, GREY)
