import io
import zlib

import numpy as np
import pytest
from pydicom import dcmread, uid

from hilum.domain.errors import UnreadableImage
from hilum.domain.thresholds import MAX_INFLATED_BYTES
from hilum.imaging.dicom_file import meta_end, part_10, transfer_syntax
from hilum.imaging.intake import read_radiograph

from .make_films import dicom, film, relabelled

NATIVE_SYNTAXES = [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]


def test_deflation_is_undone_and_the_syntax_rewritten() -> None:
    data = part_10(dicom(film(), syntax=uid.DeflatedExplicitVRLittleEndian), name="a")
    ds = dcmread(io.BytesIO(data))
    assert ds.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    np.testing.assert_array_equal(ds.pixel_array, film())


def test_what_is_not_deflated_stays_as_it_is() -> None:
    data = dicom(film())
    assert part_10(data, name="a") is data


def deflated(inflated: bytes) -> bytes:
    whole = dicom(film(), syntax=uid.DeflatedExplicitVRLittleEndian)
    ds = dcmread(io.BytesIO(whole))
    head = 132 + 12 + ds.file_meta.FileMetaInformationGroupLength
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return whole[:head] + packer.compress(inflated) + packer.flush()


def test_a_deflation_bomb_stops_at_the_limit() -> None:
    bomb = deflated(bytes(MAX_INFLATED_BYTES + 1))
    assert len(bomb) < 100_000
    with pytest.raises(UnreadableImage) as refused:
        read_radiograph(bomb, name="bomb.dcm")
    assert str(refused.value) == (
        "bomb.dcm: the deflated DICOM data set holds more than 64 MiB, the most that is allowed."
        " Export the film uncompressed."
    )


def test_a_cut_deflated_stream_is_refused() -> None:
    data = dicom(film(), syntax=uid.DeflatedExplicitVRLittleEndian)
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(data[:-40])


def test_a_deflated_data_set_in_a_wrapper_of_zlib_is_read() -> None:
    plain = dicom(film())
    packed = zlib.compress(plain[meta_end(plain)[0] :])
    wrapped = relabelled(plain, uid.DeflatedExplicitVRLittleEndian)
    wrapped = wrapped[: meta_end(wrapped)[0]] + packed
    np.testing.assert_array_equal(read_radiograph(wrapped).pixels, read_radiograph(plain).pixels)


def test_a_data_set_that_is_not_deflated_as_its_label_says_is_read() -> None:
    data = dicom(film())
    found = read_radiograph(relabelled(data, uid.DeflatedExplicitVRLittleEndian))
    np.testing.assert_array_equal(found.pixels, read_radiograph(data).pixels)


@pytest.mark.parametrize("real", NATIVE_SYNTAXES)
@pytest.mark.parametrize("label", NATIVE_SYNTAXES)
def test_a_label_that_contradicts_the_data_set_is_not_believed(real: str, label: str) -> None:
    deep = film().astype(np.uint16) * 16
    data = dicom(deep, syntax=real, BitsStored=12, WindowCenter=2040.5, WindowWidth=4081, Modality="DX")
    assert meta_end(data)[1] == real
    np.testing.assert_array_equal(read_radiograph(relabelled(data, label)).pixels, film())


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ((True, True), uid.ImplicitVRLittleEndian),
        ((False, True), uid.ExplicitVRLittleEndian),
        ((False, False), uid.ExplicitVRBigEndian),
    ],
)
def test_a_missing_transfer_syntax_is_the_one_it_was_parsed_with(
    encoding: tuple[bool, bool], expected: uid.UID
) -> None:
    ds = dcmread(io.BytesIO(dicom(film())))
    assert transfer_syntax(ds) == uid.ExplicitVRLittleEndian
    del ds.file_meta
    ds.set_original_encoding(*encoding)
    assert transfer_syntax(ds) == expected
