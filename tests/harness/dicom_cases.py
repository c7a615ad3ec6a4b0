"""The semantics of DICOM as a table: a name, a file and what must become of it.

What must become of it is one word: "same" (decodes to `drawn()` exactly), "close" (within 2 grey levels),
"near" (a window or palette was asked for: decodes, values not compared), "refused" (an InputError), or
"format" (a refusal that says that this encoding is not taken: HTTP 415).
"""

import io
import struct
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.imaging.make_films import PATIENT, compressed, dataset, dicom, lut_item, with_frame, written

from .bombs import nested
from .films import drawn

Case = tuple[str, bytes, str]
BYTE = {"WindowCenter": 128, "WindowWidth": 256, "Modality": "DX"}
DEEP: dict[str, Any] = {"BitsStored": 12, "WindowCenter": 2040.5, "WindowWidth": 4081, "Modality": "DX"}


def _grey(**changes: Any) -> bytes:
    kept = {key: value for key, value in BYTE.items() if key not in changes}
    changes = {key: value for key, value in changes.items() if value is not None or key not in BYTE}
    return dicom(drawn(), **kept, **changes)


def _deep(**changes: Any) -> bytes:
    return dicom(drawn().astype(np.uint16) * 16, **{**DEEP, **changes})


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    long = vr in {b"OB", b"OW", b"UN", b"UT", b"SQ"}
    length = b"\0\0" + struct.pack("<I", len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + length + value


def with_raw(tag: int, vr: bytes, value: bytes, **changes: Any) -> bytes:
    """Replace, or add in order, one element written by hand."""
    whole = _grey(**changes)
    ds = dcmread(io.BytesIO(whole))
    if tag in ds:
        del ds[tag]
    raw = _element(tag, vr, value)
    after = next(element.tag for element in ds if element.tag > tag)
    rest = written(ds)
    at = rest.index(struct.pack("<HH", after.group, after.element), 132)
    return rest[:at] + raw + rest[at:]


def said_to_be(data: bytes, syntax: str) -> bytes:
    """Rewrite the transfer syntax of a file, PS3.10 7.1."""
    at = data.index(b"\x02\x00\x10\x00UI", 132)
    (old,) = struct.unpack_from("<H", data, at + 6)
    (group,) = struct.unpack_from("<I", data, 140)
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    head = data[:140] + struct.pack("<I", group - old + len(value)) + data[144:at]
    return head + _element(0x00020010, b"UI", value) + data[at + 8 + old :]


def _size_cases() -> Iterator[Case]:
    for keyword, tag in (("Rows", 0x00280010), ("Columns", 0x00280011)):
        for value in (0, 1, 99, 129, 6_001, 65_535):
            yield f"{keyword} {value}", _grey(**{keyword: value}), "refused"
        yield f"{keyword} missing", _grey(**{keyword: None}), "refused"
        yield f"{keyword} twice", _grey(**{keyword: [128, 128]}), "refused"
        yield f"{keyword} as UL", with_raw(tag, b"UL", struct.pack("<I", 128)), "same"
        yield f"{keyword} as UL beyond 16 bits", with_raw(tag, b"UL", struct.pack("<I", 65_664)), "refused"
        yield f"{keyword} as SS, negative", with_raw(tag, b"SS", struct.pack("<h", -128)), "refused"
        yield f"{keyword} as text", with_raw(tag, b"LO", b"128 "), "refused"
        yield f"{keyword} as a float", with_raw(tag, b"FD", struct.pack("<d", 128.0)), "refused"
        yield f"{keyword} empty", with_raw(tag, b"US", b""), "refused"
        yield f"{keyword} of one byte", with_raw(tag, b"US", b"\x80"), "refused"


def _bit_cases() -> Iterator[Case]:
    yield "BitsStored above BitsAllocated", _grey(BitsStored=12), "refused"
    for value in (0, 1, 7, 17, 255):
        yield f"BitsStored {value}", _grey(BitsStored=value, HighBit=7), "refused"
    for value in (0, 1, 7, 9, 12, 24, 32, 64, 255):
        yield f"BitsAllocated {value}", _grey(BitsAllocated=value), "refused"
    yield "BitsAllocated missing", _grey(BitsAllocated=None), "same"
    yield "BitsStored missing", _grey(BitsStored=None, HighBit=7), "same"
    yield "HighBit missing", _grey(HighBit=None), "same"
    for value in (0, 3, 40, 255):
        yield f"HighBit {value}", _grey(HighBit=value), "same"
    yield "HighBit 15 of 12 in 16", _deep(HighBit=15), "near"
    yield "12 bits in 16", _deep(), "same"
    yield "junk in the unused bits", dicom((drawn().astype(np.uint16) * 16) | 0xF000, **DEEP), "same"
    signed = drawn().astype(np.int16) - 128
    yield "PixelRepresentation 1", dicom(signed, WindowCenter=0, WindowWidth=256, Modality="DX"), "same"
    yield "PixelRepresentation 2", _grey(PixelRepresentation=2), "refused"
    yield "PixelRepresentation missing", _grey(PixelRepresentation=None), "same"


def _photometric_cases() -> Iterator[Case]:
    inverted = dicom(255 - drawn(), PhotometricInterpretation="MONOCHROME1", **BYTE)
    yield "MONOCHROME1", inverted, "same"
    refused = (
        "",
        "MONOCHROME3",
        "HSV",
        "ARGB",
        "CMYK",
        "YBR_PARTIAL_420",
        "PALETTE",
        "X" * 17,
    )
    for value in refused:
        yield f"PhotometricInterpretation {value!r}", _grey(PhotometricInterpretation=value), "refused"
    yield "monochrome2", _grey(PhotometricInterpretation="monochrome2"), "same"
    for value in ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"):
        yield f"{value} of one sample", _grey(PhotometricInterpretation=value), "refused"
    yield "PhotometricInterpretation missing", _grey(PhotometricInterpretation=None), "refused"
    yield "PALETTE COLOR without a palette", _grey(PhotometricInterpretation="PALETTE COLOR"), "refused"
    for value in (0, 2, 3, 4, 65_535):
        yield f"SamplesPerPixel {value}", _grey(SamplesPerPixel=value), "refused"
    rgb = np.stack([drawn()] * 3, axis=2)
    yield "RGB", dicom(rgb, Modality="DX"), "same"
    yield "RGB by planes", dicom(rgb.transpose(2, 0, 1).reshape(128, 128, 3), PlanarConfiguration=1), "same"
    yield "RGB, PlanarConfiguration missing", dicom(rgb, PlanarConfiguration=None), "same"
    yield "RGB, PlanarConfiguration 2", dicom(rgb, PlanarConfiguration=2), "refused"
    yield "RGB of two samples", dicom(rgb, SamplesPerPixel=2), "refused"


def _number_cases() -> Iterator[Case]:
    junk = ("NaN", "nan", "inf", "-inf", "1e400", "-1e400", "abc", "0x10", "--1")
    for value in junk:
        text = value.encode().ljust(len(value) + len(value) % 2)
        yield f"RescaleSlope {value}", with_raw(0x00281053, b"DS", text), "same"
        yield f"RescaleIntercept {value}", with_raw(0x00281052, b"DS", text), "same"
    yield "RescaleSlope 1,0", with_raw(0x00281053, b"DS", b"1,0 "), "same"
    yield "RescaleIntercept 0,25", with_raw(0x00281052, b"DS", b"0,25"), "close"
    for value in ("NaN", "inf", "-inf", "1e400"):
        text = value.encode().ljust(len(value) + len(value) % 2)
        yield f"WindowCenter {value}", with_raw(0x00281050, b"DS", text), "near"
        yield f"WindowWidth {value}", with_raw(0x00281051, b"DS", text), "near"
    for value in ("abc", "0x10"):
        yield f"WindowCenter {value}", with_raw(0x00281050, b"DS", value.encode()), "near"
    yield "RescaleSlope 0", _grey(RescaleSlope="0", RescaleIntercept="0"), "same"
    yield "RescaleSlope empty", with_raw(0x00281053, b"DS", b""), "same"
    yield "RescaleSlope 1", _grey(RescaleSlope="1", RescaleIntercept="0"), "same"
    yield "RescaleSlope tiny", _grey(RescaleSlope="1e-300"), "near"
    yield "RescaleSlope huge", _grey(RescaleSlope="1e300"), "near"
    for width in (0, -1, 0.5):
        yield f"WindowWidth {width}", _grey(WindowWidth=width), "near"
    yield "WindowWidth missing", _grey(WindowWidth=None), "near"
    yield "WindowWidth of 1e308", _grey(WindowWidth="1e308"), "near"
    yield "two windows", _grey(WindowCenter=[128, 5], WindowWidth=[256, 1]), "same"
    yield "VOILUTFunction unknown", _grey(VOILUTFunction="CUBIC"), "same"
    identity = np.arange(256, dtype=np.uint16).tobytes()
    yield "VOI LUT", _grey(VOILUTSequence=lut_item(256, 0, 8, identity)), "same"
    yield "VOI LUT that begins at 60,000", _grey(VOILUTSequence=lut_item(256, 60_000, 8, identity)), "near"
    yield "VOI LUT of too few entries", _grey(VOILUTSequence=lut_item(256, 0, 8, identity[:20])), "refused"
    yield "VOI LUT of depth 40", _grey(VOILUTSequence=lut_item(256, 0, 40, identity)), "same"
    yield "VOI LUT without data", _grey(VOILUTSequence=Sequence([Dataset()])), "same"
    yield "VOI LUT without items", _grey(VOILUTSequence=Sequence([])), "same"
    yield (
        "modality LUT of too few entries",
        _grey(ModalityLUTSequence=lut_item(256, 0, 8, identity[:20])),
        "refused",
    )
    for value in ("1", "", None):
        yield (
            f"NumberOfFrames {value!r}",
            _grey(**({} if value is None else {"NumberOfFrames": value})),
            "same",
        )
    yield "NumberOfFrames 0", _grey(NumberOfFrames="0"), "same"
    for value in ("2", "100000", "-1"):
        yield f"NumberOfFrames {value}", _grey(NumberOfFrames=value), "refused"
    yield "NumberOfFrames abc", with_raw(0x00280008, b"IS", b"abc "), "same"
    yield "NumberOfFrames 1.5", with_raw(0x00280008, b"IS", b"1.5 "), "same"
    yield "PixelPaddingValue", _grey(PixelPaddingValue=3), "same"


def _structure_cases() -> Iterator[Case]:
    good = _grey()
    meta_end = 144 + struct.unpack_from("<I", good, 140)[0]
    yield "good", good, "same"
    yield "no preamble", good[128:], "same"
    yield "neither preamble nor DICM", good[132:], "same"
    yield "TIFF in the preamble", b"II*\0".ljust(128, b"\0") + good[128:], "same"
    yield "text in the preamble", b"hello world ".ljust(128, b"x") + good[128:], "same"
    yield "meta group length too small", good[:140] + struct.pack("<I", 4) + good[144:], "same"
    yield "meta group length too large", good[:140] + struct.pack("<I", 2**31) + good[144:], "same"
    yield "no transfer syntax", good[:132] + good[meta_end:], "same"
    yield "pixel data of odd length", good[:-1], "refused"
    yield "pixel data cut to half", good[: len(good) - 128 * 64], "refused"
    yield "pixel data of a byte more", good + b"\0", "same"
    yield "a second file behind", good + good, "same"
    at = good.rindex(b"\xe0\x7f\x10\x00")
    endless = good[: at + 8] + b"\xff\xff\xff\xff" + good[at + 12 :]
    yield "native pixel data of undefined length", endless, "refused"
    yield "pixel data length of 4 GiB", good[: at + 8] + b"\xfe\xff\xff\xff" + good[at + 12 :], "same"
    yield "no pixel data", _grey(PixelData=None), "refused"
    yield "pixel data empty", good[: at + 8] + bytes(4), "refused"
    yield "big endian", _deep(syntax=uid.ExplicitVRBigEndian), "same"
    yield "implicit", _deep(syntax=uid.ImplicitVRLittleEndian), "same"
    yield "deflated", _deep(syntax=uid.DeflatedExplicitVRLittleEndian), "same"
    yield (
        "explicit said to be implicit",
        good.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0"),
        "same",
    )
    yield "native said to be RLE", good.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"), "same"
    elements = dcmread(io.BytesIO(good))
    yield "tags in reverse order", _reversed_order(elements, good[:meta_end]), "same"
    double = _element(0x00280010, b"US", struct.pack("<H", 64))
    yield "Rows twice, 64 before 128", _inserted(good, 0x00280010, double), "same"
    yield "private tags", _with_private(), "same"
    yield "UN with a sequence inside", with_raw(0x00400555, b"UN", _element(0x00080100, b"SH", b"A ")), "same"
    yield "unknown VR", with_raw(0x00400556, b"ZZ", b"ab"), "near"
    yield "PN of 64 KB", with_raw(0x00100010, b"PN", PATIENT.encode() * 4_600), "same"
    yield "PN with junk in its charset", _charset_junk(), "same"
    yield "charset that does not exist", with_raw(0x00080005, b"CS", b"ISO_IR 999"), "same"
    yield "date that is none", with_raw(0x00080020, b"DA", b"20261399"), "same"
    yield "UID that is none", with_raw(0x00080018, b"UI", b"../../etc/passwd"), "same"
    for depth in (1, 16):
        yield f"nested {depth} deep", nested(depth), "near"
    for depth in (200, 1_000, 5_000):
        yield f"nested {depth} deep", nested(depth), "refused"
    yield "float pixel data", _float_pixels("FloatPixelData", np.float32), "refused"
    yield "double pixel data", _float_pixels("DoubleFloatPixelData", np.float64), "refused"
    yield "only a preamble", bytes(128) + b"DICM", "refused"
    yield "only a meta header", good[:meta_end], "refused"


def _inserted(good: bytes, tag: int, element: bytes) -> bytes:
    at = good.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 132)
    return good[:at] + element + good[at:]


