"""The report's patterns of disease, drawn into a chest as extra attenuation with their own mask.

Pneumonia: diffuse, patchy, cloudy infiltrates in the lower and middle zones of both lungs, with hints of
air bronchograms. Tuberculosis: consolidation under the apex, cavities with a thin rim, scarring streaks
towards the hilum, small satellites. Normal: nothing. Frame and units are those of `phantom.raster`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.data.phantom.anatomy import Torso
from hilum.data.phantom.patient import Patient
from hilum.data.phantom.raster import SIDES, FloatMap, Grid, blob, cloud, soft_step
from hilum.domain.findings import Finding

MASK_SHARE = 0.28
"""Share of a lesion's strength from which a pixel belongs to its mask."""

BILATERAL_SHARE = 0.45
"""Share of tuberculosis films with disease under both apices."""

FAINTEST, STRONGEST = 0.22, 1.35


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """Disease in one chest: `attenuation` float32 (N, N) to add, `extent` float32 in [0, 1], `strength`."""

    attenuation: FloatMap
    extent: FloatMap
    strength: float


def draw_lesion(
    finding: Finding, patient: Patient, torso: Torso, grid: Grid, rng: np.random.Generator
) -> Lesion:
    """Draw the pattern of a finding; its strength runs from subtle to obvious."""
    lung = torso.lung_right + torso.lung_left
    strength = float(FAINTEST + (STRONGEST - FAINTEST) * rng.beta(1.5, 1.5))
    if finding is Finding.PNEUMONIA:
        density = _draw_infiltrates(patient, grid, rng)
    elif finding is Finding.TUBERCULOSIS:
        density = _draw_apical_disease(patient, grid, rng)
    else:
        nothing = np.zeros_like(lung)
        return Lesion(nothing, nothing, 0.0)
    density = density * lung
    extent = cv2.GaussianBlur(np.maximum(density, 0.0), (0, 0), grid.px_per_unit / 80)
    return Lesion(np.asarray(np.float32(strength) * density), np.clip(extent, 0.0, 1.0), strength)


