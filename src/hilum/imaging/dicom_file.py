"""The outside of a DICOM file: preamble, file meta information, deflation and byte order.

Everything that must be checked before pydicom may touch the bytes.
"""

import struct
import zlib
from typing import Final

from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from hilum.domain.errors import ImageTooLarge
from hilum.domain.thresholds import MAX_INFLATED_BYTES
from hilum.imaging.headers import DICOM_PREFIX_OFFSET
from hilum.imaging.limits import MEBIBYTE

PREAMBLE: Final = bytes(DICOM_PREFIX_OFFSET) + b"DICM"
META_GROUP: Final = 2
TRANSFER_SYNTAX_ELEMENT: Final = 0x0010
ZLIB_START, ZLIB_CHECK = b"\x78", 31  # the wrapper of RFC 1950, which PS3.5 A.5 does not allow
ELEMENT_HEAD: Final = struct.Struct("<HH2sH")
LONG_FORM_VRS: Final = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"}
)
LOWEST_GROUPS: Final = range(0x0004, 0x0100)
"""Where the group of a data set's first element lies; read in the wrong byte order it lies above."""


def part_10(data: bytes, *, name: str) -> bytes:
    """Return the file with a preamble, without deflation, and with a transfer syntax of its own byte order.

    A deflated data set (PS3.5 A.5) is replaced by its content, the inflated bytes counted while inflating,
    because pydicom inflates without a limit. A label that contradicts the byte order of the data set is
    replaced; whether value representations are explicit pydicom finds out itself. A data set without a
    preamble is left for pydicom to guess.

    Raises
    ------
    ImageTooLarge
        If it inflates beyond `MAX_INFLATED_BYTES`.
    ValueError, zlib.error
        If the deflated stream is cut short or damaged.
    """
    if data.startswith(b"DICM"):
        data = bytes(DICOM_PREFIX_OFFSET) + data
    start, label = meta_end(data)
    is_little, is_big = (int.from_bytes(data[start : start + 2], order) in LOWEST_GROUPS
                         for order in ("little", "big"))  # fmt: skip
    is_explicit = data[start + 4 : start + 6].isalpha()
    if label == uid.DeflatedExplicitVRLittleEndian:
        plain = data[start:] if is_little and is_explicit else _inflate(data[start:], name=name)
        return labelled(uid.ExplicitVRLittleEndian, plain)
    if is_big and label not in {"", uid.ExplicitVRBigEndian}:
        return labelled(uid.ExplicitVRBigEndian, data[start:])
    if is_little and label == uid.ExplicitVRBigEndian:
        real = uid.ExplicitVRLittleEndian if is_explicit else uid.ImplicitVRLittleEndian
        return labelled(real, data[start:])
    return data


def _inflate(deflated: bytes, *, name: str) -> bytes:
    is_wrapped = deflated[:1] == ZLIB_START and int.from_bytes(deflated[:2], "big") % ZLIB_CHECK == 0
    inflater = zlib.decompressobj(zlib.MAX_WBITS if is_wrapped else -zlib.MAX_WBITS)
    inflated = inflater.decompress(deflated, MAX_INFLATED_BYTES + 1)
    if len(inflated) > MAX_INFLATED_BYTES:
        raise ImageTooLarge(
            f"{name}: the deflated DICOM data set holds more than {MAX_INFLATED_BYTES // MEBIBYTE} MiB,"
            " the most that is allowed. Export the film uncompressed."
        )
    if not inflater.eof:
        raise ValueError("the deflated data set is cut short")
    return inflated


def labelled(syntax: str, data_set: bytes) -> bytes:
    """Put a data set behind file meta information that holds its transfer syntax and nothing else."""
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    head = ELEMENT_HEAD.pack(META_GROUP, TRANSFER_SYNTAX_ELEMENT, b"UI", len(value))
    length = ELEMENT_HEAD.pack(META_GROUP, 0, b"UL", 4) + struct.pack("<I", len(head) + len(value))
    return PREAMBLE + length + head + value + data_set


def meta_end(data: bytes) -> tuple[int, str]:
    """Walk group 0002, always Explicit VR Little Endian (PS3.10 7.1).

    Returns
    -------
    Offset of the data set, and the transfer syntax ("" if there is none).
    """
    position = len(PREAMBLE) if data[DICOM_PREFIX_OFFSET : len(PREAMBLE)] == b"DICM" else 0
    syntax = ""
    while position + ELEMENT_HEAD.size <= len(data):
        group, element, vr, length = ELEMENT_HEAD.unpack_from(data, position)
        if group != META_GROUP:
            break
        position += ELEMENT_HEAD.size
        if vr in LONG_FORM_VRS:
            (length,) = struct.unpack_from("<I", data, position)
            position += 4
        if element == TRANSFER_SYNTAX_ELEMENT:
            syntax = data[position : position + length].decode("ascii").strip("\0 ")
        position += length
    return position, syntax


def transfer_syntax(dataset: Dataset) -> uid.UID:
    """Return the transfer syntax that the file states, or else the one that it was parsed with."""
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    stated = meta.get("TransferSyntaxUID")
    if stated:
        return uid.UID(stated)
    implicit, little = dataset.original_encoding
    if not little:
        return uid.ExplicitVRBigEndian
    return uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
