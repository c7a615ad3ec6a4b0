"""The one value that pixels travel in.

Knows nothing about files or codecs: whoever builds a `Radiograph` has already brought the picture to
uint8, one channel, MONOCHROME2 (air dark), upright.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GREY_DIMENSIONS = 2


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the file said about itself; carries no patient data, so it may be logged.

    Parameters
    ----------
    format
        "PNG", "JPEG", "TIFF", "BMP", "WEBP" or "DICOM".
    width, height
        Pixels of the original upright image, whatever scale it was decoded at.
    bits
        Bits per sample as stored.
    photometric
        DICOM's word for it where there is one ("MONOCHROME1", "RGB"), else "CMYK", "RGBA", ...
    file_bytes
        Bytes of the encoded file.
    """

    format: str
    width: int
    height: int
    bits: int
    photometric: str
    file_bytes: int

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.bits, self.file_bytes) < 1:
            raise ValueError(f"width, height, bits and file_bytes must be at least 1, got {self!r}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Radiograph:
    """A decoded film.

    Parameters
    ----------
    pixels
        uint8 (H, W), C-contiguous, MONOCHROME2 (air dark), upright. Made read-only here: the array
        is shared between the network, the explanation and the cache.
    facts
        About the original file; ``facts.width`` may exceed W when a scaled decode was asked for.
    """

    pixels: NDArray[np.uint8]
    facts: ImageFacts

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != GREY_DIMENSIONS or pixels.size == 0:
            raise ValueError(f"pixels must be uint8 (H, W), got {pixels.dtype} {pixels.shape}")
        if not pixels.flags.c_contiguous:
            raise ValueError("pixels must be C-contiguous")
        if pixels.shape[0] > self.facts.height or pixels.shape[1] > self.facts.width:
            raise ValueError(f"pixels {pixels.shape} are larger than the original, {self.facts!r}")
        pixels.flags.writeable = False

    def __repr__(self) -> str:
        height, width = self.pixels.shape
        return f"Radiograph({width}x{height} px, {self.facts!r})"
