"""What the service says of a film is what the command line says of it."""

import json
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from hilum.domain import errors
from hilum.domain.errors import FileUnreadable, InputError, UnreadableImage, UnsuitableImage
from hilum.domain.thresholds import MAX_FILE_BYTES
from hilum.inference.decode_child import _answer
from hilum.inference.decoding import _REFUSALS
from hilum.serving.problems import _IMAGE_SENTENCES, describe
from tests.imaging.make_films import chunk, dataset, dicom, encode, film, jpeg_frame, png_header, written

PLANTED = "ROENTGEN"  # the patient of every DICOM file here


def _coded_elsewhere() -> bytes:
    data = bytearray(jpeg_frame(film()))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = 0xC1, 12
    return bytes(data)


def _bomb() -> bytes:
    good = encode(film(), "PNG")
    return good[:33] + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 23), 9)) + good[33:]


def _without_pixels() -> bytes:
    report = dataset(film())
    del report.PixelData
    return written(report)


FILES: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "a text": (lambda: b"not a film", "unsupported_format", 415),
    "12-bit JPEG": (_coded_elsewhere, "unsupported_coding", 415),
    "too many bytes": (lambda: bytes(MAX_FILE_BYTES + 1), "too_large", 413),
    "too many pixels": (lambda: png_header(60_000, 60_000), "image_too_large", 422),
    "cut PNG": (lambda: encode(film(), "PNG")[:-20], "image_damaged", 422),
    "cut JPEG": (lambda: jpeg_frame(film())[:400] + b"\xff\xd9", "image_damaged", 422),
    "cut DICOM": (lambda: dicom(film())[:-500], "image_damaged", 422),
    "a program": (lambda: b"MZ".ljust(128, b"\0") + dicom(film())[128:], "hostile_file", 422),
    "a text that grows": (_bomb, "hostile_file", 422),
    "frames": (lambda: dicom(film(), NumberOfFrames=2), "several_frames", 422),
    "a report": (_without_pixels, "no_pixels", 422),
    "contradicting header": (lambda: dicom(film(), PhotometricInterpretation="HSV"), "unreadable_image", 422),
    "small": (lambda: encode(film(), "PNG"), "unsuitable_image", 422),
    "long": (lambda: encode(np.zeros((100, 400), np.uint8), "PNG"), "unsuitable_image", 422),
}


def refusal(data: bytes) -> InputError:
    """Return the error as it comes out of the pipe of the decoding process."""
    head = json.loads(_answer(data, side_px=32, display=False, formats=None)[0])
    return _REFUSALS[head["error"]](head["message"])


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_gets_the_sentence_of_its_true_reason(name: str) -> None:
    make, code, status = FILES[name]
    error = refusal(make())
    problem = describe(error)
    assert (problem.code, problem.status) == (code, status)
    assert problem.code == error.code  # what the command line prints before its message
    assert problem.detail.endswith(".")
    assert problem.fix
    assert PLANTED not in problem.detail + problem.fix + str(error)
    assert "HSV" not in problem.detail + problem.fix


def test_every_sentence_is_reached_by_a_file() -> None:
    assert {code for _, code, _ in FILES.values()} == {kind.code for kind in _IMAGE_SENTENCES}


def test_every_reason_has_a_sentence_and_passes_the_pipe() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, UnreadableImage | UnsuitableImage)
    ]
    assert len(kinds) >= 10
    assert set(kinds) - set(_IMAGE_SENTENCES) == {FileUnreadable}  # of paths, and the service reads none
    assert set(_REFUSALS.values()) == set(kinds)


def test_a_reason_without_a_sentence_gets_that_of_the_class_above() -> None:
    problem = describe(FileUnreadable("film: cannot be opened"))
    assert (problem.status, problem.code) == (422, "unreadable_image")
