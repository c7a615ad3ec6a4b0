import numpy as np
import pytest
from PIL import Image

from hilum.domain.errors import HostileFile, UnreadableImage
from hilum.imaging.intake import read_radiograph
from hilum.imaging.png_chunks import whole_chunks

from .make_films import chunk, encode, film

GREY = encode(film(), "PNG")


def with_chunk(kind: bytes, content: bytes, *, is_whole: bool, data: bytes = GREY) -> bytes:
    """Put a chunk behind the header, with a wrong checksum unless whole."""
    one = bytearray(chunk(kind, content))
    one[-1] ^= 0 if is_whole else 1
    return data[:33] + bytes(one) + data[33:]


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"tIME", b"iCCP", b"eXIf", b"pHYs", b"gAMA", b"prVt"])
def test_a_wrong_checksum_in_what_is_not_the_picture_costs_nothing(kind: bytes) -> None:
    data = with_chunk(kind, b"Comment\0x", is_whole=False)
    assert whole_chunks(data) == GREY
    np.testing.assert_array_equal(read_radiograph(data).pixels, film())


def test_whole_chunks_stay_and_what_lies_behind_the_end_goes() -> None:
    data = with_chunk(b"tEXt", b"Comment\0x", is_whole=True)
    assert whole_chunks(data + b"behind") == data


def broken(data: bytes, kind: bytes, *, at_checksum: bool) -> bytes:
    start = data.index(kind)
    length = int.from_bytes(data[start - 4 : start], "big")
    place = start + 4 + (length if at_checksum else 0)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("at_checksum", [True, False])
@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"])
def test_damage_in_the_picture_is_refused(kind: bytes, at_checksum: bool) -> None:
    data = encode(Image.fromarray(film()).convert("P"), "PNG", transparency=60)
    read_radiograph(data)
    damaged = broken(data, kind, at_checksum=at_checksum)
    assert whole_chunks(damaged) is None or (kind, at_checksum) == (b"IEND", False)
    with pytest.raises(UnreadableImage, match="PNG data are truncated or damaged|the header says"):
        read_radiograph(damaged)


@pytest.mark.parametrize("length", [8, 20, 33, len(GREY) - 12, len(GREY) - 1])
def test_a_file_that_ends_early_is_not_whole(length: int) -> None:
    assert whole_chunks(GREY[:length]) is None


def test_a_text_that_inflates_without_end_is_called_hostile() -> None:
    import zlib

    data = with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 23), 9), is_whole=True)
    with pytest.raises(HostileFile, match="inflates to far more than a film needs"):
        read_radiograph(data)
