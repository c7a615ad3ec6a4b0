import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from hilum.domain.errors import UnreadableImage
from hilum.imaging.dicom_lut import palette_grey, sequence_lut
from hilum.imaging.intake import read_radiograph

from .make_films import dataset, dicom, film, lut_item, written

GREY = film()
BYTE = {"WindowCenter": 128, "WindowWidth": 256}


@pytest.mark.parametrize("keyword", ["ModalityLUTSequence", "VOILUTSequence"])
@pytest.mark.parametrize("left", [(), ("LUTDescriptor",), ("LUTData",)], ids=str)
def test_a_lut_item_without_its_parts_is_left_out(keyword: str, left: tuple[str, ...]) -> None:
    item = Dataset()
    whole = lut_item(256, 0, 8, [0] * 256)[0]
    for part in left:
        item.add(whole[part])
    ds = dataset(GREY, **BYTE, **{keyword: Sequence([item])})
    np.testing.assert_array_equal(read_radiograph(written(ds)).pixels, GREY)


@pytest.mark.parametrize(("descriptor", "data"), [([256, 0], [1, 2]), ([256, 0, 8], b"")], ids=str)
def test_a_lut_item_with_unusable_parts_is_left_out(descriptor: list[int], data: object) -> None:
    ds = dataset(GREY)
    item = Dataset()
    item.add_new(0x00283002, "US", descriptor)
    item.add_new(0x00283006, "OW" if isinstance(data, bytes) else "US", data)
    ds.VOILUTSequence = Sequence([item])
    assert sequence_lut(ds, "VOILUTSequence", signed=False) is None


@pytest.mark.parametrize("largest", [255, 1023, 4095, 16_383])
def test_a_voi_lut_far_narrower_than_its_descriptor_is_scaled_by_its_largest_entry(largest: int) -> None:
    ds = dataset(GREY)
    ds.VOILUTSequence = lut_item(256, 0, 16, [int(value) for value in np.linspace(0, largest, 256)])
    np.testing.assert_allclose(read_radiograph(written(ds)).pixels, GREY, atol=1)


def test_a_dark_voi_lut_stays_dark() -> None:
    ds = dataset(GREY)
    ds.VOILUTSequence = lut_item(256, 0, 12, [8 * value for value in range(256)])
    np.testing.assert_allclose(read_radiograph(written(ds)).pixels, GREY / 2, atol=1)


@pytest.mark.parametrize("data", [[1, 2, 3], bytes(150)], ids=["words", "bytes"])
def test_a_lut_shorter_than_it_says_is_refused(data: list[int] | bytes) -> None:
    ds = dataset(GREY)
    ds.VOILUTSequence = lut_item(256, 0, 8, data)
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(written(ds))


def palette_film(order: str, *, bits: int, words: np.ndarray | None = None, packed: bytes = b"") -> Dataset:
    """Return a palette image whose palette is the identity, in the byte order of a syntax."""
    syntax = uid.ExplicitVRLittleEndian if order == "<" else uid.ExplicitVRBigEndian
    ds = dataset(GREY, syntax=syntax, PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, bits])
        data = packed if words is None else words.astype(f"{order}u2").tobytes()
        setattr(ds, f"{colour}PaletteColorLookupTableData", data)
    return ds


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "factor"), [(16, 257), (16, 256), (16, 1), (16, 16), (8, 1)])
def test_a_palette_of_words_is_read_in_the_byte_order_of_the_file(order: str, bits: int, factor: int) -> None:
    ds = palette_film(order, bits=bits, words=np.arange(256) * factor)
    np.testing.assert_allclose(read_radiograph(written(ds)).pixels, GREY, atol=1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_palette_of_bytes_is_unpacked_from_the_words_of_the_file(order: str) -> None:
    packed = np.arange(256, dtype=np.uint8)
    if order == ">":
        packed = packed.view("<u2").astype(">u2").view(np.uint8)
    ds = palette_film(order, bits=8, packed=packed.tobytes())
    np.testing.assert_allclose(read_radiograph(written(ds)).pixels, GREY, atol=1)


def test_a_palette_becomes_luma() -> None:
    ds = palette_film("<", bits=16, words=np.arange(256) * 257)
    ds.BluePaletteColorLookupTableData = bytes(512)
    expected = np.rint(GREY * (0.299 + 0.587))
    np.testing.assert_allclose(read_radiograph(written(ds)).pixels, expected, atol=1)


def test_a_segmented_palette_is_read_by_pydicom() -> None:
    ds = dataset(GREY, PhotometricInterpretation="PALETTE COLOR")
    segment = np.array([0, 1, 0, 1, 255, 65_280], "<u2").tobytes()  # discrete 0, then linear up to 65,280
    for colour in ("Red", "Green", "Blue"):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"Segmented{colour}PaletteColorLookupTableData", segment)
    np.testing.assert_allclose(palette_grey(ds, GREY), GREY, atol=1)


def test_a_file_without_a_palette_is_refused_by_its_name() -> None:
    with pytest.raises(UnreadableImage, match="RedPaletteColorLookupTableDescriptor is missing"):
        read_radiograph(dicom(GREY, PhotometricInterpretation="PALETTE COLOR"))