def _reversed_order(ds: Dataset, meta: bytes) -> bytes:
    whole = written(ds)
    starts = [
        whole.index(struct.pack("<HH", element.tag.group, element.tag.element), len(meta)) for element in ds
    ]
    ends = [*starts[1:], len(whole)]
    parts = [whole[start:end] for start, end in zip(starts, ends, strict=True)]
    return whole[: starts[0]] + b"".join(reversed(parts))


def _with_private() -> bytes:
    ds = dataset(drawn(), **BYTE)
    block = ds.private_block(0x0009, "HILUM TEST", create=True)
    block.add_new(0x01, "SQ", Sequence([Dataset()]))
    block.add_new(0x02, "UN", b"\xff\xfe\xfd\xfc")
    return written(ds)


def _charset_junk() -> bytes:
    return with_raw(0x00100010, b"PN", b"\xff\xfe\x1b$B\x80", SpecificCharacterSet="ISO 2022 IR 87")


def _float_pixels(keyword: str, kind: type) -> bytes:
    ds = dataset(drawn(), BitsAllocated=8 * np.dtype(kind).itemsize, PixelData=None)
    setattr(ds, keyword, drawn().astype(kind).tobytes())
    return written(ds)


@lru_cache
def semantic_cases() -> tuple[Case, ...]:
    """Test A5."""
    makers = (_size_cases, _bit_cases, _photometric_cases, _number_cases, _structure_cases)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom on the values that the cases are about
        return tuple(case for make in makers for case in make())


