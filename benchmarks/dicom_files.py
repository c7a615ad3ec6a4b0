"""Real DICOM files of other projects: each read or refused, its greys beside those of DCMTK and pydicom.

The files are those that Python packages carry for their own tests. DCMTK, where it is installed, draws each
with the window that hilum would take; what it cannot (JPEG 2000), pydicom draws with its own decoders,
modality and VOI functions. Equal means: correlation of at least 0.999, or no pixel further off than one grey
level.

    apt-get install dcmtk; pip install pydicom-data pynetdicom deid-data nibabel
    python benchmarks/dicom_files.py
"""

import argparse
import json
import logging
import shutil
import subprocess
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from commit import current_commit
from hilum.domain.errors import InputError
from hilum.domain.thresholds import ROBUST_WINDOW_PERCENTILES
from hilum.imaging.intake import read_radiograph

OUT = Path(__file__).resolve().parents[1] / "docs" / "measured" / "dicom-files.json"
PACKAGES = ("pydicom", "data_store", "pynetdicom", "deid_data", "nibabel")  # data_store is pydicom-data
PEERS = ("dcmj2pnm", "dcml2pnm")  # DCMTK's, with JPEG and with JPEG-LS
MIN_CORRELATION = 0.999
MAX_LEVELS_OFF = 1
LUMA = (0.299, 0.587, 0.114)
NOT_FILMS = (".py", ".pyc", ".txt", ".md", ".json", ".gz", ".npy", ".jpg", ".png", ".typed", ".xml")

Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of one file: `verdict` is equal, differs, unchecked, refused or both-refuse."""

    name: str
    verdict: str
    reason: str = ""
    peer: str = ""
    correlation: float | None = None
    levels_off: int | None = None


def find_files(folders: list[Path]) -> Iterator[Path]:
    """Yield files that may be DICOM, each content once."""
    seen: set[bytes] = set()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.suffix.lower() in NOT_FILMS:
                continue
            data = path.read_bytes()
            is_dicom = data[128:132] == b"DICM" or path.suffix.lower() == ".dcm"
            if is_dicom and data not in seen:
                seen.add(data)
                yield path


def package_folders() -> list[Path]:
    """Return where the packages that carry DICOM files are installed, without importing them."""
    specs = [spec for name in PACKAGES if (spec := find_spec(name)) is not None]
    return [Path(place) for spec in specs for place in spec.submodule_search_locations or ()]


def compare(path: Path, peers: Sequence[str]) -> Comparison:
    """Read a file here and elsewhere; `peers` are programs of DCMTK."""
    try:
        ours: Grey | None = read_radiograph(path, name="film").pixels
        reason = ""
    except InputError as error:
        ours, reason = None, f"{error.code}: {str(error).removeprefix('film: ')}"
    header = _header(path)
    window = None if header is None else _window(header)
    theirs, peer = _by_dcmtk(path, window, peers), "DCMTK"
    if theirs is None:
        theirs, peer = _by_pydicom(header, window), "pydicom"
    if ours is None:
        return Comparison(path.name, "refused" if theirs is not None else "both-refuse", reason, peer)
    if theirs is None:
        return Comparison(path.name, "unchecked")
    if ours.shape != theirs.shape:
        return Comparison(path.name, "differs", f"shapes {ours.shape} and {theirs.shape}", peer)
    inside = _exposed(header, ours.shape)
    ours, theirs = ours[inside].astype(np.float64), theirs[inside].astype(np.float64)
    levels_off = int(np.abs(ours - theirs).max())
    varies = np.ptp(ours) > 0 and np.ptp(theirs) > 0
    correlation = float(np.corrcoef(ours, theirs)[0, 1]) if varies else None
    is_equal = levels_off <= MAX_LEVELS_OFF or (correlation or 0.0) >= MIN_CORRELATION
    return Comparison(path.name, "equal" if is_equal else "differs", "", peer, correlation, levels_off)


def _header(path: Path) -> FileDataset | None:
    try:
        return dcmread(path, force=True)
    except Exception:  # noqa: BLE001 - whatever a reader of others says of a damaged file
        return None


def _stored(header: FileDataset) -> NDArray[np.float64] | None:
    try:
        return np.asarray(apply_modality_lut(header.pixel_array, header), np.float64)
    except Exception:  # noqa: BLE001 - as above
        return None


def _window(header: FileDataset) -> tuple[float, float] | None:
    """Return centre and width for a file without a usable VOI LUT or window: those that hilum would take."""
    if "MONOCHROME" not in str(header.get("PhotometricInterpretation")):
        return None
    values = _stored(header)
    if values is None or values.ndim != 2:
        return None
    inside = values[_exposed(header, values.shape)]
    if header.get("VOILUTSequence") or header.get("WindowWidth"):
        shown = _voi(header, values)
        if shown is not None and np.ptp(shown[_exposed(header, values.shape)]) > 0:
            return None
    low, high = np.percentile(inside, ROBUST_WINDOW_PERCENTILES)
    if low == high:
        low, high = inside.min(), inside.max()
    return (low + high) / 2 + 0.5, high - low + 1


def _voi(header: FileDataset, values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Apply the file's own VOI LUT or window by pydicom; 0 to 255."""
    try:
        shown: NDArray[np.float64] = np.asarray(apply_voi_lut(values.astype(np.int64), header), np.float64)
    except Exception:  # noqa: BLE001 - as above
        return None
    if header.get("VOILUTSequence"):
        white = float(2 ** int(header.VOILUTSequence[0].LUTDescriptor[2]) - 1)
        return shown * (255 / white)
    signed = 2 ** (header.BitsStored - 1) if header.PixelRepresentation else 0
    slope, intercept = float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0))
    full = slope * (2.0**header.BitsStored - 1)
    scaled: NDArray[np.float64] = (shown - (intercept - signed * slope)) * (255 / full)
    return scaled


