import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hilum.domain.errors import UnsupportedCoding
from hilum.imaging.deep_samples import deep_grey
from hilum.imaging.intake import read_radiograph

from .make_films import chunk, encode

NOISE = np.random.default_rng(0).integers(0, 4096, (120, 150)).astype(np.uint16)
PLAIN = read_radiograph(encode(NOISE, "PNG")).pixels
"""12-bit values in a 16-bit grey PNG: the twin of all others."""


def png16(samples: NDArray[Any], *chunks: bytes) -> bytes:
    """Build a PNG of 16 bits from (H, W, 1 to 4); Pillow writes none in colour."""
    height, width, count = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[count], 0, 0, 0)
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def opaque(value: int) -> NDArray[np.uint16]:
    return np.full_like(NOISE, value)


CASES = {
    "grey": ([NOISE], "MONOCHROME2"),
    "rgb": ([NOISE] * 3, "RGB"),
    "rgba": ([NOISE] * 3 + [opaque(65_535)], "RGBA"),
    "rgba of 12 bits": ([NOISE] * 3 + [opaque(4_095)], "RGBA"),
    "grey alpha": ([NOISE, opaque(65_535)], "RGBA"),
}


@pytest.mark.parametrize("shift", [0, 2], ids=["12 bits", "10 bits"])
@pytest.mark.parametrize("case", CASES)
def test_few_bits_in_16_bit_colour_come_out_like_their_grey_twin(case: str, shift: int) -> None:
    channels, model = CASES[case]
    samples = np.dstack(channels)
    samples[:, :, : 3 if len(channels) > 2 else 1] >>= shift
    plain = read_radiograph(encode(NOISE >> shift, "PNG")).pixels
    film = read_radiograph(png16(samples))
    assert np.abs(film.pixels.astype(int) - plain).max() <= 1
    assert (film.facts.bits, film.facts.photometric) == (16, model)
    assert len(np.unique(film.pixels)) > 250


def test_a_display_picture_of_16_bits_equals_its_8_bit_twin() -> None:
    grey = (NOISE >> 4).astype(np.uint16)
    film = read_radiograph(png16(np.dstack([grey * 257] * 3)))
    assert np.abs(film.pixels.astype(int) - grey).max() == 0


def test_colour_becomes_luma_before_it_is_windowed() -> None:
    samples = np.zeros((2, 4, 3), np.uint16)
    samples[0, 0], samples[0, 1], samples[1, 2], samples[1, 3] = (
        (4000, 0, 0),
        (0, 4000, 0),
        (0, 0, 4000),
        4000,
    )
    grey = deep_grey(samples, is_colour=True, has_alpha=False, name="film")
    assert grey[0, 0] < grey[0, 1]
    assert grey[1, 2] < grey[0, 0]
    assert (grey[1, 3], grey[0, 3]) == (255, 0)


def test_transparent_parts_are_black() -> None:
    alpha = opaque(65_535)
    alpha[:60] = 0
    for channels in ([NOISE, alpha], [NOISE] * 3 + [alpha]):
        pixels = read_radiograph(png16(np.dstack(channels))).pixels
        assert not pixels[:60].any()
        assert np.corrcoef(pixels[60:].ravel(), PLAIN[60:].ravel())[0, 1] > 0.999


def test_a_key_colour_is_black() -> None:
    samples = np.dstack([NOISE + 1] * 3)
    samples[5:9] = 4_096
    pixels = read_radiograph(png16(samples, chunk(b"tRNS", struct.pack(">HHH", 4_096, 4_096, 4_096)))).pixels
    assert not pixels[5:9].any()
    assert pixels[9:].max() == 255


@pytest.mark.parametrize("undefined", [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38])
def test_a_dead_cell_of_floating_point_is_black_and_many_are_refused(undefined: float) -> None:
    values = NOISE.astype(np.float32)[:, :, np.newaxis] + 1
    values[7, 7] = undefined
    grey = deep_grey(values, is_colour=False, has_alpha=False, name="film")
    assert grey[7, 7] == 0
    rest = np.ones(NOISE.shape, bool)
    rest[7, 7] = False
    assert np.abs(grey.astype(int) - PLAIN)[rest].max() <= 1
    values[:2] = undefined
    with pytest.raises(UnsupportedCoding) as refused:
        deep_grey(values, is_colour=False, has_alpha=False, name="film")
    assert str(refused.value) == (
        "film: 1.7% of the pixels are NaN, infinite or beyond 1e+30; at most 0.1% may be, since nothing says"
        " what they show. Export the film with whole numbers."
    )


def test_a_picture_without_any_number_is_refused() -> None:
    with pytest.raises(UnsupportedCoding, match=r"100\.0% of the pixels"):
        deep_grey(np.full((4, 4, 1), np.nan), is_colour=False, has_alpha=False, name="film")