NATIVE = {
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
}
LOSSLESS = {uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless}
ALLOWED_STREAMS = {
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
}
UNKNOWN = (
    "1.2.3",
    "1.2.840.10008.1.2.99",
    "1.2.840.10008.1.2.4.999",
    "2.25.1",
    "1.3.6.1.4.1.5962.300.1",
    "1.2.840.10008.1.2.1.98.5",
    "9.9.9.9",
    "1.2.840.113619.5.2.1",
    "1.2.840.10008.1.20.9",
    "1.1",
)


@lru_cache
def syntax_cases() -> tuple[Case, ...]:
    """Test A6: every transfer syntax that pydicom knows, and ten that nobody does.

    A syntax that is allowed but lossy gets a stream that is none: tests/imaging has real files of them.
    """
    deep = drawn().astype(np.uint16) * 16
    junk = with_frame(b"no such stream", drawn(), uid.JPEGBaseline8Bit)
    found: list[Case] = [(f"unknown {value}", said_to_be(junk, value), "format") for value in UNKNOWN]
    for value, entry in uid.UID_dictionary.items():
        syntax = uid.UID(value)
        if entry[1] != "Transfer Syntax":
            continue
        if syntax in NATIVE:
            found.append((syntax.name, dicom(deep, syntax=syntax, **DEEP), "same"))
        elif syntax in LOSSLESS:
            found.append((syntax.name, compressed(deep, syntax, **DEEP), "same"))
        else:
            outcome = "refused" if syntax in ALLOWED_STREAMS else "format"
            found.append((syntax.name, said_to_be(junk, value), outcome))
    return tuple(found)
