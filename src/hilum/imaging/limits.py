"""Size limits, checked on what the header says, before anything is decoded."""

from hilum.domain.errors import DamagedImage, FileTooLarge, ImageTooLarge
from hilum.domain.thresholds import MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE_PX

MEBIBYTE = 1024 * 1024


def check_bytes(size: int, *, name: str) -> None:
    """Refuse a file above `MAX_FILE_BYTES`.

    Raises
    ------
    FileTooLarge
    """
    if size > MAX_FILE_BYTES:
        raise FileTooLarge(
            f"{name}: the file has {size:,} bytes; at most {MAX_FILE_BYTES:,} ({MAX_FILE_BYTES // MEBIBYTE}"
            " MiB) are allowed. Export the film at a lower resolution or compressed."
        )


def check_size(width: int, height: int, *, name: str) -> None:
    """Refuse a picture without pixels, or above `MAX_SIDE_PX` or `MAX_PIXELS`.

    Raises
    ------
    DamagedImage, ImageTooLarge
    """
    if min(width, height) < 1:
        raise DamagedImage(
            f"{name}: the header says {width}x{height} px; both sides must be at least 1."
            " The file is damaged: copy or export it again."
        )
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise ImageTooLarge(
            f"{name}: the header says {width}x{height} px; at most {MAX_SIDE_PX} px a side and"
            f" {MAX_PIXELS // 1_000_000} million pixels are allowed. Export the film at a lower resolution."
        )
