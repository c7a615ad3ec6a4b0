"""DICOM to upright 8-bit grey, one frame, as a viewer would first show it.

Reads image attributes, and what `header_claims` takes out of a header in known words; no other patient, study
or device attribute is looked at, and no attribute value that could be one enters a message or a chained
exception. Knows nothing about the network (`pacs` does).
"""

import io
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.decoders.base import get_decoder

from hilum.domain.errors import DamagedImage, NoPixels, UnreadableImage
from hilum.imaging.damage import DECODER_ERRORS, damaged_message
from hilum.imaging.dicom_file import part_10, transfer_syntax
from hilum.imaging.dicom_frame import (
    DCT_MARKERS,
    JPEG_2000,
    JPEG_DCT,
    JPEG_LOSSLESS,
    JPEG_LS,
    NATIVE,
    PixelElement,
    checked_streams,
    decode_dct,
    put_native,
    put_stream,
    read_pixel_element,
    real_syntax,
)
from hilum.imaging.dicom_grey import displayed_grey, looks_signed
from hilum.imaging.dicom_header import (
    BITS_OF_BYTE,
    MONOCHROME,
    PALETTE,
    complete_header,
    value_or_none,
)
from hilum.imaging.dicom_lut import palette_grey
from hilum.imaging.header_claims import read_claims
from hilum.imaging.jpeg_lossless import SOF3, check_lossless, holds_all_pixels
from hilum.imaging.quiet import decoder_warnings_ignored, printed_warnings_dropped
from hilum.imaging.radiograph import ImageFacts, Radiograph
from hilum.imaging.windowing import WHITE, to_bytes

FLOAT_PIXELS: Final = frozenset({b"\xe0\x7f\x08\0", b"\xe0\x7f\x09\0"})  # FloatPixelData and its double
PLUGINS: Final = {
    uid.RLELossless: "pydicom",
    **dict.fromkeys(JPEG_2000, "pylibjpeg"),
    **dict.fromkeys(JPEG_LS, "pyjpegls"),
    **dict.fromkeys(JPEG_DCT, "pillow"),
}
"""Who decodes what, where pydicom would take whoever is installed: on damaged streams pylibjpeg-rle panics
(no Exception) and GDCM aborts the process. JPEG Lossless is left to GDCM, the only one that can, after
`check_lossless`."""


