import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hilum.imaging.tiff_directory import TiffDirectory
from hilum.imaging.tiff_samples import deep_samples, sample_type

from .make_films import encode, tiff_of

VALUES = np.random.default_rng(0).integers(0, 2000, (37, 53, 3))
KINDS = ("u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8")


def decoded(data: bytes) -> NDArray[Any] | None:
    directory = TiffDirectory.read(data)
    assert directory is not None
    return deep_samples(data, directory)


@pytest.mark.parametrize("layout", [{}, {"rows_per_strip": 5}, {"tile": 16}, {"is_big": True}])
@pytest.mark.parametrize("pack", [(1, bytes), (8, zlib.compress)], ids=["plain", "deflate"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_every_kind_come_out_as_they_went_in(
    kind: str, order: str, pack: tuple[int, Callable[[bytes], bytes]], layout: dict[str, Any]
) -> None:
    for count in (1, 2, 3):
        values = VALUES[:, :, :count].astype(kind)
        data = tiff_of(values, order=order, pack=pack[1], fields={259: pack[0]}, **layout)
        samples = decoded(data)
        assert samples is not None
        assert samples.dtype.newbyteorder("=") == np.dtype(kind)
        np.testing.assert_array_equal(samples, values)


@pytest.mark.parametrize("rows", [37, 37 * 3, 1])
def test_planes_that_follow_each_other_are_put_together(rows: int) -> None:
    planes = np.moveaxis(VALUES.astype(np.uint16), -1, 0)
    samples = decoded(tiff_of(planes, rows_per_strip=rows, fields={284: 2}))
    assert samples is not None
    np.testing.assert_array_equal(samples, VALUES)


@pytest.mark.parametrize("layout", [{"rows_per_strip": 5}, {"tile": 16}])
def test_planes_in_uneven_pieces_are_not_read(layout: dict[str, int]) -> None:
    planes = np.moveaxis(VALUES.astype(np.uint16), -1, 0)
    assert decoded(tiff_of(planes, fields={284: 2}, **layout)) is None


def differences(values: NDArray[Any]) -> NDArray[Any]:
    return np.diff(values, axis=1, prepend=values.dtype.type(0))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u2", "i2", "u4"])
@pytest.mark.parametrize("count", [1, 3])
def test_horizontal_differences_are_added_up(kind: str, order: str, count: int) -> None:
    values = VALUES[:, :, :count].astype(kind)
    data = tiff_of(
        differences(values), order=order, rows_per_strip=6, pack=zlib.compress, fields={259: 8, 317: 2}
    )
    np.testing.assert_array_equal(decoded(data), values)


def test_differences_start_anew_in_every_tile() -> None:
    values = VALUES[:, :, :1].astype(np.uint16)
    stored = np.concatenate([differences(values[:, left : left + 16]) for left in range(0, 53, 16)], axis=1)
    data = tiff_of(stored, tile=16, pack=zlib.compress, fields={259: 8, 317: 2})
    np.testing.assert_array_equal(decoded(data), values)


@pytest.mark.parametrize("kind", [">f4", ">f8", ">f2"])
@pytest.mark.parametrize("count", [1, 3])
def test_the_predictor_of_floating_point_is_undone(kind: str, count: int) -> None:
    """By the rule of TIFF Technical Note 3: bytes of equal weight together, then byte differences."""
    values = VALUES[:, :, :count].astype(kind)
    height, width, _ = values.shape
    by_weight = values.view(np.uint8).reshape(height, width * count, -1).swapaxes(1, 2)
    stored = differences(np.ascontiguousarray(by_weight).reshape(height, -1, count))
    as_floats = np.ascontiguousarray(stored).reshape(height, -1).view(kind).reshape(values.shape)
    data = tiff_of(as_floats, order=">", pack=zlib.compress, fields={259: 8, 317: 3})
    np.testing.assert_array_equal(decoded(data), values)


def test_libtiff_agrees_on_the_predictors() -> None:
    for values, predictor in (
        (VALUES[:, :, 0].astype(np.uint16), 2),
        (VALUES[:, :, 0].astype(np.float32), 3),
    ):
        data = encode(Image.fromarray(values), "TIFF", compression="tiff_lzw", tiffinfo={317: predictor})
        samples = decoded(data)
        assert samples is not None
        np.testing.assert_array_equal(samples[:, :, 0], values)


def test_a_floating_point_tile_that_goes_on_behind_the_picture_is_refused() -> None:
    data = tiff_of(VALUES.astype(np.float32), tile=16, pack=zlib.compress, fields={259: 8, 317: 3})
    with pytest.raises(ValueError, match="goes on behind the picture"):
        decoded(data)


def test_data_cut_short_are_refused_without_a_word_of_libtiff(capfd: pytest.CaptureFixture[str]) -> None:
    for pack in (lambda piece: zlib.compress(piece[:-9]), lambda piece: zlib.compress(piece)[:-9]):
        with pytest.raises(OSError, match="decoder error"):
            decoded(tiff_of(VALUES.astype(np.uint16), pack=pack, fields={259: 8}))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "fields",
    [{258: 8}, {258: (16, 16, 8)}, {339: (1, 1, 3)}, {259: 7}, {273: None, 279: None}],
)
def test_what_is_not_deep_or_not_alike_is_left_to_others(fields: dict[int, Any]) -> None:
    assert decoded(tiff_of(VALUES.astype(np.uint16), fields=fields)) is None


def test_samples_of_an_undefined_kind_are_taken_for_whole_numbers() -> None:
    directory = TiffDirectory.read(tiff_of(VALUES.astype(np.uint16), fields={339: 4}))
    assert directory is not None
    assert sample_type(directory) == np.dtype("<u2")
