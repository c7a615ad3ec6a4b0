"""Heart, great vessels, lung vessels and airways of a drawn chest. Frame and units: `phantom.raster`."""

import cv2
import numpy as np

from hilum.data.phantom.patient import Patient
from hilum.data.phantom.raster import SIDES, FloatMap, Grid, blob, chord, soft_step

TRUNKS = 9  # vessels that leave each hilum

THINNEST_VESSEL = 0.75
"""Calibre, pixels at 320 px, below which a branch ends."""


def _profile(y: FloatMap, knots: list[tuple[float, float]], blur_px: float) -> FloatMap:
    """Return a smooth curve through (height, value) knots at heights `y` (N, 1): float32 (N, 1)."""
    heights, values = zip(*knots, strict=True)
    curve = np.interp(y[:, 0], heights, values).astype(np.float32)[:, None]
    smooth = cv2.GaussianBlur(curve, (0, 0), blur_px, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth.reshape(y.shape), dtype=np.float32)


def draw_heart(patient: Patient, grid: Grid) -> tuple[FloatMap, FloatMap]:
    """Return (silhouette in [0, 1], relative thickness) of heart and great vessels.

    The left border runs from the aortic knob over the pulmonary bay to the apex, the right one from the
    vena cava over the right atrium.
    """
    size, base = patient.heart_size, 0.5 * (patient.dome_right_y + patient.dome_left_y)
    apex = 0.395 * size
    blur = grid.px_per_unit * 0.028
    left = _profile(
        grid.y,
        [
            *((-0.75, 0.03), (-0.45, 0.07), (-0.25, 0.095), (-0.14, 0.125 * size), (-0.04, 0.155 * size)),
            *((0.30 * base, 0.235 * size), (0.62 * base, apex - 0.03), (0.84 * base, apex)),
            *((base + 0.03, apex - 0.02), (base + 0.12, 0.15), (base + 0.2, 0.0)),
        ],
        blur,
    )
    knob = patient.knob_size * np.exp(-(((grid.y + 0.335) / (1.2 * patient.knob_size)) ** 2))
    left = np.asarray(left + 0.7 * knob, dtype=np.float32)
    right = _profile(
        grid.y,
        [
            *((-0.75, 0.05), (-0.5, 0.085), (-0.2, 0.095), (-0.08, 0.11), (0.15 * base, 0.15 * size)),
            *(
                (0.55 * base, 0.185 * size),
                (0.85 * base, 0.165 * size),
                (base + 0.05, 0.12),
                (base + 0.2, 0.05),
            ),
        ],
        blur,
    )
    bulk = _profile(
        grid.y, [(-0.6, 0.25), (-0.15, 0.35), (0.3 * base, 0.8), (0.8 * base, 1.0), (base + 0.25, 0.5)], blur
    )
    silhouette = soft_step(left - grid.x, 0.022) * soft_step(grid.x + right, 0.022)
    middle, half = 0.5 * (left - right), 0.5 * (left + right)
    depth = chord(np.asarray(((grid.x - middle) / np.maximum(half, 0.02)) ** 2, dtype=np.float32)) * bulk
    return np.asarray(silhouette, dtype=np.float32), np.asarray(depth, dtype=np.float32)


def draw_vessels(patient: Patient, grid: Grid, rng: np.random.Generator) -> FloatMap:
    """Return arteries and veins branching outwards from the hila: float32 (N, N), 1 is a main artery."""
    layer = np.zeros((grid.y.size, grid.x.size), dtype=np.uint8)
    side = np.repeat(SIDES, TRUNKS)
    start = np.stack([side * 0.15, np.where(side < 0, -0.025, -0.06)], axis=1)
    angle = np.tile(np.linspace(-1.25, 1.35, TRUNKS), 2) + rng.normal(0, 0.1, 2 * TRUNKS)
    calibre = 4.4
    while calibre > THINNEST_VESSEL:
        points = [start]
        for _ in range(3):
            angle = angle + rng.normal(0, 0.13, angle.size)
            step = rng.uniform(0.045, 0.075, (angle.size, 1))
            points.append(points[-1] + step * np.stack([side * np.cos(angle), np.sin(angle)], axis=1))
        lines = grid.to_px(np.stack(points, axis=1))  # (vessels, 4, 2)
        brightness = min(60 + 42 * calibre, 255)
        thickness = max(1, round(calibre * grid.px_per_unit / 160))
        cv2.polylines(layer, list(lines), False, brightness, thickness, cv2.LINE_AA, 4)
        fork = np.repeat([-0.34, 0.34], angle.size) + rng.normal(0, 0.12, 2 * angle.size)
        start, angle, side = np.tile(points[-1], (2, 1)), np.tile(angle, 2) + fork, np.tile(side, 2)
        calibre *= 0.66
    soft = cv2.GaussianBlur(layer, (0, 0), 0.9 * grid.px_per_unit / 160).astype(np.float32) / 255
    return np.asarray(soft * np.float32(patient.vessel_strength), dtype=np.float32)


def draw_airway(grid: Grid) -> FloatMap:
    """Return the attenuation that the air in trachea and main bronchi takes away: float32 (N, N)."""
    bend = np.float32(-0.012) * soft_step(grid.y + np.float32(0.45), 0.3)
    trachea = chord(np.asarray(((grid.x - bend) / 0.048) ** 2, dtype=np.float32))
    trachea = trachea * soft_step(np.float32(-0.22) - grid.y, 0.1)
    right = chord(blob(grid, (-0.075, -0.17), (0.10, 0.030), -0.85))
    left = chord(blob(grid, (0.085, -0.185), (0.11, 0.026), 0.62))
    return np.asarray(0.50 * trachea + 0.26 * np.maximum(right, left), dtype=np.float32)
