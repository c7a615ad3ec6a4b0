import struct

import pytest

from hilum.imaging.tiff_directory import TiffDirectory

from .make_films import film, tiff_file, tiff_of

GREY = film()[:, :, None]


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_directory_is_read_in_both_orders_and_both_sizes(order: str, is_big: bool) -> None:
    data = tiff_of(GREY, order=order, is_big=is_big, rows_per_strip=9)
    directory = TiffDirectory.read(data)
    assert directory is not None
    assert (directory.order, directory.size, directory.pictures) == (order, (56, 40), 1)
    assert directory.pieces == [(16 + 504 * index, 504 if index < 4 else 224) for index in range(5)]
    assert directory.is_complete(data)
    assert not directory.is_complete(data[:2000])
    assert directory.number(266, 1) == 1


def test_plain_strips_that_are_too_short_are_seen() -> None:
    data = tiff_of(GREY, rows_per_strip=9, pack=lambda piece: piece[:-1])
    directory = TiffDirectory.read(data)
    assert directory is not None
    assert not directory.is_complete(data)
    packed = TiffDirectory.read(tiff_of(GREY, pack=lambda piece: piece[:9], fields={259: 8}))
    assert packed is not None
    assert packed.is_complete(data)


def test_text_and_fractions_are_passed_over() -> None:
    data = bytearray(tiff_of(GREY, fields={305: 0}))
    at = data.index(struct.pack("<HH", 305, 3))
    data[at + 2] = 2  # ASCII
    directory = TiffDirectory.read(bytes(data))
    assert directory is not None
    assert 305 not in directory.numbers


@pytest.mark.parametrize("cut", [3, 7, 40])
def test_a_directory_that_ends_early_is_none(cut: int) -> None:
    assert TiffDirectory.read(tiff_of(GREY)[:cut]) is None


def test_a_directory_without_a_size_is_none() -> None:
    assert TiffDirectory.read(tiff_file(b"", {256: 9})) is None
    assert TiffDirectory.read(tiff_file(b"", {257: 9})) is None


@pytest.mark.parametrize("count", [2**16, 2**20, 2**31])
def test_a_field_longer_than_the_file_or_any_film_is_not_believed(count: int) -> None:
    data = bytearray(tiff_of(GREY))
    at = data.index(struct.pack("<HH", 258, 3)) + 4
    data[at : at + 4] = struct.pack("<I", count)
    assert TiffDirectory.read(bytes(data)) is None


def test_a_directory_of_more_fields_than_any_film_has_is_not_believed() -> None:
    assert TiffDirectory.read(b"II*\0\x08\0\0\0" + struct.pack("<H", 4_097) + bytes(60_000)) is None


def test_an_offset_beyond_all_numbers_is_not_followed() -> None:
    assert TiffDirectory.read(b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(60)) is None


def chained(*kinds: int, loop: bool = False) -> bytes:
    """Directories that follow each other, with these NewSubfileTypes."""
    body, starts = b"", []
    for kind in kinds:
        starts.append(8 + len(body))
        body += struct.pack("<H", 3) + b"".join(
            struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((254, kind), (256, 5), (257, 4))
        )
        body += struct.pack("<I", 8 + len(body) + 4)
    last = starts[0] if loop else 0
    return b"II*\0\x08\0\0\0" + body[:-4] + struct.pack("<I", last)


@pytest.mark.parametrize(
    ("kinds", "pictures"), [((0,), 1), ((0, 0), 2), ((0, 1), 1), ((0, 4, 1, 0), 2), ((0, 2), 2)]
)
def test_previews_and_masks_are_no_further_pictures(kinds: tuple[int, ...], pictures: int) -> None:
    directory = TiffDirectory.read(chained(*kinds))
    assert directory is not None
    assert directory.pictures == pictures


def test_a_loop_of_directories_ends() -> None:
    directory = TiffDirectory.read(chained(0, 0, loop=True))
    assert directory is not None
    assert directory.pictures == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "8-bit grey pixels, uncompressed"),
        ({339: 2, 259: 5}, "signed 8-bit grey pixels, LZW"),
        ({262: 3, 259: 34_712}, "8-bit palette pixels, JPEG 2000"),
        ({262: 77, 259: 77, 284: 2}, "8-bit colour model 77 pixels, plane by plane, compression 77"),
    ],
)
def test_the_coding_in_words(fields: dict[int, int], words: str) -> None:
    directory = TiffDirectory.read(tiff_file(b"", {256: 9, 257: 9, 258: 8, **fields}))
    assert directory is not None
    assert directory.coding == words
