"""Films and requests with a planted identifier in every place that can hold one (group L)."""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.imaging.make_films import chunk, dataset, encode, written

from .films import drawn, real_film

TAGS = (
    "PatientID", "OtherPatientNames", "PatientAddress", "PatientTelephoneNumbers",
    "PatientMotherBirthName", "PatientComments", "AccessionNumber", "InstitutionName",
    "InstitutionAddress", "StationName", "ReferringPhysicianName", "ReferringPhysicianAddress",
    "PhysiciansOfRecord", "PerformingPhysicianName", "OperatorsName", "NameOfPhysiciansReadingStudy",
    "StudyDescription", "SeriesDescription", "ProtocolName", "StudyID", "ImageComments",
    "AdditionalPatientHistory", "RequestedProcedureDescription", "PerformedProcedureStepDescription",
    "DeviceSerialNumber", "Manufacturer", "ManufacturerModelName", "SoftwareVersions",
    "DerivationDescription", "MedicalAlerts", "Allergies", "Occupation", "CountryOfResidence",
    "EthnicGroup", "IssuerOfPatientID", "AdmissionID", "CurrentPatientLocation", "PatientState",
    "VisitComments", "RequestingPhysician", "ScheduledStationName", "RequestedProcedureID",
    "PlacerOrderNumberImagingServiceRequest", "ResponsiblePerson", "TextComments",
    "ClinicalTrialSubjectID", "WindowCenterWidthExplanation", "RetrieveAETitle", "BodyPartExamined",
)  # fmt: skip
HEADERS = (
    "User-Agent", "Referer", "X-Request-ID", "traceparent", "tracestate", "Cookie", "Origin",
    "X-Forwarded-For", "X-Forwarded-Host", "Accept-Language", "X-Patient", "From", "Idempotency-Key",
    "Forwarded",
)  # fmt: skip


def dicom(token: str, **changes: Any) -> bytes:
    """A DICOM film with the token in fifty tags, private and nested ones and the preamble."""
    ds = dataset(drawn(), WindowCenter=128, WindowWidth=256, Modality="DX")
    for keyword in TAGS:
        setattr(ds, keyword, token)
    ds.PatientName = f"{token}^{token}={token}^{token}={token}"
    ds.PatientBirthDate = "19010203"
    block = ds.private_block(0x0029, token, create=True)
    block.add_new(0x01, "LO", token)
    block.add_new(0x02, "UN", token.encode())
    block.add_new(0x03, "OB", token.encode())
    inner = Dataset()
    inner.PatientName, inner.PatientID = token, token
    ds.OtherPatientIDsSequence = Sequence([inner])
    outer = Dataset()
    outer.RequestAttributesSequence = Sequence([inner])
    ds.ReferencedStudySequence = Sequence([outer])
    ds.preamble = token.encode().ljust(128, b"\0")
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return written(ds)


def _exif(token: str) -> Image.Exif:
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298):
        exif[tag] = token
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + token.encode()
    exif.get_ifd(0x8825)[0x001D] = token
    return exif


def jpeg(token: str) -> bytes:
    """A JPEG with the token in EXIF, a comment, an application segment and the ICC description."""
    profile = b"icc " + token.encode()
    exif = _exif(token).tobytes()
    return encode(drawn(), "JPEG", exif=exif, comment=token.encode(), icc_profile=profile)


def png(token: str) -> bytes:
    """A PNG with the token in tEXt, zTXt, iTXt, eXIf, iCCP and behind its end."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Patient", token)
    texts.add_text(token, token, zip=True)
    texts.add_itxt("Comment", token, lang="en", tkey=token)
    data = encode(real_film(256), "PNG", pnginfo=texts, exif=_exif(token))
    profile = token.encode()[:79] + b"\0\0" + zlib.compress(token.encode())
    return data[:33] + chunk(b"iCCP", profile) + data[33:] + token.encode()


def damaged_films(token: str) -> Iterator[tuple[str, bytes]]:
    """Films that fail in every way that there is an answer for, all with the token in them."""
    film = dicom(token)
    yield "cut", film[:-5_000]
    yield "no pixels", film[: len(film) - 128 * 128 - 12]
    yield "Rows beyond the pixels", dicom(token, Rows=4_000)
    yield "too many rows", dicom(token, Rows=65_535)
    yield "frames", dicom(token, NumberOfFrames=3)
    yield "photometric", _photometric(film, token)
    yield "value representation", film.replace(b"\x10\x00\x10\x00PN", b"\x10\x00\x10\x00US", 1)
    yield (
        "length of an element",
        film.replace(b"\x10\x00\x20\x00LO\x10\x00", b"\x10\x00\x20\x00LO\xff\xff", 1),
    )
    yield "cut png", png(token)[:3_000]
    yield "cut jpeg", jpeg(token)[:-2_000]
    yield "text", f"patient {token}".encode()
    yield "pdf", f"%PDF-1.7 {token}".encode()
    yield "tiff", encode(drawn(), "TIFF", exif=_exif(token))
    yield "small", encode(np.zeros((40, 40), np.uint8), "PNG", exif=_exif(token))


def _photometric(film: bytes, token: str) -> bytes:
    at = film.index(b"\x28\x00\x04\x00CS") + 6
    (length,) = struct.unpack_from("<H", film, at)
    value = token.encode()
    return film[:at] + struct.pack("<H", len(value)) + value + film[at + 2 + length :]


Maker = Callable[[str], bytes]
GOOD_FILMS: dict[str, Maker] = {"dicom": dicom, "jpeg": jpeg, "png": png}
