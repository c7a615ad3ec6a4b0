"""What makes one drawn body differ from the next. Nothing here knows the finding."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEMALE_SHARE = 0.48


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


def cage_half_width(patient: Patient, y: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the distance from the midline to the inner chest wall at heights `y`, any shape."""
    rise = np.clip((patient.widest_y - y) / (patient.widest_y - patient.apex_y), 0.0, 1.0)
    below = np.clip(y - patient.widest_y, 0.0, None)
    flank = np.power(1.0 - rise**2.3, 1 / 1.9)
    return np.asarray(0.29 + (patient.lung_half_width - 0.29) * flank - 0.35 * below**2, dtype=np.float64)
