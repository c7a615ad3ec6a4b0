"""The soft tissue of a drawn chest: body outline, lungs, mediastinum, abdomen, as X-ray attenuation.

A map holds the attenuation along the beam (dimensionless, mu times thickness), so that organs add up as
they do on a detector. Frame and units: `phantom.raster`. Bones are in `phantom.bones`, disease in
`phantom.lesions`; pixels and grey values come last, in `phantom.exposure`.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from hilum.data.phantom.heart import draw_airway, draw_heart, draw_vessels
from hilum.data.phantom.patient import Patient, cage_half_width
from hilum.data.phantom.raster import SIDES, FloatMap, Grid, blob, chord, cloud, soft_step

BODY_ATTENUATION = 2.7
LUNG_AIR_ATTENUATION = 1.75
MIN_STOMACH_GAS = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class Torso:
    """Soft tissue drawn: `attenuation` and the lungs as soft masks in [0, 1], all float32 (N, N)."""

    attenuation: FloatMap
    lung_right: FloatMap
    lung_left: FloatMap


def _medial_half_width(patient: Patient, y: FloatMap, inner: float) -> FloatMap:
    turn_y = -0.42
    rise = np.clip((turn_y - y) / (turn_y - patient.apex_y), 0.0, 1.0)
    return np.asarray(0.29 - (0.29 - inner) * np.sqrt(1.0 - rise**2), dtype=np.float32)


def _draw_lung(patient: Patient, grid: Grid, side: float) -> FloatMap:
    """Return one lung without the heart's notch: soft mask float32 (N, N)."""
    lateral = cage_half_width(patient, grid.y).astype(np.float32)
    medial = _medial_half_width(patient, grid.y, 0.105)
    across = grid.x * np.float32(side)
    dome_y = patient.dome_right_y if side < 0 else patient.dome_left_y
    crest = 0.34
    outward = np.clip((across - crest) / (patient.lung_half_width - crest), 0.0, 1.2)
    inward = np.clip((crest - across) / crest, 0.0, 1.0)
    floor = np.float32(dome_y) + patient.recess_depth * outward**2.4 + 0.09 * inward**2
    inside = soft_step(lateral - across, 0.022) * soft_step(across - medial, 0.022)
    inside *= soft_step(np.asarray(floor, dtype=np.float32) - grid.y, 0.02)
    inside *= soft_step(grid.y - np.float32(patient.apex_y), 0.02)
    return np.asarray(inside, dtype=np.float32)


def _draw_body(patient: Patient, grid: Grid) -> FloatMap:
    """Return the thickness of trunk, neck and arms relative to the middle of the chest."""
    half = patient.body_half_width
    neck = 0.205 if patient.sex == "M" else 0.175
    shoulder = patient.shoulder_y
    outline = np.interp(
        grid.y[:, 0],
        [-1.3, shoulder - 0.22, shoulder - 0.10, shoulder, shoulder + 0.14, -0.1, 0.35, 1.3],
        [neck, neck + 0.02, 0.42, 0.86, 1.12, half + 0.03, half, half + 0.02],
    ).astype(np.float32)
    smooth = max(3, round(grid.px_per_unit * 0.16)) | 1
    edge = cv2.GaussianBlur(outline[:, None], (1, smooth), 0, borderType=cv2.BORDER_REPLICATE)
    ratio = np.abs(grid.x) / edge
    trunk = np.power(np.clip(1.0 - ratio**2.6, 0.0, 1.0), 0.45)
    upper = np.interp(grid.y[:, 0], [-1.3, -0.9, -0.45, 0.3, 1.3], [0.62, 0.72, 0.95, 1.0, 1.05])
    trunk *= upper.astype(np.float32)[:, None]
    arm = np.zeros_like(trunk)
    for side in SIDES:
        start_x, start_y = 1.0, shoulder + 0.16
        across = (grid.x * np.float32(side) - start_x) * np.cos(patient.arm_angle)
        across = across - (grid.y - start_y) * np.sin(patient.arm_angle)
        limb = chord(np.asarray((across / 0.165) ** 2, dtype=np.float32))
        arm = np.maximum(arm, limb * soft_step(grid.y - np.float32(start_y - 0.05), 0.16) * np.float32(0.62))
    return np.asarray(np.maximum(trunk, arm), dtype=np.float32)


def draw_torso(patient: Patient, grid: Grid) -> Torso:
    """Draw soft tissue, lungs, heart and airway of a patient; bones are added by `phantom.bones`."""
    rng = np.random.default_rng([patient.seed, 1])
    silhouette, depth = draw_heart(patient, grid)
    lungs = [np.asarray(_draw_lung(patient, grid, side) * (1.0 - silhouette)) for side in SIDES]
    lung = lungs[0] + lungs[1]
    body = _draw_body(patient, grid)
    attenuation = np.float32(BODY_ATTENUATION * patient.thickness) * body
    # The lung is thinner towards its edges, so the air it removes grows with the distance to them.
    spread = grid.px_per_unit * 0.11
    inner = cv2.resize(
        cv2.GaussianBlur(
            cv2.resize(lung, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), (0, 0), spread / 4
        ),
        (lung.shape[1], lung.shape[0]),
    )
    basal = 1.0 - 0.12 * np.clip(grid.y + 0.1, 0.0, 0.6)
    attenuation -= np.float32(LUNG_AIR_ATTENUATION) * lung * (0.68 + 0.34 * inner) * body * basal
    attenuation += 0.10 * silhouette + 0.40 * depth
    belly = soft_step(grid.y - np.float32(patient.dome_right_y - 0.02), 0.25) * (1.0 - lung) * body
    attenuation += np.float32(0.55) * belly
    attenuation += np.float32(0.42) * draw_vessels(patient, grid, rng) * (0.15 + 0.85 * lung) * body
    hila = sum(np.exp(-2.2 * blob(grid, (s * 0.165, -0.05), (0.075, 0.13), s * 0.25)) for s in SIDES)
    attenuation += np.float32(0.30) * np.asarray(hila, dtype=np.float32) * lung
    attenuation += np.float32(0.05) * cloud(lung.shape, 0.24 * grid.px_per_unit, rng) * body
    attenuation -= draw_airway(grid)
    attenuation -= _draw_stomach_gas(patient, grid)
    if patient.breast_size > 0:
        attenuation += _draw_breasts(patient, grid) * body
    return Torso(np.maximum(attenuation, 0.0), lungs[0], lungs[1])


def _draw_stomach_gas(patient: Patient, grid: Grid) -> FloatMap:
    if patient.stomach_gas < MIN_STOMACH_GAS:
        return np.zeros((1, 1), dtype=np.float32)
    size = 0.05 + 0.09 * patient.stomach_gas
    bubble = chord(blob(grid, (0.36, patient.dome_left_y + 0.07 + size * 0.5), (size * 1.5, size), 0.15))
    return np.asarray(0.65 * bubble, dtype=np.float32)


def _draw_breasts(patient: Patient, grid: Grid) -> FloatMap:
    size = patient.breast_size
    shadow = np.zeros((grid.y.size, grid.x.size), dtype=np.float32)
    for side in SIDES:
        square = blob(
            grid, (side * 0.43, patient.dome_right_y - 0.12), (0.30 * size, 0.27 * size), side * 0.3
        )
        shadow = np.maximum(shadow, np.power(np.clip(1.0 - square, 0.0, 1.0), 0.8))
    return np.asarray(0.42 * size * shadow, dtype=np.float32)
