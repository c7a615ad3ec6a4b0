"""The skeleton of a drawn chest: ribs, clavicles, spine, scapulae, arms, as attenuation to be added.

Frame and units are those of `phantom.raster`.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.data.phantom.patient import Patient, cage_half_width
from hilum.data.phantom.raster import SIDES, FloatMap, Grid, blob, chord, soft_step

RIB_PAIRS = 10


def draw_skeleton(patient: Patient, grid: Grid) -> FloatMap:
    """Return the attenuation of all bones: float32 (N, N)."""
    rng = np.random.default_rng([patient.seed, 2])
    posterior, anterior = _draw_ribs(patient, grid, rng)
    bones = (0.41 * posterior + 0.23 * anterior) * _lateral_gain(patient, grid)
    bones = 0.55 * np.tanh(bones / 0.55)  # crossing ribs at the flank do not add without end
    bones += 0.46 * _draw_clavicles(patient, grid, rng)
    bones += _draw_spine(grid)
    bones += _draw_scapulae(patient, grid, rng)
    bones += _draw_humeri(patient, grid)
    return np.asarray(bones * np.float32(patient.bone_density), dtype=np.float32)


def _lateral_gain(patient: Patient, grid: Grid) -> FloatMap:
    """Ribs run along the beam at the chest wall and are whitest there."""
    wall = cage_half_width(patient, grid.y).astype(np.float32)
    near = np.exp(-(((np.abs(grid.x) - wall) / 0.05) ** 2))
    return np.asarray(1.0 + 0.55 * near, dtype=np.float32)


def _fill_band(
    layer: NDArray[np.uint8], grid: Grid, line: NDArray[np.float64], half_width: NDArray[np.float64]
) -> None:
    """Fill a bone of varying half width along a centre line (N, 2): bright cortex, darker marrow."""
    tangent = np.gradient(line, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    upper, lower = line + normal * half_width[:, None], line - normal * half_width[:, None]
    outline = grid.to_px(np.concatenate([upper, lower[::-1]]))
    cv2.fillPoly(layer, [outline], 175, cv2.LINE_AA, 4)
    thickness = max(1, round(grid.px_per_unit / 160))
    for edge in (upper, lower):
        cv2.polylines(layer, [grid.to_px(edge)], False, 255, thickness, cv2.LINE_AA, 4)


def _draw_ribs(patient: Patient, grid: Grid, rng: np.random.Generator) -> tuple[FloatMap, FloatMap]:
    """Return (posterior, anterior) rib arcs, float32 (N, N) in [0, 1]."""
    shape = (grid.y.size, grid.x.size)
    posterior, anterior = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    along = np.linspace(0.0, 1.0, 26)
    jitter = rng.normal(0, 0.004, (RIB_PAIRS, 2))
    for rib in range(RIB_PAIRS):
        for index, side in enumerate(SIDES):
            start_y = patient.apex_y + 0.05 + rib * patient.rib_step + jitter[rib, index]
            drop = 0.10 + 0.017 * rib + patient.rib_slope
            end_y = start_y + drop
            reach = float(cage_half_width(patient, np.array([min(end_y, 0.72)]))[0]) + 0.012
            x = 0.075 + (reach - 0.075) * np.sin(along * np.pi / 2) ** 0.92
            y = start_y - 0.045 * np.sin(np.pi * np.clip(along * 1.25, 0, 1)) + drop * along**2.2
            half = (0.021 + 0.0011 * rib) * (0.8 + 0.35 * along)
            _fill_band(posterior, grid, np.stack([side * x, y], axis=1), half)
            front_end = 0.24 + 0.018 * rib
            depth = (0.11 if rib == 0 else 0.20) + 0.012 * rib
            swing = along * np.pi / 2
            x = reach - (reach - front_end) * (1.0 - np.cos(swing)) ** 0.85
            y = end_y + depth * np.sin(swing) ** 1.15
            _fill_band(anterior, grid, np.stack([side * x, y], axis=1), 0.025 + 0.012 * along)
    return np.divide(posterior, 255, dtype=np.float32), np.divide(anterior, 255, dtype=np.float32)


def _draw_clavicles(patient: Patient, grid: Grid, rng: np.random.Generator) -> FloatMap:
    layer = np.zeros((grid.y.size, grid.x.size), np.uint8)
    along = np.linspace(0.0, 1.0, 30)
    lift = rng.normal(0.105, 0.03)
    for side in SIDES:
        x = 0.065 + 0.66 * along
        inner_y = patient.apex_y + 0.155 + rng.normal(0, 0.012)
        y = inner_y - lift * along - 0.028 * np.sin(2 * np.pi * along)
        half = 0.029 + 0.012 * np.cos(np.pi * along) ** 2
        _fill_band(layer, grid, np.stack([side * x, y], axis=1), half)
    return np.divide(layer, 255, dtype=np.float32)


def _draw_spine(grid: Grid) -> FloatMap:
    """Vertebral bodies with darker discs, pedicles and the midline row of spinous processes."""
    height = (0.115 + 0.03 * np.clip(grid.y + 0.6, 0.0, 2.0)).astype(np.float32)
    phase = np.cumsum(2 * np.pi / height / grid.px_per_unit, axis=0)
    body = 0.5 + 0.5 * np.tanh(3.0 * (np.cos(phase) + 0.62))
    width = 0.072 + 0.018 * np.clip(grid.y + 0.5, 0.0, 1.5)
    column = soft_step(np.asarray(width - np.abs(grid.x), dtype=np.float32), 0.018)
    rim = np.exp(-(((np.abs(grid.x) - width + 0.008) / 0.010) ** 2))
    knots = (
        np.exp(-(((np.abs(grid.x) - width * 0.62) / 0.016) ** 2))
        * np.clip(np.cos(phase - 0.5), 0.0, 1.0) ** 2
    )
    thorn = np.exp(-((grid.x / 0.014) ** 2)) * np.clip(np.cos(phase + 2.2), 0.0, 1.0)
    bone = column * (0.13 + 0.15 * body) + 0.10 * rim * body + 0.16 * knots + 0.13 * thorn
    wings = (
        np.exp(-(((np.abs(grid.x) - width - 0.03) / 0.035) ** 2))
        * np.clip(np.cos(phase - 0.3), 0.0, 1.0) ** 3
    )
    return np.asarray(bone + 0.12 * wings, dtype=np.float32)


def _draw_scapulae(patient: Patient, grid: Grid, rng: np.random.Generator) -> FloatMap:
    layer = np.zeros((grid.y.size, grid.x.size), np.uint8)
    top = patient.shoulder_y + 0.06
    inward = rng.normal(0.0, 0.03)
    for side in SIDES:
        blade = np.array([[0.93, top], [0.66 + inward, top + 0.06], [0.60 + inward, top + 0.2],
                          [0.68 + inward, top + 0.45], [0.74 + inward, top + 0.53], [0.80, top + 0.42],
                          [0.90, top + 0.16]])  # fmt: skip
        points = grid.to_px(blade * [side, 1.0])
        cv2.fillPoly(layer, [points], 120, cv2.LINE_AA, 4)
        thickness = max(1, round(grid.px_per_unit / 110))
        cv2.polylines(layer, [points], True, 235, thickness, cv2.LINE_AA, 4)
        spine_of_blade = np.array([[0.62 + inward, top + 0.10], [0.8, top + 0.03], [1.0, top - 0.05]]) * [
            side,
            1.0,
        ]
        cv2.polylines(layer, [grid.to_px(spine_of_blade)], False, 200, 3 * thickness, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(layer, (0, 0), grid.px_per_unit / 110).astype(np.float32) / 255
    return np.asarray(0.30 * soft, dtype=np.float32)


def _draw_humeri(patient: Patient, grid: Grid) -> FloatMap:
    bone = np.zeros((grid.y.size, grid.x.size), dtype=np.float32)
    top = patient.shoulder_y + 0.14
    cos, sin = np.cos(patient.arm_angle), np.sin(patient.arm_angle)
    for side in SIDES:
        across = (grid.x * np.float32(side) - 1.0) * cos - (grid.y - np.float32(top)) * sin
        shaft = chord(np.asarray((across / 0.062) ** 2, dtype=np.float32))
        shaft = shaft * soft_step(grid.y - np.float32(top), 0.06)
        head = chord(blob(grid, (side * 0.985, top), (0.115, 0.11)))
        bone = np.maximum(bone, np.maximum(shaft * np.float32(0.9), head))
    return np.asarray(0.75 * bone, dtype=np.float32)
