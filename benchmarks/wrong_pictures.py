"""Pictures that a chest model must not answer about, made otherwise than those that a gate is fitted on.

Photographs and other pictures come with scikit-image, scikit-learn and matplotlib, slices and other body
parts with pydicom and pydicom-data. Pages are set with Pillow, screens are drawn pixel by pixel with a
scene behind them. Everything ends as uint8 (side, side) like a film.
"""

import gzip
from collections.abc import Callable
from pathlib import Path

import cv2
import data_store
import matplotlib
import numpy as np
import pydicom
import skimage
import sklearn.datasets
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from hilum.data.pixel_cache import decode_film
from hilum.domain.errors import InputError
from hilum.imaging.file_bytes import read_file

Films = np.ndarray
PHOTOS = ("astronaut", "camera", "chelsea", "coffee", "rocket", "motorcycle_left", "clock_motion", "horse")
OTHER_PICTURES = (
    "brick", "cell", "chessboard_RGB", "coins", "color", "grass", "gravel", "hubble_deep_field", "ihc",
    "logo", "moon", "phantom", "retina", "microaneurysms",
)  # fmt: skip
SCANNED_TEXT = ("page", "text")
MODALITIES = {"CT": "CT slices", "MR": "MR slices", "US": "ultrasound"}
LEG = "RG3"
CHEST = "RG1"
SENTENCE = (
    "The patient was seen on the ward this morning. Breath sounds are clear on both sides, no fever since"
    " Tuesday; the drain was removed without complications and the wound is dry. Please arrange a follow-up. "
)


