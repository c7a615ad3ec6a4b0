"""The limits agree with each other and with what makes chest films."""

import numpy as np
import pytest

from hilum.domain.errors import DamagedImage, FileTooLarge, ImageTooLarge
from hilum.domain.thresholds import (
    DECODE_MEMORY_BYTES,
    MAX_BODY_BYTES,
    MAX_FILE_BYTES,
    MAX_FORM_OVERHEAD_BYTES,
    MAX_INFLATED_BYTES,
    MAX_PIXELS,
    MAX_SIDE_PX,
)
from hilum.imaging.intake import read_radiograph
from hilum.imaging.limits import MEBIBYTE, check_bytes, check_size

from .make_films import dicom, encode, tiff_of

HEADER_BYTES = 64 * 1024
DETECTORS = (
    # width and height in cm, pixel pitch in mm, what it is
    (43, 43, 0.100, "flat panel, CsI, 0.100 mm"),
    (43, 43, 0.125, "flat panel, 0.125 mm"),
    (43, 43, 0.139, "flat panel, a-Si, 0.139 mm"),
    (43, 43, 0.140, "flat panel, 0.140 mm"),
    (43, 43, 0.143, "flat panel, 0.143 mm"),
    (43, 43, 0.148, "flat panel, 0.148 mm"),
    (43, 43, 0.150, "flat panel, 0.150 mm"),
    (43, 43, 0.160, "CCD, 0.160 mm"),
    (41, 41, 0.200, "flat panel of the first kind, 0.200 mm"),
    (35, 43, 0.100, "portable flat panel, 0.100 mm"),
    (35, 43, 0.125, "portable flat panel, 0.125 mm"),
    (35, 43, 0.139, "portable flat panel, 0.139 mm"),
    (35, 43, 0.148, "portable flat panel, 0.148 mm"),
    (43, 49, 0.100, "large flat panel, 0.100 mm"),
    (35, 43, 0.100, "CR plate, 0.100 mm"),
    (35, 43, 0.168, "CR plate, 0.168 mm"),
    (35, 43, 0.200, "CR plate, 0.200 mm"),
    (35, 43, 0.0875, "film digitised at 0.0875 mm (290 dpi)"),
    (35, 35, 0.175, "film digitised at 0.175 mm (JSRT)"),
)
OUTSIDE = (
    (35, 43, 0.050, "CR plate read at 0.050 mm, for breasts and bones"),
    (35, 43, 0.050, "film digitised at 0.050 mm (508 dpi)"),
    (43, 129, 0.100, "three plates in one for a whole spine"),
)


def side_px(cm: float, pitch_mm: float) -> int:
    return round(10 * cm / pitch_mm)


@pytest.mark.parametrize(("width_cm", "height_cm", "pitch_mm", "what"), DETECTORS, ids=str)
def test_a_film_of_every_detector_is_inside(
    width_cm: int, height_cm: int, pitch_mm: float, what: str
) -> None:
    width, height = side_px(width_cm, pitch_mm), side_px(height_cm, pitch_mm)
    check_size(width, height, name=what)
    check_size(height, width, name=what)
    check_bytes(2 * width * height + HEADER_BYTES, name=what)  # 16 bits, uncompressed
    assert 2 * width * height + HEADER_BYTES <= MAX_INFLATED_BYTES


@pytest.mark.parametrize(("width_cm", "height_cm", "pitch_mm", "what"), OUTSIDE)
def test_what_is_no_chest_film_is_outside(width_cm: int, height_cm: int, pitch_mm: float, what: str) -> None:
    with pytest.raises(ImageTooLarge, match="the header says"):
        check_size(side_px(width_cm, pitch_mm), side_px(height_cm, pitch_mm), name=what)


def test_the_limits_agree_with_each_other() -> None:
    assert 2 * MAX_PIXELS + HEADER_BYTES <= MAX_FILE_BYTES  # the pixels allowed, 16 bits, uncompressed
    assert 3 * side_px(43, 0.1) ** 2 + HEADER_BYTES <= MAX_FILE_BYTES  # the finest detector in 8-bit colour
    assert MAX_FILE_BYTES <= MAX_INFLATED_BYTES
    assert MAX_FILE_BYTES + MAX_FORM_OVERHEAD_BYTES <= MAX_BODY_BYTES
    assert 2 * (2 * side_px(43, 0.1) ** 2 + HEADER_BYTES) + MAX_FORM_OVERHEAD_BYTES <= MAX_BODY_BYTES
    assert MAX_SIDE_PX**2 > MAX_PIXELS
    assert DECODE_MEMORY_BYTES >= 330 * MEBIBYTE + MAX_FILE_BYTES + 8 * MAX_PIXELS  # see its reason


def test_a_43_cm_detector_of_a_tenth_of_a_millimetre_is_read() -> None:
    small = np.random.default_rng(0).integers(0, 4096, (268, 268)).astype(np.uint16)
    film = np.kron(small, np.ones((16, 16), np.uint16))
    assert film.shape == (4288, 4288)
    expected = read_radiograph(encode(small, "PNG")).pixels
    for data in (
        dicom(film, BitsStored=12),
        tiff_of(film[:, :, None]),
        encode(film, "PNG", compress_level=1),
    ):
        radiograph = read_radiograph(data)
        assert (radiograph.facts.width, radiograph.facts.height) == (4288, 4288)
        assert np.abs(radiograph.pixels[::16, ::16].astype(int) - expected).max() <= 1


def test_bytes_above_the_limit_are_refused() -> None:
    check_bytes(MAX_FILE_BYTES, name="film")
    with pytest.raises(FileTooLarge) as refused:
        check_bytes(MAX_FILE_BYTES + 1, name="film")
    assert str(refused.value) == (
        "film: the file has 67,108,865 bytes; at most 67,108,864 (64 MiB) are allowed."
        " Export the film at a lower resolution or compressed."
    )


@pytest.mark.parametrize("size", [(0, 9), (9, 0), (-1, 9)])
def test_a_picture_without_pixels_is_damaged(size: tuple[int, int]) -> None:
    with pytest.raises(DamagedImage, match="both sides must be at least 1"):
        check_size(*size, name="film")
