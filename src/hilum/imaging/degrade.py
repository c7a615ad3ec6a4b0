"""What an archive does to a film, done on purpose: to train with and to test with."""

import cv2
import numpy as np
from numpy.typing import NDArray


def compress_jpeg(film: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return what is left of a film, uint8 (H, W), in a JPEG file of this quality, 1 to 100."""
    packed = cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