def packaged_pictures(side_px: int) -> dict[str, Films]:
    """Return photographs, other pictures and scanned text by kind, each whole and in four quarters."""
    folder = Path(skimage.__file__).parent / "data"
    photos = [_find(folder, name) for name in PHOTOS]
    photos += [Path(name) for name in sorted(map(str, _sklearn_photos()))]
    photos.append(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    kinds = {
        "natural photographs": photos,
        "other pictures": [_find(folder, name) for name in OTHER_PICTURES],
        "scanned text": [_find(folder, name) for name in SCANNED_TEXT],
    }
    return {
        kind: np.stack([part for path in paths for part in _whole_and_quarters(_read_grey(path), side_px)])
        for kind, paths in kinds.items()
    }


def dicom_pictures(side_px: int) -> dict[str, Films]:
    """Return what pydicom's files show, by kind; equal pictures once. The chest film is under CHEST."""
    kinds: dict[str, list[np.ndarray]] = {}
    for root in (Path(pydicom.__file__).parent / "data", Path(data_store.__file__).parent):
        for path in sorted(
            path for path in root.rglob("*") if path.suffix in (".dcm", "") and path.is_file()
        ):
            kind = _kind_of(path)
            try:
                film = decode_film(read_file(path, name=path.name), name=path.name, side_px=side_px).pixels
            except InputError:
                continue  # refused before any gate
            found = kinds.setdefault(kind, [])
            if not any(np.abs(film.astype(int) - other).mean() < 1.0 for other in found):
                found.append(film)
    sample = Path(matplotlib.get_data_path()) / "sample_data" / "s1045.ima.gz"
    with gzip.open(sample) as file:
        head = np.frombuffer(file.read(), np.uint16).reshape(256, 256).astype(np.float32)
    kinds.setdefault(MODALITIES["MR"], []).append(
        _fit(np.clip(head / np.percentile(head, 99) * 255, 0, 255), side_px)
    )
    return {kind: np.stack(films) for kind, films in kinds.items()}


def _kind_of(path: Path) -> str:
    if path.name.startswith(CHEST):
        return CHEST
    if path.name.startswith(LEG):
        return "lower leg (X-ray)"
    header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    return MODALITIES.get(str(header.get("Modality")), "other DICOM files")


def _sklearn_photos() -> list[Path]:
    return list((Path(sklearn.datasets.__file__).parent / "images").glob("*.jpg"))


def _find(folder: Path, name: str) -> Path:
    return next(path for path in folder.glob(f"{name}.*") if path.suffix in (".png", ".jpg"))


def _read_grey(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L"))


def _fit(grey: np.ndarray, side_px: int) -> np.ndarray:
    return np.asarray(Image.fromarray(grey.astype(np.uint8)).resize((side_px, side_px), Image.Resampling.BOX))


def _whole_and_quarters(grey: np.ndarray, side_px: int) -> list[np.ndarray]:
    middle_y, middle_x = (size // 2 for size in grey.shape)
    parts = [grey]
    for rows in (slice(0, middle_y), slice(middle_y, None)):
        parts += [grey[rows, columns] for columns in (slice(0, middle_x), slice(middle_x, None))]
    return [_fit(part, side_px) for part in parts]


# --- drawn -----------------------------------------------------------------------------------------


def drawn_pictures(side_px: int, count: int, random: np.random.Generator) -> dict[str, Films]:
    """Return noise and pages by kind."""
    shape = (count, side_px, side_px)
    salted = np.where(random.random(shape) < 0.5, 0, 255).astype(np.uint8)
    pink = np.stack([_pink(side_px, random) for _ in range(count)])
    pages = np.stack([_page(side_px, random) for _ in range(count)])
    return {
        "white noise": random.normal(128, 40, shape).clip(0, 255).astype(np.uint8),
        "black and white noise": salted,
        "1/f noise": pink,
        "text pages": pages,
        "text pages, white on black": 255 - pages,
        "one grey": np.stack([np.full(shape[1:], random.integers(256), np.uint8) for _ in range(count)]),
    }


def _pink(side_px: int, random: np.random.Generator) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.rfftfreq(side_px)[None])
    frequency[0, 0] = 1.0
    waves = np.fft.rfft2(random.normal(size=(side_px, side_px))) / frequency ** random.uniform(1.0, 1.6)
    cloud = np.fft.irfft2(waves, s=(side_px, side_px))
    low, high = np.percentile(cloud, (1, 99))
    return np.clip((cloud - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def _page(side_px: int, random: np.random.Generator) -> np.ndarray:
    page = Image.new("L", (595, 842), 255)  # A4 at 72 dpi
    pen = ImageDraw.Draw(page)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Serif"), int(random.integers(9, 30)))
    line = int(font.size * 1.4)
    start = int(random.integers(len(SENTENCE)))
    for row in range(40, 800 - line, line):
        if random.random() > 0.12:
            start = (start + 37) % len(SENTENCE)
            words = (SENTENCE[start:] + SENTENCE * 2)[: int(random.integers(30, 90))]
            pen.text((50, row), words, fill=int(random.integers(0, 60)), font=font)
    return _fit(np.asarray(page), side_px)


# --- made of films ---------------------------------------------------------------------------------


def altered_films(films: Films, random: np.random.Generator) -> dict[str, Films]:
    """Return films made wrong, uint8 (N, side, side), by kind."""
    makers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "turned by 90 degrees": lambda film: np.rot90(film, 1),
        "turned by 180 degrees": lambda film: np.rot90(film, 2),
        "turned by 270 degrees": lambda film: np.rot90(film, 3),
        "upside down (mirrored)": lambda film: film[::-1],
        "turned by 30 degrees": lambda film: _rotate(film, 30.0),
        "turned by 45 degrees": lambda film: _rotate(film, 45.0),
        "inverted": lambda film: 255 - film,
        "cropped to 60 % of each side": lambda film: _crop(film, 0.60, random),
        "cropped to 45 % of each side": lambda film: _crop(film, 0.45, random),
        "cropped to 30 % of each side": lambda film: _crop(film, 0.30, random),
        "left half": lambda film: _fit(film[:, : film.shape[1] // 2], film.shape[0]),
        "right half": lambda film: _fit(film[:, film.shape[1] // 2 :], film.shape[0]),
        "four films in one": lambda film: _four(film, films, random),
        "two films side by side": lambda film: _two(film, films, random),
        "photograph of a screen, its edge seen": lambda film: _screen(film, random, fills=False),
        "photograph of a screen that fills the picture": lambda film: _screen(film, random, fills=True),
        "contrast down to 6 %": lambda film: 128 + (film.astype(float) - 128) * 0.06,
        "contrast down to 15 %": lambda film: 128 + (film.astype(float) - 128) * 0.15,
        "burnt out, six times brighter": lambda film: film.astype(float) * 6,
        "far underexposed": lambda film: 255 * (film / 255.0) ** 7,
        "flipped left to right": lambda film: film[:, ::-1],
    }
    return {
        kind: np.stack([np.ascontiguousarray(np.clip(make(film), 0, 255), np.uint8) for film in films])
        for kind, make in makers.items()
    }


def _rotate(film: np.ndarray, degrees: float) -> np.ndarray:
    return np.asarray(Image.fromarray(film).rotate(degrees, Image.Resampling.BILINEAR))


def _crop(film: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    kept = round(film.shape[0] * share)
    top, left = random.integers(0, film.shape[0] - kept + 1, 2)
    return np.asarray(
        Image.fromarray(film[top : top + kept, left : left + kept]).resize(
            film.shape, Image.Resampling.BICUBIC
        )
    )


def _four(film: np.ndarray, films: Films, random: np.random.Generator) -> np.ndarray:
    others = films[random.integers(0, len(films), 3)]
    rows = [np.hstack([film, others[0]]), np.hstack([others[1], others[2]])]
    return _fit(np.vstack(rows), film.shape[0])


def _two(film: np.ndarray, films: Films, random: np.random.Generator) -> np.ndarray:
    return _fit(np.hstack([film, films[random.integers(len(films))]]), film.shape[0])


def _screen(film: np.ndarray, random: np.random.Generator, *, fills: bool) -> np.ndarray:
    """Draw a monitor's rows of dots seen by a camera of another pitch (moire), a room, a window's light."""
    side, scene_px = film.shape[0], 1200
    screen = cv2.resize(film, (900, 900), interpolation=cv2.INTER_CUBIC).astype(np.float32) * 0.85 + 18
    screen[::3] *= 0.55  # dark lines between the rows of dots
    screen[:, ::3] *= 0.75
    room = cv2.resize(_pink(64, random), (scene_px, scene_px)).astype(np.float32) * 0.4 + random.uniform(
        0, 90
    )
    inset = (-0.02, 0.03) if fills else (0.06, 0.16)
    near = random.uniform(*inset, (4, 2)) * scene_px
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    target = corners * scene_px + near * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    if fills:
        target = corners * scene_px - np.abs(near) * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    warp = cv2.getPerspectiveTransform(corners * 900, target.astype(np.float32))
    size = (scene_px, scene_px)
    seen = cv2.warpPerspective(screen, warp, size)
    there = cv2.warpPerspective(np.ones_like(screen), warp, size)
    scene = np.where(there > 0.5, seen, room)
    across = np.linspace(0, 1, scene_px)
    scene += random.uniform(10, 60) * np.clip(1 - 4 * np.abs(across[None] - random.uniform(0, 1)), 0, None)
    camera = scene[::2, ::2]  # sampled without a filter: dots become stripes
    return _fit(np.clip(camera, 0, 255), side)
