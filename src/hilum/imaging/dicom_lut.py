"""Look-up tables of a DICOM file: modality, VOI and palette.

A descriptor says how many entries a table has, which value the first one stands for, and how many bits an
entry has (PS3.3 C.11.1.1.1, C.7.6.3.1.5). Writers get each of the three wrong: where the entries contradict
the descriptor, they decide.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from hilum.domain.thresholds import MAX_BITS_STORED, MIN_BITS_STORED
from hilum.imaging.dicom_header import BITS_OF_BYTE, value_or_none
from hilum.imaging.windowing import WHITE, to_bytes

MAX_LUT_ENTRIES: Final = 1 << 16
NEGATIVE_FROM: Final = 1 << 15  # first value of a 16-bit two's complement that means a negative number
NARROWER_BITS: Final = 2  # a table that stays below a quarter of white is of another depth, not a dark one
LUMA: Final = {"Red": 0.299, "Green": 0.587, "Blue": 0.114}  # ITU-R BT.601


@dataclass(frozen=True, slots=True, eq=False)
class LookUpTable:
    """A table uint16 (entries,), the value that its first entry stands for, and the output that is white."""

    table: NDArray[np.uint16]
    first: int
    white: int

    def look_up(self, values: NDArray[np.integer]) -> NDArray[np.uint16]:
        """Map values; those outside the table take its first or last entry."""
        return self.table[np.clip(values.astype(np.int64) - self.first, 0, len(self.table) - 1)]


def sequence_lut(dataset: Dataset, keyword: str, *, signed: bool) -> LookUpTable | None:
    """Read the first item of a LUT sequence, PS3.3 C.11.1.1 and C.11.2.1.1.

    Parameters
    ----------
    signed
        Whether the values to be mapped may be negative.

    Returns
    -------
    None if there is no sequence, or an item without a descriptor or entries, as some writers leave it.

    Raises
    ------
    ValueError
        If the table is cut short.
    """
    items = value_or_none(dataset, keyword)
    item = items[0] if items else None
    return _read(item, "LUT", dataset, signed=signed) if isinstance(item, Dataset) else None


def palette_grey(dataset: Dataset, stored: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Turn palette indices (H, W) into luma, uint8 (H, W)."""
    tables = {
        colour: _read(dataset, f"{colour}PaletteColorLookupTable", dataset, signed=bool(stored.min() < 0))
        for colour in LUMA
    }
    channels = [(table, LUMA[colour]) for colour, table in tables.items() if table is not None]
    if len(channels) < len(LUMA):  # segmented (PS3.3 C.7.9.2), or a palette known by its UID
        rgb = apply_color_lut(stored, dataset)
        return to_bytes(rgb @ np.array([*LUMA.values()]) * (WHITE / np.iinfo(rgb.dtype).max))
    white = max(table.white for table, _ in channels)
    luma = sum(table.look_up(stored) * share for table, share in channels)
    return to_bytes(np.asarray(luma) * (WHITE / white))


def _read(item: Dataset, prefix: str, dataset: Dataset, *, signed: bool) -> LookUpTable | None:
    descriptor, data = (value_or_none(item, f"{prefix}{part}") for part in ("Descriptor", "Data"))
    if np.size(descriptor) < 3 or data is None:  # noqa: PLR2004 - PS3.3 C.11.1.1.1
        return None
    entries, first, bits = (int(part) for part in descriptor[:3])
    entries = entries or MAX_LUT_ENTRIES  # 0 means 65,536
    if isinstance(data, bytes):
        is_word = item[f"{prefix}Data"].VR == "OW"
        is_little = dataset.original_encoding[1] is not False
        has_bytes = entries <= len(data) <= entries + 1 or (len(data) < entries and bits <= BITS_OF_BYTE)
        if not has_bytes or (is_word and not is_little):  # the bytes of each word are swapped, PS3.5 7.3
            words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if is_little else ">u2")
            data = words.astype("<u2").tobytes()
        table = np.frombuffer(data, "u1" if has_bytes else "<u2").astype(np.uint16)
    else:
        table = np.asarray(data, dtype=np.uint16).reshape(-1)
    if not len(table):
        return None
    if len(table) < entries:
        raise ValueError("the LUT has fewer entries than its descriptor says")
    table = table[:entries]
    if signed and first >= NEGATIVE_FROM:
        first -= MAX_LUT_ENTRIES
    return LookUpTable(table, first, _white(int(table.max()), bits))


def _white(largest: int, bits: int) -> int:
    """Return the entry that means white; the largest of a table far narrower than its descriptor says."""
    if not MIN_BITS_STORED <= bits <= MAX_BITS_STORED or largest >> bits:
        return (1 << max(largest.bit_length(), 1)) - 1
    return (1 << bits) - 1 if largest >> (bits - NARROWER_BITS) else max(largest, 1)
