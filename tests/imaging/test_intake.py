import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from hilum.domain.errors import UnreadableImage
from hilum.domain.thresholds import MAX_FILE_BYTES
from hilum.imaging.intake import read_radiograph

from .make_films import dicom, encode, film, jpeg_frame, png_header


def refusal(source: Path | bytes, name: str | None = None) -> str:
    with pytest.raises(UnreadableImage) as refused:
        read_radiograph(source, name=name)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_path_and_bytes_give_the_same_pixels(tmp_path: Path) -> None:
    data = encode(film(), "PNG")
    (tmp_path / "a.txt").write_bytes(data)  # the name does not matter
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.txt").pixels, film())
    np.testing.assert_array_equal(read_radiograph(data).pixels, film())


def test_zip_named_png(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    assert refusal(path) == (
        "film.png: this is a ZIP archive; expected a PNG, JPEG, TIFF, BMP, WebP or DICOM image (told by"
        " content, not by file name). Export the film in one of these formats."
    )


@pytest.mark.parametrize("data", [encode(film(), "PNG")[:-20], encode(film(), "JPEG")[:400]])
def test_truncated_file(data: bytes) -> None:
    kind = "PNG" if data.startswith(b"\x89") else "JPEG"
    assert refusal(data, "film") == (
        f"film: the {kind} data are truncated or damaged; a complete {kind} file is needed, since a partly"
        " decoded film could hide the lesion. Copy or export it again."
    )


def test_header_that_ends_early() -> None:
    assert "truncated or damaged" in refusal(b"\x89PNG\r\n\x1a\n")


def test_giant_header_is_refused_at_once_and_without_memory() -> None:
    data = png_header(60_000, 60_000)
    tracemalloc.start()
    started = time.perf_counter()
    message = refusal(data, "film.png")
    elapsed_s = time.perf_counter() - started
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert message == (
        "film.png: the header says 60000x60000 px; at most 6000 px a side and 25 million pixels are allowed."
        " Export the film at a lower resolution."
    )
    assert elapsed_s < 0.5
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize(
    ("size", "words"), [((6_001, 10), "6001x10"), ((5_001, 5_000), "5001x5000"), ((0, 9), "0x9")]
)
def test_size_limits(size: tuple[int, int], words: str) -> None:
    assert f"the header says {words} px" in refusal(png_header(*size))


def test_file_size_limit(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    expected = (
        f"huge.png: the file has {MAX_FILE_BYTES + 1:,} bytes; at most {MAX_FILE_BYTES:,}"
        f" ({MAX_FILE_BYTES >> 20} MiB) are allowed. Export the film at a lower resolution or compressed."
    )
    assert refusal(path) == expected
    assert refusal(bytes(MAX_FILE_BYTES + 1), "huge.png") == expected


def test_missing_file_folder_and_bad_path(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.png") == (
        "no.png: cannot be opened (No such file or directory). Check the path."
    )
    assert "this is a folder; a regular file is needed" in refusal(tmp_path)
    assert "the path is not valid" in refusal(Path("a\0b.png"))
    os.mkfifo(tmp_path / "pipe")
    assert "this is a named pipe" in refusal(tmp_path / "pipe")


def test_message_stays_on_one_line_whatever_the_name() -> None:
    assert refusal(b"", "a\nb\x1b[31m.png").startswith("a?b?[31m.png: this is an empty file;")


def test_program_in_the_dicom_preamble() -> None:
    data = b"MZ".ljust(128, b"\0") + dicom(film())[128:]
    assert "a program is hidden in the DICOM preamble" in refusal(data)
    tiff_preamble = b"II*\0".ljust(128, b"\0") + dicom(film())[128:]
    np.testing.assert_array_equal(read_radiograph(tiff_preamble).pixels.shape, film().shape)


def test_scaled_jpeg_decoding_keeps_the_original_size_in_the_facts() -> None:
    large = np.kron(film(), np.ones((20, 20), np.uint8))  # (800, 1120)
    data = jpeg_frame(large)
    scaled, whole = read_radiograph(data, min_side_px=200), read_radiograph(data)
    assert (scaled.facts.width, scaled.facts.height) == (1120, 800)
    assert scaled.facts == whole.facts
    assert scaled.pixels.shape == (400, 560)
    assert whole.pixels.shape == (800, 1120)
    assert abs(scaled.pixels.mean() - whole.pixels.mean()) < 0.5


@pytest.mark.parametrize(
    ("min_side_px", "shape"),
    [
        (50, (100, 140)),
        (51, (200, 280)),
        (100, (200, 280)),
        (101, (400, 560)),
        (201, (800, 1120)),
        (5000, (800, 1120)),
    ],
)
def test_the_reduced_scale_keeps_twice_the_side_asked_for(min_side_px: int, shape: tuple[int, int]) -> None:
    data = jpeg_frame(np.kron(film(), np.ones((20, 20), np.uint8)))
    assert read_radiograph(data, min_side_px=min_side_px).pixels.shape == shape
