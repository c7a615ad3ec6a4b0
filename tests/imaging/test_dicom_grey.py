import numpy as np
import pytest
from pydicom.pixels import apply_voi_lut

from hilum.imaging import dicom_grey
from hilum.imaging.dicom_grey import windowed
from hilum.imaging.intake import read_radiograph
from hilum.imaging.windowing import robust_window

from .make_films import dataset, dicom, film, lut_item, with_text, written

GREY = film()
DEEP = GREY.astype(np.uint16) * 16


def test_linear_window_by_hand() -> None:
    """PS3.3 C.11.2.1.2.1, its own example: c = 2048, w = 4096 maps 0 to black and 4095 to white."""
    values = np.array([[-1.0, 0.0, 2047.5, 4095.0, 4096.0]])
    np.testing.assert_array_equal(windowed(values, 2048, 4096, "LINEAR"), [[0, 0, 128, 255, 255]])


def test_linear_window_of_width_one_is_a_threshold() -> None:
    np.testing.assert_array_equal(windowed(np.array([[9.5, 9.6]]), 10, 1, "LINEAR"), [[0, 255]])


def test_linear_exact_window_by_hand() -> None:
    values = np.array([[-0.1, 0.0, 5.0, 10.0, 11.0]])
    np.testing.assert_array_equal(windowed(values, 5, 10, "LINEAR_EXACT"), [[0, 0, 128, 255, 255]])


def test_sigmoid_window_by_hand() -> None:
    values = np.array([[-1e9, 5.0, 7.5, 1e9]])
    np.testing.assert_array_equal(windowed(values, 5, 10, "SIGMOID"), [[0, 128, 186, 255]])


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_agree_with_pydicom(function: str) -> None:
    stored = np.linspace(0, 4095, 40 * 56).reshape(40, 56).astype(np.uint16)
    ds = dataset(stored, BitsStored=12, WindowCenter=1500, WindowWidth=2000, VOILUTFunction=function)
    expected = apply_voi_lut(stored, ds) * (255 / 4095)
    np.testing.assert_allclose(read_radiograph(written(ds)).pixels, expected, atol=0.51)


@pytest.mark.parametrize(
    ("center", "width", "function"),
    [
        (10, 0, "LINEAR"),
        (10, 0.5, "LINEAR"),
        (10, -5, "LINEAR"),
        (10, 0, "SIGMOID"),
        (float("nan"), 5, "LINEAR"),
        (10, float("inf"), "LINEAR_EXACT"),
    ],
)
def test_an_invalid_window_is_none(center: float, width: float, function: str) -> None:
    assert windowed(np.zeros((2, 2)), center, width, function) is None


ROBUST = read_radiograph(dicom(DEEP)).pixels


def test_without_a_window_the_picture_fills_the_scale() -> None:
    assert (ROBUST.min(), ROBUST.max()) == (0, 255)
    assert ROBUST[20, 28] == pytest.approx((DEEP[20, 28] - 320) / 3008 * 255, abs=5)


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 100, "WindowWidth": 0},
        {"WindowCenter": 60_000, "WindowWidth": 10},
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": 100},
    ],
)
def test_an_unusable_window_falls_back_to_the_robust_one(window: dict) -> None:
    np.testing.assert_array_equal(read_radiograph(dicom(DEEP, **window)).pixels, ROBUST)


def test_padding_is_black_and_does_not_move_the_window() -> None:
    padded = DEEP.copy()
    padded[:, :8] = 65_535
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        data = dicom(padded, PixelPaddingValue=65_535, PhotometricInterpretation=photometric)
        pixels = read_radiograph(data).pixels
        assert not pixels[:, :8].any()
        assert (pixels[:, 8:].min(), pixels[:, 8:].max()) == (0, 255)


def test_padding_may_be_a_range_and_all_of_the_picture_is_not_padding() -> None:
    padded = DEEP.copy()
    padded[:, :4], padded[:, 4:8] = 65_535, 65_000
    data = dicom(padded, PixelPaddingValue=65_535, PixelPaddingRangeLimit=65_000)
    assert not read_radiograph(data).pixels[:, :8].any()
    everything = dicom(DEEP, PixelPaddingValue=0, PixelPaddingRangeLimit=65_535)
    np.testing.assert_array_equal(read_radiograph(everything).pixels, ROBUST)


