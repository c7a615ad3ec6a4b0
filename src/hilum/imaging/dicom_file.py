"""The outside of a DICOM file: preamble, deflation, transfer syntax and the compressed frame.

Everything that must be checked before pydicom may touch the bytes, or that its decoders do not check.
"""

import struct
import zlib

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame

from hilum.domain.errors import UnreadableImage, UnsupportedFormat
from hilum.domain.thresholds import MAX_INFLATED_BYTES
from hilum.imaging.headers import DICOM_PREFIX_OFFSET, JPEG_2000_START, frame_header
from hilum.imaging.limits import MEBIBYTE
from hilum.imaging.radiograph import ImageFacts

PREAMBLE = bytes(DICOM_PREFIX_OFFSET) + b"DICM"
META_GROUP = 2
TRANSFER_SYNTAX_ELEMENT = 0x0010
LONG_FORM_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"})

NATIVE = frozenset({uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian})
JPEG_DCT = frozenset({uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit})
JPEG_2000 = frozenset(
    {uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K}
)
STREAMS = (
    JPEG_DCT | JPEG_2000 | {uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless}
)
READABLE = NATIVE | STREAMS | {uid.RLELossless}
END_OF_STREAM = b"\xff\xd9"  # EOI of T.81 and T.87, EOC of T.800
DCT_MARKERS = frozenset({0xC0, 0xC1, 0xC2})
DCT_BITS = 8
MAX_TRAILING_BYTES = 8  # padding to even length, PS3.5 A.4; some writers pad to 4 or 8


def part_10(data: bytes, *, name: str) -> bytes:
    """Return the file with preamble and without deflation, the inflated bytes counted while inflating.

    A deflated data set (PS3.5 A.5) is replaced by its content, and its transfer syntax by Explicit VR
    Little Endian, because pydicom inflates without a limit. A data set without a preamble is left
    for pydicom to guess.

    Raises
    ------
    UnreadableImage
        If it inflates beyond `MAX_INFLATED_BYTES`.
    ValueError, zlib.error
        If the deflated stream is cut short or damaged.
    """
    if data.startswith(b"DICM"):
        data = bytes(DICOM_PREFIX_OFFSET) + data
    start, syntax_at, syntax = _meta_end(data)
    if syntax != uid.DeflatedExplicitVRLittleEndian:
        return data
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(data[start:], MAX_INFLATED_BYTES + 1)
    if len(inflated) > MAX_INFLATED_BYTES:
        raise UnreadableImage(
            f"{name}: the deflated DICOM data set holds more than {MAX_INFLATED_BYTES // MEBIBYTE} MiB,"
            " the most that is allowed. Export the film uncompressed."
        )
    if not inflater.eof:
        raise ValueError("the deflated data set is cut short")
    plain = uid.ExplicitVRLittleEndian.encode().ljust(len(syntax), b"\0")
    return data[:syntax_at] + plain + data[syntax_at + len(plain) : start] + inflated


def _meta_end(data: bytes) -> tuple[int, int, str]:
    """Walk group 0002, always Explicit VR Little Endian (PS3.10 7.1).

    Returns
    -------
    Offset of the data set, offset of the transfer syntax value and that value ("" if there is none).
    """
    position = len(PREAMBLE) if data[DICOM_PREFIX_OFFSET : len(PREAMBLE)] == b"DICM" else 0
    syntax_at, syntax = 0, ""
    while position + 8 <= len(data):
        group, element, vr, length = struct.unpack_from("<HH2sH", data, position)
        if group != META_GROUP:
            break
        position += 8
        if vr in LONG_FORM_VRS:
            (length,) = struct.unpack_from("<I", data, position)
            position += 4
        if element == TRANSFER_SYNTAX_ELEMENT:
            syntax_at = position
            syntax = data[position : position + length].decode("ascii").strip("\0 ")
        position += length
    return position, syntax_at, syntax


def transfer_syntax(dataset: Dataset, *, name: str) -> uid.UID:
    """Return the transfer syntax, from how the data set was parsed if the file does not say.

    Raises
    ------
    UnreadableImage
        If no decoder of ours reads it.
    """
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    found = meta.get("TransferSyntaxUID")
    if found is None:
        implicit, little = dataset.original_encoding
        found = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        found = found if little else uid.ExplicitVRBigEndian
        meta.TransferSyntaxUID = found
        dataset.file_meta = meta
    if found not in READABLE:
        known = found.name if isinstance(found, uid.UID) and found.name != found else "not a registered one"
        raise UnsupportedFormat(
            f"{name}: the DICOM transfer syntax is {known}; allowed are uncompressed, deflated, RLE, JPEG,"
            " JPEG-LS, JPEG 2000 and HTJ2K. Export the film uncompressed."
        )
    return uid.UID(found)


def frame_of(dataset: Dataset, syntax: uid.UID, facts: ImageFacts, *, name: str) -> NDArray[np.uint8] | None:
    """Check the compressed stream of the only frame.

    Its own header must state the size that the DICOM header states (decoders allocate what the stream says),
    it must reach its end marker, and 8-bit DCT data must satisfy libjpeg-turbo in strict mode. The boxes of a
    JP2 file around a codestream, which PS3.5 A.4.4 does not allow, are taken out of `dataset`.

    Returns
    -------
    uint8 (H, W) if the strict check decoded single-sample pixels; else None: pydicom has to decode.

    Raises
    ------
    ValueError
        If the stream is cut short or damaged.
    UnreadableImage
        If it is DCT-coded with more than 8 bits, for which no permissively licensed decoder exists.
    """
    if syntax not in STREAMS:
        return None
    stream = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax in JPEG_2000:
        stream = _without_boxes(dataset, stream)
    header = frame_header(stream)
    if header is None or (header.width, header.height) != (facts.width, facts.height):
        raise ValueError("the compressed frame has no header, or another size than the DICOM header says")
    if END_OF_STREAM not in stream[-MAX_TRAILING_BYTES:]:
        raise ValueError("the compressed frame does not reach its end marker")
    if header.marker not in DCT_MARKERS:
        return None
    if header.bits != DCT_BITS:
        raise UnsupportedFormat(
            f"{name}: the DICOM pixels are {header.bits}-bit JPEG Extended; of lossy JPEG only 8 bits"
            " are decoded. Export the film uncompressed or as JPEG 2000."
        )
    grey: NDArray[np.uint8] = simplejpeg.decode_jpeg(stream, colorspace="GRAY", strict=True)[:, :, 0]
    return grey if dataset.SamplesPerPixel == 1 else None


def _without_boxes(dataset: Dataset, stream: bytes) -> bytes:
    """Return the JPEG 2000 codestream of a frame, and leave nothing else for a decoder to read.

    OpenJPEG would read the boxes of a JP2 file and could find another stream in them than the one that was
    checked; its reader of boxes also has the faults (CVE-2025-54874, see security/floors.toml).
    """
    start = stream.find(JPEG_2000_START)
    if start > 0:
        stream = stream[start:]
        dataset.PixelData = encapsulate([stream])
    return stream
