"""One synthetic film: the patient, the lesion and the exposure put together, with masks and facts.

Draws in memory only; `phantoms` writes the set.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.data.phantom.anatomy import draw_torso
from hilum.data.phantom.bones import draw_skeleton
from hilum.data.phantom.exposure import MARKER_SHARE, expose, pose_maps, sample_exposure, stamp_marker
from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.lesions import MASK_SHARE, draw_lesion
from hilum.data.phantom.patient import sample_patient
from hilum.data.phantom.raster import make_grid
from hilum.domain.findings import Finding
from hilum.domain.thresholds import MIN_LESION_ZONE_SHARE
from hilum.imaging.lungs import zone_rows

SITES = ("phantom_a", "phantom_b")

# Twenty films of one class: 70 % train, 15 % each of the others; the first four fill every split.
_SPLITS = (
    *("train", "train", "val", "test", "train", "train", "train", "train", "train", "val"),
    *("val", "train", "train", "train", "train", "test", "test", "train", "train", "train"),
)
_FOLLOW_UPS = frozenset({1, 10, 16})  # a second film of the patient before, always in the same split


@dataclass(frozen=True, slots=True, eq=False)
class PhantomFilm:
    """One drawn film: `pixels` uint8 (S, S), masks bool (S, S), and the row and facts that describe it."""

    pixels: NDArray[np.uint8]
    lesion: NDArray[np.bool_]
    lung_right: NDArray[np.bool_]
    lung_left: NDArray[np.bool_]
    path: str
    row: dict[str, Any]
    facts: dict[str, Any]


def split_of(index: int) -> str:
    """Return the split of film `index`."""
    return _SPLITS[index // len(Finding) % len(_SPLITS)]


def draw_film(
    index: int, *, seed: int = 1, side_px: int = 320, faults: PhantomFaults | None = None
) -> PhantomFilm:
    """Draw film `index` of the set that belongs to `seed`; nothing is written."""
    faults = faults or PhantomFaults()
    order, number = index % len(Finding), index // len(Finding)
    finding = tuple(Finding)[order]
    split = split_of(index)
    patient_index = index - len(Finding) if number % len(_SPLITS) in _FOLLOW_UPS else index
    patient = sample_patient(np.random.default_rng([seed, patient_index, 0]))
    rng = np.random.default_rng([seed, index, 1])

    is_second_site = bool(rng.random() < faults.second_site_share(finding))
    marker_share = faults.marker_share(finding, MARKER_SHARE)
    exposure = sample_exposure(rng, is_second_site=is_second_site, marker_share=marker_share)
    grid = make_grid(side_px)
    torso = draw_torso(patient, grid)
    lesion = draw_lesion(finding, patient, torso, grid, np.random.default_rng([seed, index, 2]))
    body = torso.attenuation + draw_skeleton(patient, grid) + lesion.attenuation

    map_x, map_y = pose_maps(exposure, side_px, grid.px_per_unit)
    posed, lung_right, lung_left, extent = (
        np.asarray(cv2.remap(layer, map_x, map_y, cv2.INTER_LINEAR), np.float32)
        for layer in (body, torso.lung_right, torso.lung_left, lesion.extent)
    )
    noise = np.random.default_rng([seed, index, 3])
    pixels = expose(posed, exposure, noise)
    if exposure.has_marker:
        pixels = stamp_marker(pixels, noise)
    right, left = lung_right > 0.5, lung_left > 0.5  # noqa: PLR2004 half covered
    mask = (extent > MASK_SHARE) & (right | left)
    path = f"{split}/{finding.value}/phantom_{index:05d}.png"
    row = {
        "path": path,
        "split": split,
        "label": finding.value,
        "source": SITES[is_second_site],
        "patient_id": f"phantom:{patient_index:05d}",
        "age": patient.age,
        "sex": patient.sex,
        "view": "PA",
        "width": side_px,
        "height": side_px,
    }
    facts = {
        "zones": lesion_zones(mask, right, left),
        "strength": round(lesion.strength, 3),
        "marker": exposure.has_marker,
    }
    return PhantomFilm(pixels, mask, right, left, path, row, facts)


def lesion_zones(
    lesion: NDArray[np.bool_], lung_right: NDArray[np.bool_], lung_left: NDArray[np.bool_]
) -> list[str]:
    """Return the zones that hold a lesion, such as "upper_right": thirds of lung height, patient's side."""
    rows = zone_rows(lung_right | lung_left)
    zones = []
    for name, rows_of_zone in rows.slices().items() if rows else ():
        for side, lung in (("right", lung_right), ("left", lung_left)):
            area = lung[rows_of_zone].sum()
            if area and (lesion & lung)[rows_of_zone].sum() / area >= MIN_LESION_ZONE_SHARE:
                zones.append(f"{name}_{side}")
    return zones
