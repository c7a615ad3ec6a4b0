"""Pictures of the page: with HILUM_PAGE_IMAGES=<folder> those of the docs are written there."""

import os
from pathlib import Path

import cv2
import numpy as np

from tests.e2e.conftest import ReadingRoom

MAX_PICTURE_BYTES = 300_000


def keep(room: ReadingRoom, name: str, tmp_path: Path, *, most_bytes: int = MAX_PICTURE_BYTES) -> None:
    """Take a picture, for the docs when asked, of a size that they allow."""
    folder = Path(os.environ.get("HILUM_PAGE_IMAGES") or tmp_path)
    room.page.mouse.move(2, 2)
    picture = folder / f"page-{name}.png"
    room.page.screenshot(path=picture)
    _shrink(picture)
    assert 20_000 < picture.stat().st_size <= most_bytes


def _shrink(picture: Path) -> None:
    """Round the colours to steps of 8 of 256: the grain of a film is most of a picture's bytes."""
    pixels = cv2.imread(str(picture)).astype(np.uint16)
    rounded = np.minimum((pixels + 4) // 8 * 8, 255).astype(np.uint8)
    assert cv2.imwrite(str(picture), rounded, [cv2.IMWRITE_PNG_COMPRESSION, 9])
