"""A lossless JPEG (SOF3) that is a file of its own, as scanners of film leave them: decoded as DICOM has it.

Pillow and libjpeg-turbo's 8-bit interface know no such file. GDCM decodes it, accepts a scan that ends early,
and is therefore checked from its result (`jpeg_lossless`).
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from hilum.imaging.headers import FrameHeader
from hilum.imaging.jpeg_lossless import SOF3, check_lossless, holds_all_pixels
from hilum.imaging.quiet import printed_warnings_dropped

END_OF_IMAGE: Final = b"\xff\xd9"
BITS_OF_BYTE: Final = 8
_COMPONENTS_AT: Final = 9  # behind the marker of SOF3: T.81 B.2.2


def is_grey(data: bytes) -> bool:
    """Tell whether a lossless JPEG has one component."""
    at = data.find(bytes((0xFF, SOF3)))
    return data[at + _COMPONENTS_AT : at + _COMPONENTS_AT + 1] == b"\1"


def lossless_samples(data: bytes, header: FrameHeader) -> NDArray[np.unsignedinteger[Any]]:
    """Decode a lossless JPEG of one component: (H, W).

    Raises
    ------
    ValueError, RuntimeError, struct.error, LookupError
        If it is cut short or damaged.
    """
    stream = data[: data.rindex(END_OF_IMAGE) + len(END_OF_IMAGE)]
    bits_allocated = BITS_OF_BYTE if header.bits <= BITS_OF_BYTE else 2 * BITS_OF_BYTE
    check_lossless(stream, components=1, bits_allocated=bits_allocated)
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = uid.JPEGLossless
    image.Rows, image.Columns = header.height, header.width
    image.BitsAllocated = bits_allocated
    image.BitsStored, image.HighBit = header.bits, header.bits - 1
    image.SamplesPerPixel, image.PixelRepresentation = 1, 0
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelData = encapsulate([stream])
    image["PixelData"].is_undefined_length = True
    with printed_warnings_dropped():
        samples, _ = get_decoder(uid.JPEGLossless).as_array(image, decoding_plugin="gdcm")
    if not holds_all_pixels(stream, samples):
        raise ValueError("the scan ends early")
    return samples
