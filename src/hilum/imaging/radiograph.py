"""The one value that pixels travel in.

Knows nothing about files or codecs: whoever builds a `Radiograph` has already brought the picture to
uint8, one channel, MONOCHROME2 (air dark), upright.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

GREY_DIMENSIONS = 2


@dataclass(frozen=True, slots=True)
class HeaderClaims:
    """What a header says that may contradict a frontal chest film; None or False where it says nothing.

    Parameters
    ----------
    modality
        A modality of another kind than a radiograph's ("CT"), never a text of the header.
    body_part
        Another part than the chest ("HAND"), likewise.
    view
        "lateral" or "oblique".
    for_processing
        Whether the pixels are raw detector values, meant for a program that makes a film of them.
    age_years
        Whole years, at most `OLDEST_STATED_AGE_YEARS`: older ages identify people.
    """

    modality: str | None = None
    body_part: str | None = None
    view: str | None = None
    for_processing: bool = False
    age_years: int | None = None


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the file said about itself; carries no patient data, so its `repr` may be logged.

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
    header
        What a DICOM header says that may contradict a frontal chest film; None for other formats.
    """

    format: str
    width: int
    height: int
    bits: int
    photometric: str
    file_bytes: int
    header: HeaderClaims | None = field(default=None, repr=False)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "ImageFacts":
        """Read what `dataclasses.asdict` made, by way of JSON."""
        header = record.get("header")
        return cls(**{**record, "header": HeaderClaims(**header) if header else None})

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
