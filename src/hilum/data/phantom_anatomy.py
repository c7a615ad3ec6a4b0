"""The soft tissue of a drawn chest: body outline, lungs, heart, vessels, as X-ray attenuation.

Everything is in the body frame: the origin is the middle of the film, one unit is half a film side, x grows
to the image right (the patient's left), y grows downwards. A map holds the attenuation along the beam
(dimensionless, mu times thickness), so that organs add up as they do on a detector. Bones are in
`phantom_bones`, disease in `phantom_lesions`; pixels and grey values come last, in `phantom_exposure`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatMap = NDArray[np.float32]

BODY_EXTENT = 1.3
"""Units drawn to each side of the origin: a shifted or turned film never shows the end of the drawing."""

BODY_ATTENUATION = 2.7
LUNG_AIR_ATTENUATION = 1.75
SIDES = (-1.0, 1.0)
FEMALE_SHARE = 0.48
THINNEST_VESSEL = 0.75
MIN_STOMACH_GAS = 0.45


@dataclass(frozen=True, slots=True)
class Patient:
    """What makes one body differ from the next; lengths in units of half a film side."""

    sex: str
    age: int
    apex_y: float
    lung_half_width: float
    widest_y: float
    dome_right_y: float
    dome_left_y: float
    recess_depth: float
    heart_size: float
    heart_turn: float
    knob_size: float
    body_half_width: float
    shoulder_y: float
    thickness: float
    bone_density: float
    rib_slope: float
    rib_step: float
    arm_angle: float
    breast_size: float
    vessel_strength: float
    stomach_gas: float
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The pixel raster of the body frame: `x` float32 (1, N), `y` float32 (N, 1), `px_per_unit` pixels."""

    x: FloatMap
    y: FloatMap
    px_per_unit: float

    def to_px(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """Turn (N, 2) body points into cv2 fixed-point pixels (4 fractional bits)."""
        pixels = (points + BODY_EXTENT) * self.px_per_unit - 0.5
        return np.round(pixels * 16).astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Torso:
    """Soft tissue drawn: `attenuation` and the lungs as soft masks in [0, 1], all float32 (N, N)."""

    attenuation: FloatMap
    lung_right: FloatMap
    lung_left: FloatMap


def make_grid(side_px: int) -> Grid:
    """Return the raster of the body frame at the resolution of a film of `side_px` pixels."""
    px_per_unit = side_px / 2
    count = round(2 * BODY_EXTENT * px_per_unit)
    axis = ((np.arange(count) + 0.5) / px_per_unit - BODY_EXTENT).astype(np.float32)
    return Grid(x=axis[None, :], y=axis[:, None], px_per_unit=px_per_unit)


def sample_patient(rng: np.random.Generator) -> Patient:
    """Draw a body. Nothing here knows the finding."""
    sex = "F" if rng.random() < FEMALE_SHARE else "M"
    age = int(np.clip(rng.normal(47, 17), 16, 92))
    breath = rng.normal(0, 0.055)
    width = rng.normal(0.70 if sex == "M" else 0.665, 0.03)
    dome = rng.normal(0.43, 0.03) + breath
    return Patient(
        sex=sex,
        age=age,
        apex_y=rng.normal(-0.745, 0.025),
        lung_half_width=width,
        widest_y=rng.normal(0.33, 0.05),
        dome_right_y=dome,
        dome_left_y=dome + rng.uniform(0.02, 0.09),
        recess_depth=rng.uniform(0.15, 0.24),
        heart_size=rng.normal(1.0, 0.07) + max(0.0, age - 55) * 0.003 - 0.6 * breath,
        heart_turn=rng.normal(0.60, 0.1) + breath,
        knob_size=0.070 + 0.0007 * max(0, age - 30) + rng.normal(0, 0.006),
        body_half_width=width + rng.uniform(0.15, 0.30),
        shoulder_y=rng.normal(-0.74, 0.035),
        thickness=rng.normal(1.0, 0.09),
        bone_density=rng.normal(1.0, 0.12) - max(0, age - 60) * 0.006,
        rib_slope=rng.normal(0.0, 0.03),
        rib_step=rng.normal(0.126, 0.004),
        arm_angle=rng.uniform(0.05, 0.42),
        breast_size=rng.uniform(0.6, 1.25) if sex == "F" else 0.0,
        vessel_strength=rng.uniform(0.75, 1.3),
        stomach_gas=rng.uniform(0.0, 1.0),
        seed=int(rng.integers(2**31)),
    )


def soft_step(signed: FloatMap, width: float) -> FloatMap:
    """Return 0 to 1 as `signed` (units, positive inside) crosses zero, over about `width` units."""
    ramp = np.clip(signed / width + 0.5, 0.0, 1.0)
    return np.asarray(ramp * ramp * (3.0 - 2.0 * ramp), dtype=np.float32)


def blob(grid: Grid, centre: tuple[float, float], radii: tuple[float, float], turn: float = 0.0) -> FloatMap:
    """Return the squared elliptic radius (1 on the outline) of every pixel: float32 (N, N)."""
    dx, dy = grid.x - np.float32(centre[0]), grid.y - np.float32(centre[1])
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    return np.asarray((along / radii[0]) ** 2 + (across / radii[1]) ** 2, dtype=np.float32)


def chord(square: FloatMap) -> FloatMap:
    """Return the relative thickness of an ellipsoid whose squared elliptic radius is given."""
    return np.sqrt(np.clip(1.0 - square, 0.0, 1.0))


def cage_half_width(patient: Patient, y: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the distance from the midline to the inner chest wall at heights `y`, any shape."""
    rise = np.clip((patient.widest_y - y) / (patient.widest_y - patient.apex_y), 0.0, 1.0)
    below = np.clip(y - patient.widest_y, 0.0, None)
    flank = np.power(1.0 - rise**2.3, 1 / 1.9)
    return np.asarray(0.29 + (patient.lung_half_width - 0.29) * flank - 0.35 * below**2, dtype=np.float64)


def _medial_half_width(patient: Patient, y: FloatMap, inner: float) -> FloatMap:
    turn_y = -0.42
    rise = np.clip((turn_y - y) / (turn_y - patient.apex_y), 0.0, 1.0)
    return np.asarray(0.29 - (0.29 - inner) * np.sqrt(1.0 - rise**2), dtype=np.float32)


def _draw_heart(patient: Patient, grid: Grid) -> tuple[FloatMap, FloatMap]:
    """Return (silhouette in [0, 1], relative thickness) of heart and great vessels."""
    size = patient.heart_size
    base_y = 0.5 * (patient.dome_right_y + patient.dome_left_y)
    ventricle = blob(grid, (0.115, base_y - 0.215), (0.335 * size, 0.225 * size), patient.heart_turn)
    atrium = blob(grid, (-0.045, base_y - 0.23), (0.125 * size, 0.21 * size))
    outflow = blob(grid, (0.09, -0.10), (0.105, 0.17), -0.25)
    cava = blob(grid, (-0.075, -0.30), (0.055, 0.26))
    knob = blob(grid, (0.085, -0.335), (patient.knob_size, patient.knob_size * 1.15))
    silhouette = np.zeros_like(ventricle)
    depth = np.zeros_like(ventricle)
    parts = (
        (ventricle, 0.3, 1.0),
        (atrium, 0.2, 0.8),
        (outflow, 0.13, 0.5),
        (cava, 0.08, 0.35),
        (knob, 0.08, 0.5),
    )
    for square, radius, weight in parts:
        silhouette = np.maximum(silhouette, soft_step((1.0 - np.sqrt(square)) * np.float32(radius), 0.024))
        depth = np.maximum(depth, chord(square) * np.float32(weight))
    return silhouette, depth


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
    outline = cv2.GaussianBlur(outline[:, None], (1, smooth), 0, borderType=cv2.BORDER_REPLICATE)
    ratio = np.abs(grid.x) / outline
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


def _draw_vessels(patient: Patient, grid: Grid, rng: np.random.Generator) -> FloatMap:
    """Return hilar arteries and veins branching outwards: float32 (N, N), 1 is a main artery."""
    layer = np.zeros((grid.y.size, grid.x.size), dtype=np.uint8)
    scale = grid.px_per_unit / 160
    for side in SIDES:
        root = np.array([side * 0.15, -0.06 + (0.035 if side < 0 else 0.0)])
        for angle in np.linspace(-1.25, 1.35, 9) + rng.normal(0, 0.1, 9):
            _draw_branch(layer, grid, rng, root, float(angle), side, 4.4, scale)
    soft = cv2.GaussianBlur(layer, (0, 0), 0.9 * scale).astype(np.float32) / 255
    return np.asarray(soft * np.float32(patient.vessel_strength), dtype=np.float32)


def _draw_branch(
    layer: NDArray[np.uint8],
    grid: Grid,
    rng: np.random.Generator,
    start: NDArray[np.float64],
    angle: float,
    side: float,
    calibre: float,
    scale: float,
) -> None:
    """Draw one vessel and its children; calibre in pixels at 320 px, falling to zero towards the pleura."""
    points = [start]
    for _ in range(3):
        angle += rng.normal(0, 0.13)
        step = rng.uniform(0.045, 0.075)
        points.append(points[-1] + step * np.array([side * np.cos(angle), np.sin(angle)]))
    brightness = int(np.clip(60 + 42 * calibre, 0, 255))
    polyline = grid.to_px(np.array(points))
    thickness = max(1, round(calibre * scale))
    cv2.polylines(layer, [polyline], False, brightness, thickness, cv2.LINE_AA, 4)
    thinner = calibre * 0.66
    if thinner > THINNEST_VESSEL:
        for fork in (-0.34, 0.34):
            turned = angle + fork + rng.normal(0, 0.12)
            _draw_branch(layer, grid, rng, points[-1], turned, side, thinner, scale)


def draw_torso(patient: Patient, grid: Grid) -> Torso:
    """Draw soft tissue, lungs, heart and airway of a patient; bones are added by `phantom_bones`."""
    rng = np.random.default_rng([patient.seed, 1])
    silhouette, depth = _draw_heart(patient, grid)
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
    attenuation += (0.26 * silhouette + 0.42 * depth).astype(np.float32) * soft_step(
        np.float32(0.62) - grid.y, 0.3
    )
    belly = soft_step(grid.y - np.float32(patient.dome_right_y - 0.02), 0.25) * (1.0 - lung) * body
    attenuation += np.float32(0.55) * belly
    attenuation += np.float32(0.34) * _draw_vessels(patient, grid, rng) * (0.15 + 0.85 * lung) * body
    hila = sum(np.exp(-2.2 * blob(grid, (s * 0.165, -0.05), (0.075, 0.13), s * 0.25)) for s in SIDES)
    attenuation += np.float32(0.30) * np.asarray(hila, dtype=np.float32) * lung
    attenuation -= _draw_airway(grid)
    attenuation -= _draw_stomach_gas(patient, grid)
    if patient.breast_size > 0:
        attenuation += _draw_breasts(patient, grid) * body
    return Torso(np.maximum(attenuation, 0.0), lungs[0], lungs[1])


def _draw_airway(grid: Grid) -> FloatMap:
    bend = np.float32(-0.012) * soft_step(grid.y + np.float32(0.45), 0.3)
    trachea = chord(np.asarray(((grid.x - bend) / 0.048) ** 2, dtype=np.float32))
    trachea = trachea * soft_step(np.float32(-0.22) - grid.y, 0.1)
    right = chord(blob(grid, (-0.075, -0.17), (0.10, 0.030), -0.85))
    left = chord(blob(grid, (0.085, -0.185), (0.11, 0.026), 0.62))
    return np.asarray(0.50 * trachea + 0.26 * np.maximum(right, left), dtype=np.float32)


def _draw_stomach_gas(patient: Patient, grid: Grid) -> FloatMap:
    if patient.stomach_gas < MIN_STOMACH_GAS:
        return np.zeros((1, 1), dtype=np.float32)
    size = 0.05 + 0.09 * patient.stomach_gas
    bubble = chord(blob(grid, (0.36, patient.dome_left_y + 0.07 + size * 0.5), (size * 1.5, size), 0.15))
    return np.asarray(0.9 * bubble, dtype=np.float32)


def _draw_breasts(patient: Patient, grid: Grid) -> FloatMap:
    size = patient.breast_size
    shadow = np.zeros((grid.y.size, grid.x.size), dtype=np.float32)
    for side in SIDES:
        square = blob(
            grid, (side * 0.43, patient.dome_right_y - 0.12), (0.30 * size, 0.27 * size), side * 0.3
        )
        shadow = np.maximum(shadow, np.power(np.clip(1.0 - square, 0.0, 1.0), 0.8))
    return np.asarray(0.42 * size * shadow, dtype=np.float32)