def read_dicom(data: bytes, *, name: str) -> Radiograph:
    """Decode a single-frame DICOM image.

    Stored values go through the modality LUT or rescale, then the VOI LUT, the first window, or, without a
    usable one, a robust window; MONOCHROME1 is inverted after that, or what PresentationLUTShape says.
    Padding becomes black. Colour (secondary captures) becomes ITU-R 601 luma. What the file is coded in is
    taken from the pixel data where its label contradicts them.

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
            data_set = part_10(data, name=name)
            file = io.BytesIO(data_set)
            dataset = dcmread(file, force=True, stop_before_pixels=True)
            position = file.tell()
            is_little = dataset.original_encoding[1] is not False
            element = read_pixel_element(data_set, position, is_little=is_little)
            if element is None:
                raise _without_pixels(dataset, data_set[position:], len(data_set), name=name)
            if "Rows" not in dataset:  # the tags are out of order, and the rest comes behind the pixels
                dataset = dcmread(io.BytesIO(data_set), force=True)
            facts = complete_header(dataset, len(data), name=name)
            claims = read_claims(dataset)
            grey = _decode(dataset, element, facts, name=name)
        except DECODER_ERRORS:
            # Not chained: messages of pydicom quote header values, and a logged traceback would show them.
            raise DamagedImage(damaged_message(name, "DICOM")) from None
    return Radiograph(pixels=grey, facts=replace(facts, header=claims))


def _without_pixels(dataset: Dataset, rest: bytes, file_end: int, *, name: str) -> UnreadableImage:
    """Say why there are no pixels: never any, of another kind, or the file ends before them."""
    if rest[:4] in FLOAT_PIXELS:
        return UnreadableImage(
            f"{name}: the DICOM pixels are floating-point numbers; whole numbers (7FE0,0010) PixelData are"
            " needed. Export the film itself, not a derived map."
        )
    last = dataset.get_item(max(dataset.keys())) if len(dataset) else None
    if isinstance(last, RawDataElement) and last.value_tell + last.length != file_end:
        return DamagedImage(damaged_message(name, "DICOM"))
    return NoPixels(
        f"{name}: the DICOM file holds no image; (0028,0010) Rows, (0028,0011) Columns and (7FE0,0010)"
        " PixelData are needed. Export the image object, not a report or directory."
    )


def _decode(dataset: Dataset, element: PixelElement, facts: ImageFacts, *, name: str) -> NDArray[np.uint8]:
    """Decode the frame and bring it to uint8 (H, W), air dark."""
    native_bytes = (
        facts.width * facts.height * dataset.SamplesPerPixel * dataset.BitsAllocated // BITS_OF_BYTE
    )
    if facts.photometric == "YBR_FULL_422":
        native_bytes = native_bytes * 2 // 3  # half of the colour samples: PS3.3 C.7.6.3.1.2
    syntax = real_syntax(transfer_syntax(dataset), element, native_bytes, name=name)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    is_sign_stated = value_or_none(dataset, "PixelRepresentation") in {0, 1}
    if not is_sign_stated:
        dataset.PixelRepresentation = 0
    stored = _stored(dataset, element, syntax, facts, native_bytes, name=name)
    if not is_sign_stated:
        dataset.PixelRepresentation = int(looks_signed(stored, facts.bits))
    if syntax in JPEG_2000 and np.ptp(stored) == 0:
        raise ValueError("the frame is one grey value, which is how OpenJPEG shows a damaged stream")
    if facts.photometric in MONOCHROME:
        return displayed_grey(dataset, stored, native=syntax in NATIVE | {uid.RLELossless})
    if facts.photometric == PALETTE:
        return palette_grey(dataset, stored)
    full_scale = (1 << facts.bits) - 1
    if full_scale != WHITE:
        stored = to_bytes(stored * (WHITE / full_scale))
    return np.array(Image.fromarray(np.ascontiguousarray(stored)).convert("L"))


def _stored(
    dataset: Dataset,
    element: PixelElement,
    syntax: uid.UID,
    facts: ImageFacts,
    native_bytes: int,
    *,
    name: str,
) -> NDArray[Any]:
    """Decode the stored values: (H, W), or (H, W, 3) for colour."""
    if syntax in NATIVE:
        put_native(dataset, element, native_bytes, name=name)
        return _decoded(dataset, syntax)
    dataset.PlanarConfiguration = value_or_none(dataset, "PlanarConfiguration") or 0
    if syntax == uid.RLELossless:
        put_stream(dataset, element.value)
        return _decoded(dataset, syntax)
    header, streams = checked_streams(element, facts, name=name)
    if header.marker in DCT_MARKERS:
        whole, grey = decode_dct(header, streams, name=name)
        if dataset.SamplesPerPixel == 1 or simplejpeg.decode_jpeg_header(whole)[2] == "Gray":
            return grey
        streams = [whole]
    if header.marker == SOF3:
        check_lossless(streams[0], components=dataset.SamplesPerPixel, bits_allocated=dataset.BitsAllocated)
    for stream in streams:
        put_stream(dataset, stream)
        try:
            values = _decoded(dataset, syntax)
            if header.marker != SOF3 or holds_all_pixels(stream, _as_coded(dataset, syntax, values)):
                return values
        except DECODER_ERRORS:
            continue
    raise ValueError("no decoder takes the compressed frame")


def _as_coded(dataset: Dataset, syntax: uid.UID, values: NDArray[Any]) -> NDArray[Any]:
    """Return decoded values before any conversion of colour."""
    is_converted = str(dataset.PhotometricInterpretation).startswith("YBR")
    return _decoded(dataset, syntax, raw=True) if is_converted else values


def _decoded(dataset: Dataset, syntax: uid.UID, *, raw: bool = False) -> NDArray[Any]:
    # Unused bits are masked by HighBit in `dicom_grey`; pydicom would ignore HighBit.
    options: dict[str, Any] = {"raw": raw, "correct_unused_bits": False}
    if syntax in PLUGINS:
        options["decoding_plugin"] = PLUGINS[syntax]
    with printed_warnings_dropped() if syntax in JPEG_LOSSLESS else nullcontext():  # GDCM prints
        return get_decoder(syntax).as_array(dataset, **options)[0]