def table(values: np.ndarray) -> list[int]:
    return [int(value) for value in values]


def test_voi_lut_wins_over_a_window() -> None:
    ds = dataset(GREY, WindowCenter=10, WindowWidth=2)
    ds.VOILUTSequence = lut_item(256, 0, 12, table(np.linspace(4095, 0, 256)))
    np.testing.assert_allclose(read_radiograph(written(ds)).pixels, 255 - GREY, atol=0.51)


def test_voi_lut_clips_outside_its_table_and_starts_at_its_first_value() -> None:
    ds = dataset(GREY)
    ds.VOILUTSequence = lut_item(100, 50, 8, table(np.arange(100)))
    expected = np.clip(GREY.astype(int) - 50, 0, 99)
    np.testing.assert_array_equal(read_radiograph(written(ds)).pixels, expected)


@pytest.mark.parametrize(
    "data",
    [np.arange(256, dtype="<u2").tobytes(), np.arange(256, dtype=np.uint8).tobytes()],
    ids=["16-bit words", "packed bytes"],
)
def test_voi_lut_as_bytes(data: bytes) -> None:
    ds = dataset(GREY)
    ds.VOILUTSequence = lut_item(256, 0, 8, data)
    np.testing.assert_array_equal(read_radiograph(written(ds)).pixels, GREY)


def test_a_wrong_depth_in_the_descriptor_is_corrected_from_the_table() -> None:
    ds = dataset(GREY)
    ds.VOILUTSequence = lut_item(256, 0, 8, table(np.linspace(0, 4095, 256)))
    np.testing.assert_allclose(read_radiograph(written(ds)).pixels, GREY, atol=0.51)


def test_voi_lut_of_signed_values() -> None:
    ds = dataset(GREY.astype(np.int16) - 128, BitsStored=9)
    ds.VOILUTSequence = lut_item(256, -128, 8, table(np.arange(256)))
    np.testing.assert_array_equal(read_radiograph(written(ds)).pixels, GREY)
    ds.VOILUTSequence = lut_item(256, 65_536 - 128, 8, table(np.arange(256)))
    np.testing.assert_array_equal(read_radiograph(written(ds)).pixels, GREY)


def test_a_lut_of_65536_entries_is_written_as_zero() -> None:
    ds = dataset(GREY.astype(np.uint16) * 257)
    ds.VOILUTSequence = lut_item(0, 0, 16, np.arange(65_536, dtype="<u2").tobytes())
    np.testing.assert_array_equal(read_radiograph(written(ds)).pixels, GREY)


def test_modality_lut_comes_before_the_window() -> None:
    ds = dataset(GREY, WindowCenter=128, WindowWidth=256)
    ds.ModalityLUTSequence = lut_item(256, 0, 16, table(255 - np.arange(256)))
    np.testing.assert_array_equal(read_radiograph(written(ds)).pixels, 255 - GREY)


def test_a_slope_of_zero_and_a_rescale_that_is_no_number_count_as_not_given() -> None:
    for rescale in (
        {"RescaleSlope": "0", "RescaleIntercept": "0"},
        {"RescaleSlope": "none", "RescaleIntercept": "0"},
        {"RescaleSlope": "1", "RescaleIntercept": "NaN"},
    ):
        pixels = read_radiograph(with_text(GREY, WindowCenter="128", WindowWidth="256", **rescale)).pixels
        np.testing.assert_array_equal(pixels, GREY)


@pytest.mark.parametrize(
    ("center", "width"), [("128,0", "256,0"), (" 128 \\1", "256\\2"), ("1.28E2", "256.")]
)
def test_a_window_is_read_out_of_its_text(center: str, width: str) -> None:
    pixels = read_radiograph(with_text(GREY, WindowCenter=center, WindowWidth=width)).pixels
    np.testing.assert_array_equal(pixels, GREY)


@pytest.mark.parametrize("text", ["NOTSET", "12..5", "1,2,3", "-", "NaN"])
def test_a_window_that_is_no_number_gives_way_to_the_robust_one(text: str) -> None:
    pixels = read_radiograph(with_text(GREY, WindowCenter=text, WindowWidth="256")).pixels
    np.testing.assert_array_equal(pixels, read_radiograph(dicom(GREY)).pixels)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", ["IDENTITY", "INVERSE", "LIN OD"])
