"""Twelve ways in which a film of another site, scanner or phone differs, at five severities each.

Films are uint8 (N, side, side) at the network's side, as `hilum.data` decodes them, before any remedy. Chance
(noise, angles, places) is drawn from the seed and the corruption's name, never from the severity, so that
severity 3 of a film is severity 2 taken further. Knows nothing about networks.

The families follow Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions
and perturbations" (ICLR 2019), for radiographs; the strengths are in `hilum.domain.thresholds`.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain import thresholds
from hilum.imaging.degrade import compress_jpeg

Film = NDArray[np.uint8]
FilmArray = NDArray[np.float32]
Corrupt = Callable[[Film, float, np.random.Generator], NDArray[np.floating] | Film]
"""(film (H, W), strength, random numbers of this film) to a film (H, W), any range."""

SEVERITIES = (1, 2, 3, 4, 5)
_GREY_MAX = 255.0
_OBJECT_GREY = 240
_TEXT = (
    "PORTABLE AP",
    "ERECT  PA",
    "L",
    "WARD 7  10:42",
    "SUPINE",
    "REPEAT",
    "110 kV  2 mAs",
    "R",
    "ICU BED 4",
)
_TEXT_PLACES = (
    (0.03, 0.06), (0.62, 0.06), (0.03, 0.97), (0.55, 0.97), (0.36, 0.12),
    (0.08, 0.30), (0.55, 0.42), (0.15, 0.62), (0.52, 0.75),
)  # fmt: skip
"""Left end of each line's base, as shares of the side: x, y."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """One kind of change.

    Parameters
    ----------
    title
        For people.
    strengths
        One number per severity, mild to heavy.
    unit
        What the number says, with `{}` where it goes.
    apply
        Changes one film.
    """

    title: str
    strengths: tuple[float, ...]
    unit: str
    apply: Corrupt

    def setting(self, severity: int) -> str:
        """Return what a severity is, in words: `JPEG quality 15`."""
        return self.unit.format(f"{self.strengths[severity - 1]:g}")


def corrupt_films(films: Film, name: str, severity: int, *, seed: int) -> Film:
    """Return changed films, uint8 (N, side, side), the same for the same seed.

    Parameters
    ----------
    films
        uint8 (N, side, side).
    name
        A key of `CORRUPTIONS`.
    severity
        1 (barely visible) to 5 (heavy).
    """
    corruption = CORRUPTIONS[name]
    strength = corruption.strengths[severity - 1]
    changed = np.empty_like(films)
    for index, film in enumerate(films):
        generator = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
        changed[index] = _to_grey(corruption.apply(film, strength, generator))
    return changed


def _noise(film: Film, deviation: float, generator: np.random.Generator) -> NDArray[np.floating]:
    return film + deviation * generator.standard_normal(film.shape, dtype=np.float32)


def _blur(film: Film, share: float, _: np.random.Generator) -> FilmArray:
    return _gaussian(film.astype(np.float32), share)


def _jpeg(film: Film, quality: float, _: np.random.Generator) -> Film:
    return compress_jpeg(film, int(quality))


def _contrast(film: Film, factor: float, _: np.random.Generator) -> FilmArray:
    grey = film.astype(np.float32)
    return np.asarray(grey.mean() + factor * (grey - grey.mean()), np.float32)


def _gamma(film: Film, exponent: float, generator: np.random.Generator) -> FilmArray:
    power = exponent if generator.random() < 0.5 else 1.0 / exponent  # noqa: PLR2004 a fair coin
    return np.asarray(_GREY_MAX * (film.astype(np.float32) / _GREY_MAX) ** power, np.float32)


def _resolution(film: Film, share: float, _: np.random.Generator) -> FilmArray:
    side = film.shape[0]
    kept = max(1, round(share * side))
    small = cv2.resize(film.astype(np.float32), (kept, kept), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)


def _rotation(film: Film, degrees: float, generator: np.random.Generator) -> FilmArray:
    side = film.shape[0]
    middle = ((side - 1) / 2, (side - 1) / 2)
    turn = cv2.getRotationMatrix2D(middle, float(generator.choice((-1.0, 1.0))) * degrees, 1.0)
    return np.asarray(cv2.warpAffine(film, turn, (side, side), flags=cv2.INTER_LINEAR), np.float32)


def _crop(film: Film, share: float, generator: np.random.Generator) -> FilmArray:
    side = film.shape[0]
    kept = side - round(share * side)
    left, top = np.round(generator.random(2) * (side - kept)).astype(int)
    inside = film[top : top + kept, left : left + kept].astype(np.float32)
    return np.asarray(cv2.resize(inside, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)


def _occlusion(film: Film, area: float, generator: np.random.Generator) -> Film:
    side = film.shape[0]
    width = max(1, round(np.sqrt(area) * side))
    # The middle is drawn where the largest square still fits, so that a heavier one covers a milder one.
    reach = np.sqrt(thresholds.OCCLUSION_AREA_SHARES[-1]) / 2
    left, top = np.round((reach + generator.random(2) * (1 - 2 * reach)) * side - width / 2).astype(int)
    changed = film.copy()
    changed[max(top, 0) : top + width, max(left, 0) : left + width] = _OBJECT_GREY
    return changed


def _grid_lines(film: Film, amplitude: float, generator: np.random.Generator) -> FilmArray:
    side = film.shape[0]
    phase = generator.random()
    columns = np.arange(side) / (thresholds.GRID_PERIOD_SHARE * side)
    stripes = np.sin(2 * np.pi * (columns + phase)).astype(np.float32)
    return np.asarray(film + amplitude * stripes[None, :], np.float32)


def _photo(film: Film, strength: float, generator: np.random.Generator) -> FilmArray:
    side = film.shape[0]
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * (side - 1)
    inward = np.sign(corners.mean() - corners) * generator.random((4, 2))
    moved = corners + strength * thresholds.PHOTO_KEYSTONE_SHARE * side * inward
    askew = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    seen = cv2.warpPerspective(film.astype(np.float32), askew, (side, side), flags=cv2.INTER_LINEAR)
    y, x = np.mgrid[0:side, 0:side] / (side - 1.0)
    from_middle = ((x - 0.5) ** 2 + (y - 0.5) ** 2) / 0.5  # 1 in the corners
    spot_x, spot_y = 0.2 + 0.6 * generator.random(2)
    spot = np.exp(-((x - spot_x) ** 2 + (y - spot_y) ** 2) / (2 * 0.1**2))
    light = 1.0 - strength * thresholds.PHOTO_VIGNETTE * from_middle
    lit = seen * light + strength * thresholds.PHOTO_GLARE_GREY * spot
    return _gaussian(lit.astype(np.float32), strength * thresholds.PHOTO_BLUR_SHARE)


def _burned_text(film: Film, lines: float, _: np.random.Generator) -> Film:
    side = film.shape[0]
    changed = film.copy()
    scale = cv2.getFontScaleFromHeight(
        cv2.FONT_HERSHEY_SIMPLEX, max(4, round(thresholds.TEXT_HEIGHT_SHARE * side))
    )
    for text, (x, y) in list(zip(_TEXT, _TEXT_PLACES, strict=True))[: int(lines)]:
        place = (round(x * side), round(y * side))
        cv2.putText(changed, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1, cv2.LINE_AA)
    return changed


def _gaussian(film: FilmArray, share: float) -> FilmArray:
    return np.asarray(cv2.GaussianBlur(film, (0, 0), share * film.shape[0]), np.float32)


def _to_grey(film: NDArray[np.floating] | Film) -> Film:
    return np.asarray(np.clip(np.rint(film), 0, _GREY_MAX), np.uint8)


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise": Corruption("Noise", thresholds.NOISE_DEVIATIONS_GREY, "deviation {} grey", _noise),
    "blur": Corruption("Blur", thresholds.BLUR_DEVIATION_SHARES, "deviation {} of the side", _blur),
    "jpeg": Corruption("JPEG", thresholds.JPEG_QUALITIES, "quality {}", _jpeg),
    "contrast": Corruption("Contrast", thresholds.CONTRAST_FACTORS, "factor {}", _contrast),
    "gamma": Corruption("Gamma", thresholds.GAMMA_EXPONENTS, "exponent {} or its inverse", _gamma),
    "resolution": Corruption("Resolution", thresholds.RESOLUTION_SHARES, "{} of the side kept", _resolution),
    "rotation": Corruption("Rotation", thresholds.ROTATION_DEGREES, "{} degrees", _rotation),
    "crop": Corruption("Crop", thresholds.CROP_SHARES, "{} of the side lost", _crop),
    "occlusion": Corruption("Occlusion", thresholds.OCCLUSION_AREA_SHARES, "{} of the area", _occlusion),
    "grid_lines": Corruption("Grid lines", thresholds.GRID_AMPLITUDES_GREY, "amplitude {} grey", _grid_lines),
    "photo": Corruption("Photo of a film", thresholds.PHOTO_STRENGTHS, "strength {}", _photo),
    "burned_text": Corruption("Burned-in text", thresholds.TEXT_LINES, "{} lines", _burned_text),
}
"""Every corruption by name, in the order of the report."""
