"""Image attributes of a DICOM header as they are meant: numbers out of text, gaps filled if one value fits.

Writers leave attributes out, write decimal commas or words where a number belongs, and lower case where the
standard has upper case. What every viewer reads the same way is read that way here; what could be read in two
ways is refused by name. Messages quote numbers, never text.
"""

import math
from typing import Any, Final

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from hilum.domain.errors import NoPixels, SeveralFrames, UnreadableImage
from hilum.domain.thresholds import MAX_BITS_STORED, MIN_BITS_STORED
from hilum.imaging.damage import DECODER_ERRORS
from hilum.imaging.limits import check_size
from hilum.imaging.radiograph import ImageFacts

MONOCHROME: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
COLOUR: Final = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
PALETTE: Final = "PALETTE COLOR"
PALETTE_TAGS: Final = ("RedPaletteColorLookupTableDescriptor", "PaletteColorLookupTableUID")
COLOUR_SAMPLES: Final = 3
BITS_OF_BYTE: Final = 8
TEXT_VRS: Final = frozenset({None, "CS", "DS", "IS", "LO", "SH", "ST", "UN", "UT"})
PHOTOMETRICS: Final = {
    "".join(filter(str.isalnum, name)): name for name in (*sorted(MONOCHROME), *sorted(COLOUR), PALETTE)
}
"""The colour models read here, by letters and digits alone: case and separators vary between writers."""


def complete_header(dataset: Dataset, file_bytes: int, *, name: str) -> ImageFacts:
    """Check the image attributes against the limits before any pixel is decoded, and fill the gaps.

    SamplesPerPixel, BitsStored, BitsAllocated and NumberOfFrames (1) get the only value that fits when they
    are missing or unreadable, and are written into `dataset`, where the decoders look for them.
    PixelRepresentation and PlanarConfiguration are left to who knows the pixel data.

    Raises
    ------
    UnreadableImage
        If a needed attribute is missing or is not one that is read here.
    """
    if "Rows" not in dataset or "Columns" not in dataset:
        raise NoPixels(
            f"{name}: the DICOM file holds no image; (0028,0010) Rows, (0028,0011) Columns and (7FE0,0010)"
            " PixelData are needed. Export the image object, not a report or directory."
        )
    width, height = _needed(dataset, "Columns", name=name), _needed(dataset, "Rows", name=name)
    check_size(width, height, name=name)
    frames = _whole(dataset, "NumberOfFrames") or 1
    if frames != 1:
        raise SeveralFrames(
            f"{name}: (0028,0008) NumberOfFrames is {frames}; exactly 1 is allowed. Export the film alone."
        )
    photometric = _photometric(dataset, name=name)
    if photometric == PALETTE and not any(tag in dataset for tag in PALETTE_TAGS):
        raise UnreadableImage(
            f"{name}: (0028,0004) PhotometricInterpretation is PALETTE COLOR and (0028,1101)"
            " RedPaletteColorLookupTableDescriptor is missing; one needs the other. Export the image as"
            " monochrome."
        )
    expected = COLOUR_SAMPLES if photometric in COLOUR else 1
    samples = _whole(dataset, "SamplesPerPixel")
    if samples not in {None, expected}:
        raise UnreadableImage(
            f"{name}: (0028,0002) SamplesPerPixel is {samples}; {photometric} needs {expected}."
            " Export the image as monochrome."
        )
    bits = _bits(dataset, name=name)
    for keyword in ("PixelRepresentation", "PlanarConfiguration"):
        if _whole(dataset, keyword) not in {None, 0, 1}:
            raise UnreadableImage(
                f"{name}: the DICOM attribute {keyword} is {_whole(dataset, keyword)}; 0 or 1 is allowed."
                " Export the film again."
            )
    dataset.NumberOfFrames, dataset.SamplesPerPixel = 1, expected
    dataset.PhotometricInterpretation, dataset.BitsStored = photometric, bits
    return ImageFacts("DICOM", width, height, bits, photometric, file_bytes)


def decimals(dataset: Dataset, keyword: str) -> list[float]:
    """Read a decimal attribute of any multiplicity; [] if missing or empty, NaN for what is not a number.

    A comma stands for the decimal point, or for thousands where there is a point too.
    """
    element = dataset.get_item(keyword)
    if element is None:
        return []
    if isinstance(element, RawDataElement) and element.VR in TEXT_VRS:
        text = (element.value or b"").decode("latin-1").strip("\0 ")
        return [_decimal(part) for part in text.split("\\")] if text else []
    value = value_or_none(dataset, keyword)
    if value in (None, ""):
        return []
    parts = value if isinstance(value, MultiValue | list) else [value]
    return [_decimal(str(part)) for part in parts]


def _decimal(text: str) -> float:
    text = text.strip("\0 ")
    text = text.replace(",", "") if "." in text else text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return math.nan


def value_or_none(dataset: Dataset, keyword: str) -> Any:
    """Return an attribute's value; None where it is missing or pydicom cannot make sense of it."""
    try:
        return dataset.get(keyword)
    except DECODER_ERRORS:
        return None


def _whole(dataset: Dataset, keyword: str) -> int | None:
    """Read one whole number; None if it is missing or is not one."""
    value = value_or_none(dataset, keyword)
    return int(value) if isinstance(value, int) else None


def _needed(dataset: Dataset, keyword: str, *, name: str) -> int:
    value = _whole(dataset, keyword)
    if value is None:
        raise UnreadableImage(
            f"{name}: the DICOM attribute {keyword} is missing or not one whole number; a single value is"
            " needed. Export the film again."
        )
    return value


def _photometric(dataset: Dataset, *, name: str) -> str:
    text = str(value_or_none(dataset, "PhotometricInterpretation") or "")
    photometric = PHOTOMETRICS.get("".join(filter(str.isalnum, text.upper())))
    if photometric is None:
        raise UnreadableImage(
            f"{name}: (0028,0004) PhotometricInterpretation is missing or not one of"
            " MONOCHROME1, MONOCHROME2, RGB, YBR_FULL, YBR_FULL_422, YBR_ICT, YBR_RCT,"
            " PALETTE COLOR. Export the image as monochrome."
        )
    return photometric


def _bits(dataset: Dataset, *, name: str) -> int:
    """Return BitsStored: where it is missing, HighBit + 1, or all bits that are allocated."""
    bits = _whole(dataset, "BitsStored")
    allocated = _whole(dataset, "BitsAllocated")
    high_bit = _whole(dataset, "HighBit")
    if bits is None:
        bits = allocated if high_bit is None else high_bit + 1
    if bits is None:
        raise UnreadableImage(
            f"{name}: the DICOM attributes BitsAllocated, BitsStored and HighBit are all missing or not whole"
            " numbers; one of them is needed. Export the film again."
        )
    if allocated is None:
        allocated = BITS_OF_BYTE * -(-bits // BITS_OF_BYTE)
        dataset.BitsAllocated = allocated
    if not MIN_BITS_STORED <= bits <= min(MAX_BITS_STORED, allocated):
        raise UnreadableImage(
            f"{name}: (0028,0101) BitsStored is {bits}; {MIN_BITS_STORED} to {MAX_BITS_STORED}, within"
            " BitsAllocated, are allowed. Export the film with its grey values."
        )
    if allocated % BITS_OF_BYTE:
        raise UnreadableImage(
            f"{name}: (0028,0100) BitsAllocated is {allocated}; 8, 16 or 32 are allowed. Export the film with"
            " its grey values in whole bytes."
        )
    return bits
