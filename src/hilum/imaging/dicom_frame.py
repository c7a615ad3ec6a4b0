"""The pixel data of a DICOM file: its fragments, how they are really coded, and whether they are whole.

The label in the header (the transfer syntax) is a claim; a stream of JPEG, JPEG-LS or JPEG 2000 says itself
what it is. Everything here is checked before a decoder sees a byte, or is not checked by the decoders.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from hilum.domain.errors import UnreadableImage, UnsupportedCoding
from hilum.imaging.damage import DECODER_ERRORS
from hilum.imaging.dicom_header import BITS_OF_BYTE, COLOUR_SAMPLES, value_or_none
from hilum.imaging.headers import JPEG_2000_START, FrameHeader, frame_header
from hilum.imaging.jpeg_stream import (
    PROGRESSIVE_MARKERS,
    is_sent_in_full,
    undecoded_coding,
    without_extraneous_bytes,
)
from hilum.imaging.radiograph import ImageFacts

PIXEL_DATA: Final = 0x7FE0, 0x0010
ITEM_GROUP: Final = 0xFFFE
ITEM: Final = 0xE000
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
LONG_VRS: Final = frozenset({b"OB", b"OW", b"UN"})

NATIVE: Final = frozenset({uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian})
JPEG_DCT: Final = frozenset({uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit})
JPEG_LOSSLESS: Final = frozenset({uid.JPEGLossless, uid.JPEGLosslessSV1})
JPEG_LS: Final = frozenset({uid.JPEGLSLossless, uid.JPEGLSNearLossless})
JPEG_2000: Final = frozenset(
    {uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K}
)
READABLE: Final = NATIVE | JPEG_DCT | JPEG_LOSSLESS | JPEG_LS | JPEG_2000 | {uid.RLELossless}

JPEG_START: Final = b"\xff\xd8\xff"
JP2_START: Final = b"\0\0\0\x0cjP  "  # the signature box of a JP2 file: T.800 I.5.1
END_OF_STREAM: Final = b"\xff\xd9"  # EOI of T.81 and T.87, EOC of T.800
DCT_MARKERS: Final = frozenset({0xC0, 0xC1, 0xC2})
FAMILIES: Final = {
    **dict.fromkeys(DCT_MARKERS, (JPEG_DCT, uid.JPEGBaseline8Bit)),
    0xC3: (JPEG_LOSSLESS, uid.JPEGLossless),
    0xF7: (JPEG_LS, uid.JPEGLSNearLossless),
    0x51: (JPEG_2000, uid.JPEG2000),
}
"""Frame marker to the transfer syntaxes that may label it, and the one that is taken where none does."""
RLE_HEADER: Final = struct.Struct("<II")  # number of segments, offset of the first: PS3.5 G.5
RLE_MAX_SEGMENTS: Final = 15
RLE_HEADER_BYTES: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class PixelElement:
    """PixelData: `value` as it stands, or joined from fragments if `is_encapsulated`; `vr` is OB or OW."""

    value: bytes
    vr: str
    is_encapsulated: bool


def read_pixel_element(data: bytes, position: int, *, is_little: bool) -> PixelElement | None:
    """Read the element of the pixel data, PS3.5 A.4, at an offset of the file; None if another is there.

    Fragments are followed by their lengths, so bytes inside them that look like a delimiter end nothing, and
    a missing delimiter at the end costs nothing. A value that the file is too short for comes out short.

    Raises
    ------
    struct.error
        If the file ends inside the element's head.
    """
    order = "<" if is_little else ">"
    if data[position : position + 4] != struct.pack(f"{order}HH", *PIXEL_DATA):
        return None
    vr = data[position + 4 : position + 6]
    start = position + (12 if vr in LONG_VRS else 8)
    (length,) = struct.unpack_from(f"{order}I", data, start - 4)
    name = "OB" if vr == b"OB" else "OW"
    if length != UNDEFINED_LENGTH:
        return PixelElement(data[start : start + length], name, is_encapsulated=False)
    fragments = list(_fragments(data, start, order))
    if fragments and not _starts_stream(fragments[0]):
        fragments = fragments[1:]  # the offset table
    return PixelElement(b"".join(fragments), name, is_encapsulated=True)


def _fragments(data: bytes, position: int, order: str) -> Iterator[bytes]:
    while position + 8 <= len(data):
        group, element, length = struct.unpack_from(f"{order}HHI", data, position)
        if (group, element) != (ITEM_GROUP, ITEM):
            return
        yield data[position + 8 : position + 8 + length]
        position += 8 + length


def _starts_stream(fragment: bytes) -> bool:
    return fragment.startswith((JPEG_START, JPEG_2000_START, JP2_START))


def real_syntax(label: uid.UID, element: PixelElement, native_bytes: int, *, name: str) -> uid.UID:
    """Return the transfer syntax that the pixel data are really coded in.

    A stream that names its coding is believed before the label; so are plain pixels of the right number
    under the label of a compressed syntax, and RLE segments under that of an uncompressed one.

    Parameters
    ----------
    label
        The transfer syntax of the header.
    native_bytes
        Bytes of the uncompressed image.

    Raises
    ------
    UnsupportedCoding
        If nothing here decodes it.
    """
    is_plain = not element.is_encapsulated and len(element.value) >= native_bytes
    if not (label in NATIVE and is_plain) and _starts_stream(element.value):
        header = frame_header(_bare(element.value))
        if header is not None and header.marker in FAMILIES:
            family, other = FAMILIES[header.marker]
            return label if label in family else other
    elif label not in NATIVE and label in READABLE and is_plain:
        return uid.ExplicitVRLittleEndian
    elif label in READABLE and element.is_encapsulated and _is_rle(element.value):
        return uid.RLELossless
    if label not in READABLE:
        known = label.name if label.name != label else "not a registered one"
        raise UnsupportedCoding(
            f"{name}: the DICOM transfer syntax is {known}; allowed are uncompressed, deflated, RLE, JPEG,"
            " JPEG-LS, JPEG 2000 and HTJ2K. Export the film uncompressed."
        )
    return label


def _is_rle(value: bytes) -> bool:
    if len(value) < RLE_HEADER_BYTES:
        return False
    segments, offset = RLE_HEADER.unpack_from(value)
    return bool(1 <= segments <= RLE_MAX_SEGMENTS and offset == RLE_HEADER_BYTES)


def put_native(dataset: Dataset, element: PixelElement, native_bytes: int, *, name: str) -> None:
    """Put uncompressed pixels where pydicom decodes them, PlanarConfiguration filled in.

    Raises
    ------
    ValueError
        If the file ends before the last pixel.
    UnreadableImage
        If there are twice as many pixels as the header says, or more.
    """
    if len(element.value) < native_bytes:
        raise ValueError("the pixel data are shorter than the header says")
    if len(element.value) >= 2 * native_bytes:
        raise UnreadableImage(
            f"{name}: Rows, Columns and BitsAllocated of the DICOM header make {native_bytes} bytes, the"
            f" pixel data are {len(element.value)}; the two must agree. Export the film again, alone."
        )
    value = element.value + b"\0" * (len(element.value) % 2)
    dataset.add_new(PIXEL_DATA, element.vr, value)
    if dataset.SamplesPerPixel == COLOUR_SAMPLES and value_or_none(dataset, "PlanarConfiguration") not in (
        0,
        1,
    ):
        dataset.PlanarConfiguration = int(
            _is_planar(value, dataset.Columns * dataset.BitsAllocated // BITS_OF_BYTE)
        )


def _is_planar(value: bytes, row_bytes: int) -> bool:
    """Tell whether colours lie plane by plane: then bytes one row of one plane apart are the most alike."""
    samples = np.frombuffer(value, np.uint8).astype(np.int16)
    steps = (row_bytes, COLOUR_SAMPLES * row_bytes)
    of_plane, of_picture = (float(np.abs(samples[step:] - samples[:-step]).mean()) for step in steps)
    return of_plane < of_picture


def checked_streams(
    element: PixelElement, facts: ImageFacts, *, name: str
) -> tuple[FrameHeader, list[bytes]]:
    """Check the compressed stream of the only frame; bytes after its end marker are left out.

    Its own header must state the size that the DICOM header states (decoders allocate what the stream says),
    and it must reach its end marker. The boxes of a JP2 file around a codestream, which PS3.5 A.4.4 does not
    allow, are taken off.

    Returns
    -------
    The stream's header, and the stream as it is, followed by what to try if a decoder refuses it: without the
    zeros that some writers put before the end marker to make the length even.

    Raises
    ------
    ValueError
        If the stream is cut short or damaged.
    UnreadableImage
        If it states another size, or is coded in a way that is not decoded here.
    """
    stream = _bare(element.value)
    header = frame_header(stream)
    if header is None:
        raise ValueError("the compressed frame has no header")
    if (header.width, header.height) != (facts.width, facts.height):
        raise UnreadableImage(
            f"{name}: the compressed frame is {header.width}x{header.height} px, Columns and Rows of the"
            f" DICOM header say {facts.width}x{facts.height}; the two must agree. Export the film again."
        )
    if header.marker not in FAMILIES:
        coding = undecoded_coding(header) or "arithmetic-coded JPEG"
        raise UnsupportedCoding(
            f"{name}: the DICOM pixels are {coding}, which is not decoded. Export the film uncompressed."
        )
    end = stream.rfind(END_OF_STREAM)
    if end < 0:
        raise ValueError("the compressed frame does not reach its end marker")
    body = stream[:end]
    coded = body.rstrip(b"\0")
    zeros = len(body) - len(coded)
    # The last zero may belong to the coded data: behind FF it always does (stuffing, T.81 B.1.1.5).
    kept = [body, *(body[: len(coded) + extra] for extra in (1, 0) if extra < zeros)]
    return header, [part + END_OF_STREAM for part in kept]


def _bare(stream: bytes) -> bytes:
    """Return the codestream of a frame without the boxes of a JP2 file around it.

    OpenJPEG would read the boxes and could find another stream in them than the one that was checked; its
    reader of boxes also has the faults (CVE-2025-54874, see security/floors.toml).
    """
    return stream if stream.startswith(JPEG_START) else stream[max(stream.find(JPEG_2000_START), 0) :]


def decode_dct(header: FrameHeader, streams: list[bytes], *, name: str) -> tuple[bytes, NDArray[np.uint8]]:
    """Decode a DCT-coded stream to grey, refusing what libjpeg-turbo calls damaged in any way.

    Returns
    -------
    The first of the streams that is whole, and its luma, uint8 (H, W).

    Raises
    ------
    ValueError
        If none is.
    UnsupportedCoding
        If it has more than 8 bits, for which no permissively licensed decoder exists.
    """
    if header.bits != BITS_OF_BYTE:
        raise UnsupportedCoding(
            f"{name}: the DICOM pixels are {header.bits}-bit JPEG Extended; of lossy JPEG only 8 bits"
            " are decoded. Export the film uncompressed or as JPEG 2000."
        )
    if header.marker in PROGRESSIVE_MARKERS and not is_sent_in_full(streams[0]):
        raise ValueError("the last scans of a progressive JPEG are missing")
    for stream in (*streams, without_extraneous_bytes(streams[0])):
        try:
            return stream, simplejpeg.decode_jpeg(stream, colorspace="GRAY", strict=True)[:, :, 0]
        except DECODER_ERRORS:
            continue
    raise ValueError("the compressed frame is cut short or damaged")


def put_stream(dataset: Dataset, stream: bytes) -> None:
    """Put a compressed stream where pydicom decodes it, as the only frame."""
    dataset.add_new(PIXEL_DATA, "OB", encapsulate([stream]))
    dataset["PixelData"].is_undefined_length = True