def _streaks(grid: Grid, lines: list[NDArray[np.float64]], width: float) -> FloatMap:
    layer = np.zeros((grid.y.size, grid.x.size), np.uint8)
    thickness = max(1, round(width * grid.px_per_unit))
    for line in lines:
        cv2.polylines(layer, [grid.to_px(line)], False, 255, thickness, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(layer, (0, 0), 0.8 * grid.px_per_unit / 160)
    return np.divide(soft, 255, dtype=np.float32)


def _crooked_line(
    start: NDArray[np.float64], end: NDArray[np.float64], bend: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    along = np.linspace(0.0, 1.0, 9)[:, None]
    line = start + (end - start) * along
    line[1:-1] += rng.normal(0, bend, (7, 2))
    return line


def _draw_infiltrates(patient: Patient, grid: Grid, rng: np.random.Generator) -> FloatMap:
    shape = (grid.y.size, grid.x.size)
    envelope = np.zeros(shape, dtype=np.float32)
    height = patient.dome_right_y - patient.apex_y
    weaker_side = rng.uniform(0.55, 1.0)
    stronger = rng.choice(SIDES)
    for side in SIDES:
        gain = 1.0 if side == stronger else weaker_side
        for _ in range(int(rng.integers(2, 5))):
            centre = (side * rng.uniform(0.22, 0.50), patient.apex_y + height * rng.uniform(0.55, 0.97))
            radii = (rng.uniform(0.10, 0.22), rng.uniform(0.10, 0.20))
            patch = np.exp(-1.1 * blob(grid, centre, radii, rng.uniform(-0.6, 0.6)))
            envelope = np.maximum(envelope, np.float32(gain * rng.uniform(0.7, 1.0)) * patch)
    texture = cloud(shape, 0.20 * grid.px_per_unit, rng, octaves=5)
    patchy = 1.0 / (1.0 + np.exp(-(1.7 * texture + 0.3)))
    density = envelope * (0.25 + 1.1 * patchy)
    lines = []
    for side in SIDES:
        root = np.array([side * 0.17, 0.0])
        for _ in range(4):
            tip = np.array([side * rng.uniform(0.3, 0.55), rng.uniform(0.1, patient.dome_right_y)])
            lines.append(_crooked_line(root, tip, 0.012, rng))
    bronchi = _streaks(grid, lines, 0.014)
    fade = soft_step(np.asarray(grid.y - np.float32(patient.apex_y + height * 0.36), dtype=np.float32), 0.14)
    return np.asarray(density * (1.0 - 0.55 * bronchi) * fade, dtype=np.float32)


def _draw_apical_disease(patient: Patient, grid: Grid, rng: np.random.Generator) -> FloatMap:
    shape = (grid.y.size, grid.x.size)
    height = patient.dome_right_y - patient.apex_y
    first = float(rng.choice(SIDES))
    sides = SIDES if rng.random() < BILATERAL_SHARE else (first,)
    envelope = np.zeros(shape, dtype=np.float32)
    rings = np.zeros(shape, dtype=np.float32)
    holes = np.zeros(shape, dtype=np.float32)
    satellites = np.zeros(shape, dtype=np.float32)
    ragged = cloud(shape, 0.10 * grid.px_per_unit, rng, octaves=3)
    lines = []
    for side in sides:
        gain = 1.0 if side == first else rng.uniform(0.45, 0.9)
        for _ in range(int(rng.integers(1, 4))):
            centre = (side * rng.uniform(0.24, 0.42), patient.apex_y + height * rng.uniform(0.06, 0.24))
            radii = (rng.uniform(0.09, 0.17), rng.uniform(0.08, 0.15))
            patch = np.exp(-1.2 * blob(grid, centre, radii, rng.uniform(-0.7, 0.7)))
            envelope = np.maximum(envelope, np.float32(gain) * patch)
        for _ in range(int(rng.choice([0, 1, 1, 2]))):
            radius = rng.uniform(0.045, 0.095)
            centre = (side * rng.uniform(0.27, 0.42), patient.apex_y + height * rng.uniform(0.10, 0.25))
            square = blob(grid, centre, (radius, radius * rng.uniform(0.8, 1.2)), rng.uniform(0, 3))
            distance = (np.sqrt(square) - 1.0) * radius + 0.012 * ragged
            rings = np.maximum(rings, np.float32(0.62 * gain) * np.exp(-((distance / 0.015) ** 2)))
            holes = np.maximum(holes, soft_step(np.asarray(-distance, dtype=np.float32), 0.02))
        for _ in range(int(rng.integers(3, 9))):
            tip = np.array([side * rng.uniform(0.2, 0.5), patient.apex_y + height * rng.uniform(0.05, 0.25)])
            root = np.array([side * rng.uniform(0.17, 0.26), patient.apex_y + height * rng.uniform(0.3, 0.5)])
            lines.append(_crooked_line(root, tip, 0.008, rng))
        for _ in range(int(rng.integers(3, 12))):
            centre = (side * rng.uniform(0.2, 0.5), patient.apex_y + height * rng.uniform(0.08, 0.36))
            size = rng.uniform(0.010, 0.024)
            satellites = np.maximum(satellites, np.exp(-blob(grid, centre, (size, size))))
    texture = cloud(shape, 0.13 * grid.px_per_unit, rng, octaves=5)
    patchy = 1.0 / (1.0 + np.exp(-(1.3 * texture + 0.5)))
    density = envelope * (0.35 + 0.85 * patchy)
    density = 1.15 * density * (1.0 - 0.8 * holes) + rings
    density += 0.42 * _streaks(grid, lines, 0.013) + 0.5 * satellites
    fade = soft_step(np.asarray(np.float32(patient.apex_y + height * 0.52) - grid.y, dtype=np.float32), 0.2)
    return np.asarray(density * fade, dtype=np.float32)
