"""What damaged files make decoders raise, and how the refusal is worded."""

import struct
import zlib
from typing import Final

from PIL import Image
from pydicom.errors import BytesLengthException, InvalidDicomError

DECODER_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    EOFError,
    MemoryError,
    RuntimeError,
    SystemError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    InvalidDicomError,
    BytesLengthException,
)
"""What leaves Pillow, simplejpeg and pydicom on damaged bytes; RuntimeError includes RecursionError (nested
sequences) and NotImplementedError. Caught only around calls into those libraries."""


def damaged_message(name: str, file_format: str) -> str:
    """Word the refusal of a file that ends early or decodes with errors."""
    return (
        f"{name}: the {file_format} data are truncated or damaged; a complete {file_format} file is needed,"
        " since a partly decoded film could hide the lesion. Copy or export it again."
    )


def too_large_message(name: str, file_format: str) -> str:
    """Word the refusal of a file whose decoder ran out of memory."""
    return (
        f"{name}: decoding the {file_format} takes more memory than a decoder may use. Export the film as"
        " grey, at a lower resolution."
    )
