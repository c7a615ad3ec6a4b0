"""DICOM to upright 8-bit grey, one frame, as a viewer would first show it.

Reads image attributes only: no patient, study or device attribute is looked at, and no attribute value that
could be one enters a message or a chained exception. Knows nothing about the network (`pacs` does).
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import JPEGLSLossless, JPEGLSNearLossless, RLELossless

from hilum.domain.errors import UnreadableImage
from hilum.domain.thresholds import MAX_BITS_STORED, MIN_BITS_STORED
from hilum.imaging.damage import DECODER_ERRORS, damaged_message
from hilum.imaging.dicom_file import JPEG_2000, JPEG_DCT, frame_of, part_10, transfer_syntax
from hilum.imaging.dicom_grey import displayed_grey
from hilum.imaging.limits import check_size
from hilum.imaging.quiet import decoder_warnings_ignored
from hilum.imaging.radiograph import ImageFacts, Radiograph
from hilum.imaging.windowing import WHITE, to_bytes

MONOCHROME = frozenset({"MONOCHROME1", "MONOCHROME2"})
COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
PALETTE = "PALETTE COLOR"
COLOUR_SAMPLES = 3
PLUGINS = {
    RLELossless: "pydicom",
    **dict.fromkeys(JPEG_2000, "pylibjpeg"),
    **dict.fromkeys((JPEGLSLossless, JPEGLSNearLossless), "pyjpegls"),
    **dict.fromkeys(JPEG_DCT, "pillow"),
}
"""Who decodes what, where pydicom would take whoever is installed: on damaged streams pylibjpeg-rle panics
(no Exception) and GDCM aborts the process. JPEG Lossless is left to GDCM, the only one that can."""


def read_dicom(data: bytes, *, name: str) -> Radiograph:
    """Decode a single-frame DICOM image.

    Stored values go through the modality LUT or rescale, then the VOI LUT, the first window, or, without a
    usable one, a robust window; MONOCHROME1 is inverted after that. Padding becomes black. Colour
    (secondary captures) becomes ITU-R 601 luma.

    Parameters
    ----------
    data
        The whole file, with or without the 128-byte preamble.
    name
        For messages.

    Raises
    ------
    UnreadableImage
        If the file is damaged, holds no image or several frames, exceeds the limits, or uses a transfer
        syntax or colour model that is not decoded here.
    """
    with decoder_warnings_ignored():
        try:
            dataset = dcmread(io.BytesIO(part_10(data, name=name)), force=True)
            facts = _facts(dataset, len(data), name=name)
            grey = _decode(dataset, facts, name=name)
        except DECODER_ERRORS:
            # Not chained: messages of pydicom quote header values, and a logged traceback would show them.
            raise UnreadableImage(damaged_message(name, "DICOM")) from None
    return Radiograph(pixels=grey, facts=facts)


def _facts(dataset: Dataset, file_bytes: int, *, name: str) -> ImageFacts:
    """Check the image attributes against the limits before any pixel is decoded."""
    if "PixelData" not in dataset or "Rows" not in dataset or "Columns" not in dataset:
        raise UnreadableImage(
            f"{name}: the DICOM file holds no image; (0028,0010) Rows, (0028,0011) Columns and (7FE0,0010)"
            " PixelData are needed. Export the image object, not a report or directory."
        )
    width, height = _whole(dataset, "Columns", name=name), _whole(dataset, "Rows", name=name)
    check_size(width, height, name=name)
    frames = _whole(dataset, "NumberOfFrames", 1, name=name)
    if frames != 1:
        raise UnreadableImage(
            f"{name}: (0028,0008) NumberOfFrames is {frames}; exactly 1 is allowed. Export the film alone."
        )
    bits = _whole(dataset, "BitsStored", name=name)
    if not MIN_BITS_STORED <= bits <= min(MAX_BITS_STORED, _whole(dataset, "BitsAllocated", name=name)):
        raise UnreadableImage(
            f"{name}: (0028,0101) BitsStored is {bits}; {MIN_BITS_STORED} to {MAX_BITS_STORED}, within"
            " BitsAllocated, are allowed. Export the film with its grey values."
        )
    photometric = dataset.get("PhotometricInterpretation")
    if photometric not in MONOCHROME | COLOUR | {PALETTE}:
        raise UnreadableImage(
            f"{name}: (0028,0004) PhotometricInterpretation is missing or not one of"
            " MONOCHROME1, MONOCHROME2, RGB, YBR_FULL, YBR_FULL_422, YBR_ICT, YBR_RCT,"
            " PALETTE COLOR. Export the image as monochrome."
        )
    samples = _whole(dataset, "SamplesPerPixel", 1, name=name)
    expected = COLOUR_SAMPLES if photometric in COLOUR else 1
    if samples != expected:
        raise UnreadableImage(
            f"{name}: (0028,0002) SamplesPerPixel is {samples}; {photometric} needs {expected}."
            " Export the image as monochrome."
        )
    return ImageFacts(
        format="DICOM",
        width=width,
        height=height,
        bits=bits,
        photometric=str(photometric),
        file_bytes=file_bytes,
    )


def _whole(dataset: Dataset, keyword: str, default: int | None = None, *, name: str) -> int:
    """Read an attribute that must be one whole number."""
    value = dataset.get(keyword)
    if value in (None, "") and default is not None:
        return default
    if not isinstance(value, int):
        raise UnreadableImage(
            f"{name}: the DICOM attribute {keyword} is missing or not one whole number; a single value is"
            " needed. The file is damaged: export it again."
        )
    return int(value)


def _decode(dataset: Dataset, facts: ImageFacts, *, name: str) -> NDArray[np.uint8]:
    """Decode the frame and bring it to uint8 (H, W), air dark."""
    syntax = transfer_syntax(dataset, name=name)
    stored = frame_of(dataset, syntax, facts, name=name)
    if stored is None:
        # Unused bits are masked by HighBit in `dicom_grey`; pydicom would ignore HighBit.
        options: dict[str, Any] = {"raw": False, "correct_unused_bits": False}
        if syntax in PLUGINS:
            options["decoding_plugin"] = PLUGINS[syntax]
        stored, _ = get_decoder(syntax).as_array(dataset, **options)
    sides = (facts.height, facts.width)
    if stored.shape != (sides if facts.photometric not in COLOUR else (*sides, COLOUR_SAMPLES)):
        raise ValueError("pydicom takes surplus data for further frames")
    if syntax in JPEG_2000 and np.ptp(stored) == 0:
        raise ValueError("the frame is one grey value, which is how OpenJPEG shows a damaged stream")
    if facts.photometric in MONOCHROME:
        return displayed_grey(dataset, stored, native=not syntax.is_encapsulated)
    if facts.photometric == PALETTE:
        stored = apply_color_lut(stored, dataset)
        full_scale = np.iinfo(stored.dtype).max
    else:
        full_scale = (1 << facts.bits) - 1
    if full_scale != WHITE:
        stored = to_bytes(stored * (WHITE / full_scale))
    return np.array(Image.fromarray(np.ascontiguousarray(stored)).convert("L"))