def _exposed(header: FileDataset | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mark the pixels that are no padding, which hilum shows black and DCMTK by the window."""
    padding = None if header is None else header.get("PixelPaddingValue")
    try:
        stored = None if header is None or padding is None else header.pixel_array
    except Exception:  # noqa: BLE001 - as above
        stored = None
    if stored is None or stored.shape != shape or not isinstance(padding, int):
        return np.ones(shape, np.bool_)
    limit = header.get("PixelPaddingRangeLimit", padding) if header is not None else padding
    low, high = sorted((padding, limit))
    exposed: NDArray[np.bool_] = (stored < low) | (stored > high)
    return exposed if exposed.any() else ~exposed


def _by_dcmtk(path: Path, window: tuple[float, float] | None, peers: Sequence[str]) -> Grey | None:
    """Let DCMTK draw a file; None where it cannot."""
    header = _header(path)
    options: list[str] = []
    if window is not None:
        options = ["+Ww", f"{window[0]:.6f}", f"{window[1]:.6f}"]
    elif header is not None and header.get("VOILUTSequence"):
        options = ["+Wl", "1"]
    elif header is not None and header.get("WindowWidth"):
        options = ["+Wi", "1"]
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn.ppm"
        for peer in peers:
            command = [peer, "-O", *options, "--write-8-bit-pnm", str(path), str(drawn)]
            subprocess.run(command, capture_output=True, check=False, timeout=60)
            if drawn.is_file():
                with Image.open(drawn) as image:
                    picture = np.asarray(image)
                return _luma(picture) if picture.ndim == 3 else picture
    return None


def _by_pydicom(header: FileDataset | None, window: tuple[float, float] | None) -> Grey | None:
    """Draw a file of one frame with pydicom and numpy."""
    values = None if header is None else _stored(header)
    if header is None or values is None or header.get("NumberOfFrames", 1) not in {None, 1}:
        return None
    photometric = str(header.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        return _luma(apply_color_lut(header.pixel_array, header))
    if "MONOCHROME" not in photometric:
        return _luma(header.pixel_array)
    if window is not None:
        shown = (values - (window[0] - 0.5)) / (window[1] - 1) * 255 + 127.5
    else:
        own = _voi(header, values)
        if own is None:
            return None
        shown = own
    grey = np.clip(np.rint(shown), 0, 255).astype(np.uint8)
    return 255 - grey if photometric == "MONOCHROME1" else grey


def _luma(rgb: NDArray[np.integer]) -> Grey:
    white = 65_535 if rgb.dtype == np.uint16 else 255
    return np.asarray(np.rint(rgb @ np.array(LUMA) * (255 / white)), np.uint8)


def summarise(rows: list[Comparison]) -> dict[str, object]:
    """Return counts, and the rows that are worth a look."""
    reasons = Counter(_generic(row.reason) for row in rows if row.verdict in {"refused", "both-refuse"})
    further_off = [row.correlation or 0.0 for row in rows if (row.levels_off or 0) > MAX_LEVELS_OFF]
    return {
        "files": len(rows),
        "verdicts": dict(sorted(Counter(row.verdict for row in rows).items())),
        "peers": dict(sorted(Counter(row.peer for row in rows if row.verdict == "equal").items())),
        "lowest_correlation": min(further_off, default=1.0),
        "reasons": dict(reasons.most_common()),
        "differ": [_record(row) for row in rows if row.verdict == "differs"],
        "unchecked": [row.name for row in rows if row.verdict == "unchecked"],
        "refused_where_a_peer_reads": {row.name: row.reason for row in rows if row.verdict == "refused"},
    }


def _generic(reason: str) -> str:
    """Leave the numbers out of a reason, and its advice."""
    text = "".join("N" if letter.isdigit() else letter for letter in reason.split("; ", maxsplit=1)[0])
    while "NN" in text:
        text = text.replace("NN", "N")
    return text


def _record(row: Comparison) -> dict[str, object]:
    return {"file": row.name, "peer": row.peer, "correlation": row.correlation, "levels_off": row.levels_off,
            "reason": row.reason}  # fmt: skip


def main() -> None:
    """Compare and write docs/measured/dicom-files.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="Instead of the packages installed here.")
    parser.add_argument("--limit", type=int, help="Files at most.")
    parser.add_argument("--without-dcmtk", action="store_true", help="Compare with pydicom alone.")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    folders = options.folders or package_folders()
    files = list(find_files(folders))[: options.limit]
    peers = () if options.without_dcmtk else tuple(filter(shutil.which, PEERS))
    rows = [compare(path, peers) for path in files]
    for row in rows:
        far = "" if row.correlation is None else f"{row.correlation:.4f}"
        print(f"{row.name:46} {row.verdict:12} {row.peer:8} {far:7} {row.reason[:90]}")
    record = {
        "command": "python benchmarks/dicom_files.py",
        "commit": current_commit(),
        "packages": [folder.name for folder in folders],
        "dcmtk": bool(peers),
        "equal_means": f"correlation >= {MIN_CORRELATION}, or at most {MAX_LEVELS_OFF} grey level off",
        **summarise(rows),
    }
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
