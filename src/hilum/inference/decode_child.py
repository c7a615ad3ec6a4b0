"""The process that decodes films: bytes in, pixels out, with little memory and nothing else at hand.

Decoders are written in C and read what strangers send. Here a decoder that crashes, hangs or eats memory ends
this process and no more; `hilum.inference.decoding` starts another. Started as a module; talks on stdin and
stdout in frames of a length (4 bytes, little endian) and so many bytes.

    request   JSON {side_px, display, formats}, then the file
    answer    JSON {facts, field, film_sha256} or {error, message}, then pixels uint8 (side, side), followed
              by the whole picture in the same form where the field is less, then a PNG of it or nothing
"""

import ctypes
import json
import os
import resource
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.data.pixel_cache import decode_film
from hilum.domain.errors import ImageTooLarge, InputError, UnsupportedFormat
from hilum.domain.thresholds import DECODE_MEMORY_BYTES, DISPLAY_SIDE_PX
from hilum.imaging.damage import too_large_message
from hilum.imaging.headers import sniff_format
from hilum.imaging.intake import read_radiograph
from hilum.inference.decoding import LENGTH

FILM_NAME = "film"
"""How messages call the film: its file name may identify a patient and never comes here."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _SIGKILL = 1, 4, 9


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next frame; None at the end of the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None


def write_frame(stream: BinaryIO, *parts: bytes) -> None:
    """Write frames and flush."""
    for part in parts:
        stream.write(LENGTH.pack(len(part)))
        stream.write(part)
    stream.flush()


def main() -> None:
    """Answer requests until stdin ends."""
    cv2.setNumThreads(1)
    _confine()
    requests, answers = sys.stdin.buffer, _take_stdout()
    write_frame(answers, b"ready")
    while (request := read_frame(requests)) is not None:
        film = read_frame(requests)
        if film is None:
            return
        write_frame(answers, *_answer(film, **json.loads(request)))


def _take_stdout() -> BinaryIO:
    """Keep stdout for answers: what a decoder prints there goes nowhere."""
    own = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return os.fdopen(own, "wb")


def _confine() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (DECODE_MEMORY_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # nothing of a film is ever written to disk here
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        libc.prctl(_PR_SET_DUMPABLE, 0)


def _answer(film: bytes, *, side_px: int, display: bool, formats: list[str] | None) -> tuple[bytes, ...]:
    try:
        _check_format(film, formats)
        decoded = decode_film(film, name=FILM_NAME, side_px=side_px)
        png = _display(film) if display else b""
    except InputError as error:
        return _refuse(type(error).__name__, str(error))
    except MemoryError:
        return _refuse(ImageTooLarge.__name__, too_large_message(FILM_NAME, "image"))
    head: dict[str, Any] = {
        "facts": asdict(decoded.facts),
        "field": asdict(decoded.field),
        "film_sha256": decoded.sha256,
    }
    picture = b"" if decoded.picture is None else decoded.picture.tobytes()
    return json.dumps(head, allow_nan=False).encode(), decoded.pixels.tobytes() + picture, png


def _refuse(error: str, message: str) -> tuple[bytes, ...]:
    return json.dumps({"error": error, "message": message}, allow_nan=False).encode(), b"", b""


def _check_format(film: bytes, formats: list[str] | None) -> None:
    found = sniff_format(film)
    if formats is not None and found is not None and found not in formats:
        raise UnsupportedFormat(
            f"{FILM_NAME}: this is a {found} image; expected {' or '.join(formats)}."
            " Export the film in one of these formats."
        )


def _display(film: bytes) -> bytes:
    pixels: NDArray[np.uint8] = read_radiograph(film, name=FILM_NAME, min_side_px=DISPLAY_SIDE_PX).pixels
    shrink = DISPLAY_SIDE_PX / max(pixels.shape)
    if shrink < 1.0:
        size = tuple(max(1, round(shrink * side)) for side in reversed(pixels.shape))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, png = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return png.tobytes()


if __name__ == "__main__":
    main()
