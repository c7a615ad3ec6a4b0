"""Films to send, made in memory: a real one when the gate has to accept it, a drawn one when it need not.

Knows nothing of what the service answers.
"""

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.data import get_testdata_file

from hilum.imaging.intake import read_radiograph
from tests.imaging.make_films import compressed, dicom, encode, jpeg_dicom

SIDE_PX = 128


@lru_cache
def real_film(side_px: int = 512) -> NDArray[np.uint8]:
    """Shrink RG1 of pydicom-data, a real chest film, to uint8 (side, side)."""
    path = Path(str(get_testdata_file("RG1_UNCR.dcm", download=False)))
    pixels = read_radiograph(path).pixels
    return cv2.resize(pixels, (side_px, side_px), interpolation=cv2.INTER_AREA)


@lru_cache
def real_png(side_px: int = 512) -> bytes:
    return encode(real_film(side_px), "PNG")


@lru_cache
def real_jpeg(side_px: int = 512) -> bytes:
    return encode(real_film(side_px), "JPEG", quality=95)


@lru_cache
def real_dicom(side_px: int = 512) -> bytes:
    """A DICOM of the real film with nothing in it but the picture."""
    return dicom(
        real_film(side_px), Modality="DX", WindowCenter=128, WindowWidth=256, PatientName=None, PatientID=None
    )


def drawn(side_px: int = SIDE_PX) -> NDArray[np.uint8]:
    """Draw a picture with edges and noise, so that every damage shows: uint8 (side, side)."""
    rng = np.random.default_rng(20)
    rows, columns = np.mgrid[0:side_px, 0:side_px]
    waves = 128 + 60 * np.sin(rows / 9.0) * np.cos(columns / 13.0)
    return np.clip(waves + rng.normal(0, 12, waves.shape), 8, 247).astype(np.uint8)


def many_encodings() -> dict[str, bytes]:
    """The nine samples of test A1: one picture in the encodings that the service takes."""
    grey = drawn()
    deep = grey.astype(np.uint16) * 16
    window: dict[str, Any] = {"BitsStored": 12, "WindowCenter": 2040.5, "WindowWidth": 4081, "Modality": "DX"}
    return {
        "png 8": encode(grey, "PNG"),
        "png 16": encode(grey.astype(np.uint16) * 257, "PNG"),
        "jpeg baseline": encode(grey, "JPEG", quality=90),
        "jpeg progressive": encode(grey, "JPEG", quality=90, progressive=True),
        "dicom explicit": dicom(deep, **window),
        "dicom implicit": dicom(deep, syntax=uid.ImplicitVRLittleEndian, **window),
        "dicom deflated": dicom(deep, syntax=uid.DeflatedExplicitVRLittleEndian, **window),
        "dicom rle": compressed(deep, uid.RLELossless, **window),
        "dicom jpeg 2000": compressed(deep, uid.JPEG2000Lossless, **window),
        "dicom jpeg-ls": compressed(deep, uid.JPEGLSLossless, **window),
        "dicom jpeg": jpeg_dicom(grey, WindowCenter=128, WindowWidth=256, Modality="DX"),
    }


def as_pillow_shows(data: bytes) -> NDArray[np.uint8]:
    """Decode the way a careless service would, for comparison."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"))
