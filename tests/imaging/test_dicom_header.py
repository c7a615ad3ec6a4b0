import io
import math
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from hilum.domain.errors import UnreadableImage
from hilum.imaging.dicom_header import complete_header, decimals, value_or_none
from hilum.imaging.intake import read_radiograph

from .make_films import PATIENT, colour, dataset, dicom, film, luma, with_text

GREY = film()
BYTE = {"WindowCenter": 128, "WindowWidth": 256}


@pytest.mark.parametrize(
    "gap",
    [
        {"SamplesPerPixel": None},
        {"PixelRepresentation": None},
        {"BitsAllocated": None},
        {"HighBit": None},
        {"BitsStored": None, "HighBit": 7},
        {"BitsStored": None, "HighBit": None},
        {"BitsAllocated": None, "HighBit": None},
        {"BitsAllocated": None, "BitsStored": None, "HighBit": 7},
        {"NumberOfFrames": 0},
        {"NumberOfFrames": ""},
    ],
    ids=str,
)
def test_a_gap_is_filled_with_the_one_value_that_fits(gap: dict[str, Any]) -> None:
    np.testing.assert_array_equal(read_radiograph(dicom(GREY, **BYTE, **gap)).pixels, GREY)


def test_colour_needs_no_samples_per_pixel() -> None:
    np.testing.assert_allclose(
        read_radiograph(dicom(colour(), SamplesPerPixel=None)).pixels, luma(colour()), atol=1
    )


def with_colour_model(text: str) -> bytes:
    return dicom(GREY, **BYTE).replace(b"MONOCHROME2 ", text.encode().ljust(12))


@pytest.mark.parametrize("text", ["monochrome2", "MONOCHROME 2", " Monochrome2", "MONOCHROME_2"])
def test_a_colour_model_is_known_by_its_letters_and_digits(text: str) -> None:
    radiograph = read_radiograph(with_colour_model(text))
    np.testing.assert_array_equal(radiograph.pixels, GREY)
    assert radiograph.facts.photometric == "MONOCHROME2"


@pytest.mark.parametrize("text", [PATIENT[:12], "MONOCHROME", "MONOCHROME3", ""])
def test_a_colour_model_that_is_not_known_is_refused_without_its_text(text: str) -> None:
    with pytest.raises(UnreadableImage, match="PhotometricInterpretation is missing or not one") as refused:
        read_radiograph(with_colour_model(text))
    assert PATIENT[:12] not in str(refused.value)


def test_frames_that_are_no_number_are_one() -> None:
    data = with_text(GREY, NumberOfFrames="1A").replace(b"\x28\x00\x08\x00DS", b"\x28\x00\x08\x00IS")
    np.testing.assert_array_equal(read_radiograph(data).pixels, read_radiograph(dicom(GREY)).pixels)


def test_the_header_is_completed_for_the_decoder() -> None:
    ds = dataset(GREY, PixelRepresentation=None, SamplesPerPixel=None, BitsStored=None, HighBit=None)
    facts = complete_header(ds, 1, name="a")
    assert (ds.SamplesPerPixel, ds.BitsStored, ds.NumberOfFrames) == (1, 8, 1)
    assert (facts.width, facts.height, facts.bits, facts.photometric) == (56, 40, 8, "MONOCHROME2")


def test_decimals_of_any_kind() -> None:
    ds = Dataset()
    assert decimals(ds, "WindowCenter") == []
    ds.WindowCenter = ""
    assert decimals(ds, "WindowCenter") == []
    ds.WindowCenter = [1.5, 2]
    assert decimals(ds, "WindowCenter") == [1.5, 2.0]
    ds.WindowCenter = 3
    assert decimals(ds, "WindowCenter") == [3.0]
    ds = dataset(GREY)
    ds.add_new(0x00281050, "FD", 7.25)
    assert decimals(ds, "WindowCenter") == [7.25]


@pytest.mark.parametrize(
    ("text", "number"), [("40,5", 40.5), ("2,048.5", 2048.5), (" 7 ", 7.0), ("-1e3", -1000.0)]
)
def test_a_comma_is_a_decimal_point_or_separates_thousands(text: str, number: float) -> None:
    ds = _parsed(text)
    assert decimals(ds, "RescaleIntercept") == [number]


def test_text_that_is_no_number_is_nan() -> None:
    first, second = decimals(_parsed("NOTSET\\5"), "RescaleIntercept")
    assert math.isnan(first)
    assert second == 5.0


def test_what_pydicom_cannot_read_is_none() -> None:
    rows = Tag("Rows")
    ds = Dataset(
        {rows: RawDataElement(rows, "US", 3, b"\x28\0\0", 0, is_implicit_VR=False, is_little_endian=True)}
    )
    assert value_or_none(ds, "Rows") is None
    assert value_or_none(ds, "Columns") is None


def _parsed(text: str) -> Dataset:
    return dcmread(io.BytesIO(with_text(GREY, RescaleIntercept=text)))
