import numpy as np
import pytest

from hilum.domain.errors import DamagedImage, UnsupportedCoding
from hilum.imaging.intake import read_radiograph

from .make_films import colour, encode, film, lossless_jpeg

DEEP = np.random.default_rng(0).integers(0, 4096, (60, 80)).astype(np.uint16)


@pytest.mark.parametrize("predictor", [1, 4, 7])
def test_a_lossless_jpeg_of_8_bits_is_exact(predictor: int) -> None:
    radiograph = read_radiograph(lossless_jpeg(film(), predictor=predictor))
    np.testing.assert_array_equal(radiograph.pixels, film())
    assert (radiograph.facts.format, radiograph.facts.bits, radiograph.facts.width) == ("JPEG", 8, 56)


def test_a_lossless_jpeg_of_12_bits_equals_its_twin() -> None:
    radiograph = read_radiograph(lossless_jpeg(DEEP, bits=12))
    np.testing.assert_array_equal(radiograph.pixels, read_radiograph(encode(DEEP, "PNG")).pixels)
    assert radiograph.facts.bits == 12


@pytest.mark.parametrize("percent", range(20, 100, 5))
def test_a_cut_one_is_refused_without_a_word_of_the_decoder(
    percent: int, capfd: pytest.CaptureFixture[str]
) -> None:
    data = lossless_jpeg(DEEP, bits=12)
    start = data.index(b"\xff\xda") + 12
    cut = data[: start + (len(data) - start) * percent // 100] + b"\xff\xd9"
    with pytest.raises(DamagedImage, match="JPEG data are truncated or damaged"):
        read_radiograph(cut)
    with pytest.raises(DamagedImage):
        read_radiograph(cut[:-2])  # no end marker
    assert capfd.readouterr() == ("", "")


def test_a_lossless_jpeg_in_colour_is_refused_for_that() -> None:
    with pytest.raises(UnsupportedCoding, match="this is 8-bit lossless JPEG; of JPEG files"):
        read_radiograph(lossless_jpeg(colour()))