def test_a_presentation_lut_shape_decides_which_end_is_bright(photometric: str, shape: str) -> None:
    ds = dataset(
        GREY,
        PhotometricInterpretation=photometric,
        PresentationLUTShape=shape,
        WindowCenter=128,
        WindowWidth=256,
    )
    inverse = photometric == "MONOCHROME1" if shape == "LIN OD" else shape == "INVERSE"
    np.testing.assert_array_equal(read_radiograph(written(ds)).pixels, 255 - GREY if inverse else GREY)


def test_a_picture_without_a_window_is_windowed_as_its_pixels_are() -> None:
    values = np.random.default_rng(1).normal(2000, 300, (64, 50)).astype(np.uint16)
    np.testing.assert_array_equal(read_radiograph(dicom(values, BitsStored=12)).pixels, robust_window(values))
    ds = dataset(values, BitsStored=12, RescaleSlope=-0.37, RescaleIntercept=3.3)
    expected = robust_window(values.astype(np.float64) * -0.37 + 3.3)
    np.testing.assert_array_equal(read_radiograph(written(ds)).pixels, expected)


def test_large_pictures_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_grey, "EXACT_COUNT", 3 * DEEP.shape[1])
    np.testing.assert_array_equal(read_radiograph(dicom(DEEP)).pixels, ROBUST)
    counts = dicom_grey._count(DEEP)
    np.testing.assert_array_equal(counts, np.bincount(DEEP.ravel(), minlength=65_536))
    monkeypatch.setattr(dicom_grey, "EXACT_COUNT", 1)
    np.testing.assert_array_equal(dicom_grey._count(GREY), np.bincount(GREY.ravel(), minlength=256))


@pytest.mark.parametrize("dtype", [np.uint32, np.int32])
def test_values_in_wider_containers_come_out_as_in_16_bits(dtype: type) -> None:
    signed = np.dtype(dtype).kind == "i"
    narrow = DEEP.astype(np.int16) - 2000 if signed else DEEP
    ds = dataset(narrow.astype(dtype), BitsStored=16, HighBit=15)
    np.testing.assert_array_equal(read_radiograph(written(ds)).pixels, read_radiograph(dicom(narrow)).pixels)
    if not signed:
        shifted = dataset(narrow.astype(dtype) << 8, BitsStored=16, HighBit=23)
        np.testing.assert_array_equal(read_radiograph(written(shifted)).pixels, ROBUST)


def test_padding_below_zero_in_an_unsigned_value_is_padding() -> None:
    stored = GREY.astype(np.int16)
    stored[:10] = -2000
    ds = dataset(stored, BitsStored=16, **{"WindowCenter": 128, "WindowWidth": 256})
    ds.add_new(0x00280120, "US", 65_536 - 2000)
    pixels = read_radiograph(written(ds)).pixels
    assert not pixels[:10].any()
    ds.WindowCenter = ds.WindowWidth = None
    np.testing.assert_array_equal(
        read_radiograph(written(ds)).pixels[10:], robust_window(stored[10:].astype(float))
    )


def test_a_voi_function_in_lower_case_is_known() -> None:
    window = {"WindowCenter": 128, "WindowWidth": 100}
    upper = dicom(GREY, VOILUTFunction="SIGMOID", **window)
    lower = upper.replace(b"SIGMOID ", b"sigmoid ")
    assert lower != upper
    np.testing.assert_array_equal(read_radiograph(lower).pixels, read_radiograph(upper).pixels)


@pytest.mark.parametrize("zero", [0, 500, 1900, 3000])
@pytest.mark.parametrize("is_signed", [False, True])
def test_a_missing_pixel_representation_is_found_out_from_the_picture(zero: int, is_signed: bool) -> None:
    stored = DEEP.astype(np.int16) - zero if is_signed else DEEP
    window = {"WindowCenter": 2040.5 - (zero if is_signed else 0), "WindowWidth": 4081}
    data = dicom(stored, BitsStored=13, PixelRepresentation=None, **window)
    np.testing.assert_array_equal(read_radiograph(data).pixels, GREY)


def test_a_slope_of_zero_takes_the_intercept_with_it() -> None:
    data = dicom(GREY, RescaleSlope="0", RescaleIntercept="100", WindowCenter=128, WindowWidth=256)
    np.testing.assert_array_equal(read_radiograph(data).pixels, GREY)
