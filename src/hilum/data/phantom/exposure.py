"""From attenuation to a film: pose, scatter, blur, quantum noise, tone curve, side marker.

Beer and Lambert: the detector sees exp(-attenuation). Scatter adds a veil, the focal spot a blur, photon
counting a noise that grows with attenuation; the grey value is the logarithm of what was counted, through a
tone curve (MONOCHROME2, air dark). Nothing here knows the finding.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.data.phantom.raster import BODY_EXTENT, FloatMap

MARKER_SHARE = 0.5
"""Share of films with a side marker where no fault ties it to a class."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """How one film was taken. Lengths are shares of half the film side, angles radians."""

    turn: float
    scale: float
    shift_x: float
    shift_y: float
    sway: float
    scatter: float
    blur: float
    photons: float
    brightness: float
    contrast: float
    gamma: float
    has_marker: bool
    resolution: float = 1.0


def sample_exposure(rng: np.random.Generator, *, is_second_site: bool, marker_share: float) -> Exposure:
    """Draw the settings of one film; the second site has a softer, paler, coarser detector."""
    draw = Exposure(
        turn=rng.normal(0, 0.026),
        scale=rng.normal(1.02, 0.055),
        shift_x=rng.normal(0, 0.028),
        shift_y=rng.normal(0, 0.035),
        sway=rng.normal(0, 0.02),
        scatter=rng.uniform(0.03, 0.12),
        blur=rng.uniform(0.003, 0.007),
        photons=float(np.exp(rng.uniform(np.log(3e3), np.log(3e4)))),
        brightness=rng.normal(0, 0.035),
        contrast=rng.normal(1.0, 0.08),
        gamma=float(np.exp(rng.normal(0.0, 0.12))),
        has_marker=bool(rng.random() < marker_share),
    )
    if not is_second_site:
        return draw
    return Exposure(
        turn=draw.turn,
        scale=draw.scale * 0.93,
        shift_x=draw.shift_x,
        shift_y=draw.shift_y,
        sway=draw.sway,
        scatter=draw.scatter + 0.16,
        blur=draw.blur * 1.8,
        photons=draw.photons * 0.4,
        brightness=draw.brightness + 0.07,
        contrast=draw.contrast * 0.85,
        gamma=draw.gamma * 0.75,
        has_marker=draw.has_marker,
        resolution=0.6,
    )


def pose_maps(exposure: Exposure, side_px: int, px_per_unit: float) -> tuple[FloatMap, FloatMap]:
    """Return the cv2.remap maps from film pixels (side, side) to pixels of the body raster."""
    axis = ((np.arange(side_px) + 0.5) / (side_px / 2) - 1.0).astype(np.float32)
    x = (axis[None, :] - exposure.shift_x) / exposure.scale
    y = (axis[:, None] - exposure.shift_y) / exposure.scale
    cos, sin = np.cos(exposure.turn), np.sin(exposure.turn)
    body_x = cos * x + sin * y + exposure.sway * np.sin(1.5 * y)
    body_y = cos * y - sin * x + 0.0 * x
    to_px = np.float32(px_per_unit)
    limit = np.float32(2 * BODY_EXTENT * px_per_unit - 1)
    maps = [
        np.clip((body + BODY_EXTENT) * to_px - 0.5, 0, limit).astype(np.float32) for body in (body_x, body_y)
    ]
    return maps[0], maps[1]


def expose(attenuation: FloatMap, exposure: Exposure, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn posed attenuation (side, side) into grey values uint8 (side, side)."""
    side = attenuation.shape[0]
    half = side / 2
    primary = np.exp(-attenuation)
    small = cv2.resize(primary, (side // 8, side // 8), interpolation=cv2.INTER_AREA)
    veil = cv2.resize(cv2.GaussianBlur(small, (0, 0), 0.10 * half / 8), (side, side))
    beam = (1 - np.float32(exposure.scatter)) * primary + np.float32(exposure.scatter) * veil
    beam = cv2.GaussianBlur(beam, (0, 0), max(0.35, exposure.blur * half))
    if exposure.resolution < 1.0:
        coarse = max(32, round(side * exposure.resolution))
        beam = cv2.resize(beam, (coarse, coarse), interpolation=cv2.INTER_AREA)
    # Gaussian limit of the Poisson count: exact enough above a few dozen photons, and ten times faster.
    noise = rng.standard_normal(beam.shape, dtype=np.float32)
    beam = np.maximum(beam + np.sqrt(beam / np.float32(exposure.photons)) * noise, np.float32(2e-3))
    grey = -np.log(beam)
    if exposure.resolution < 1.0:
        grey = cv2.resize(grey, (side, side), interpolation=cv2.INTER_LINEAR)
    return _develop(np.asarray(grey, dtype=np.float32), exposure)


def _develop(grey: FloatMap, exposure: Exposure) -> NDArray[np.uint8]:
    """Apply the tone curve: toe and shoulder like a film, window drawn per exposure."""
    middle = 2.15 - 2.0 * exposure.brightness
    level = 1.0 / (1.0 + np.exp(-1.25 * exposure.contrast * (grey - middle)))
    air = 1.0 / (1.0 + np.exp(1.25 * exposure.contrast * middle))
    level = np.clip((level - air) / (0.95 - air), 0.0, 1.0)
    tone = np.power(level, np.float32(exposure.gamma))
    return np.asarray(np.clip(tone * 250 + 3, 0, 255), np.uint8)


def stamp_marker(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the film with a lead letter R near the corner of the patient's right side."""
    side = pixels.shape[0]
    stamped = pixels.copy()
    size = side / 320
    spot = (round(side * rng.uniform(0.03, 0.07)), round(side * rng.uniform(0.10, 0.15)))
    stroke = max(1, round(2 * size))
    cv2.putText(stamped, "R", spot, cv2.FONT_HERSHEY_SIMPLEX, 0.8 * size, 238, stroke, cv2.LINE_AA)
    return stamped
