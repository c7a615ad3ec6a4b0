"""What is shown of one film's map: where the heat lies, over the film and alone, or why it is withheld."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import Finding
from hilum.explain.heat import blend_heat, heat_layer
from hilum.explain.map_verdict import judge_map
from hilum.imaging.exposed_field import ExposedField
from hilum.imaging.lungs import LungFields

_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_ZONES = ("upper", "middle", "lower", "right", "left", "upper_area", "middle_area", "lower_area")


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The called finding's map.

    `heat` are its rows (h, w), unscaled, and `heat_max` their largest value; pictures are PNGs of the
    network's side: `overlay_png` RGB, film with heat, `heatmap_png` RGBA, heat alone. All of them cover the
    whole film, and are None when `withheld` says why. `inside_lungs` is the share of heat inside the lungs,
    `lung_area` theirs of the exposed field, `zones` the shares of `hilum.explain.zones.ZoneShares`; None
    where undefined.
    """

    finding: Finding
    withheld: str | None
    notes: tuple[str, ...]
    heat: list[list[float]] | None
    heat_max: float | None
    overlay_png: bytes | None
    heatmap_png: bytes | None
    inside_lungs: float | None
    lung_area: float | None
    zones: dict[str, float | None] | None
    agrees_with_table_26: bool | None


def explain_film(
    record: Mapping[str, Any] | None,
    cam: NDArray[np.float32],
    film: NDArray[np.uint8],
    finding: Finding,
    *,
    lungs: LungFields,
    field: ExposedField,
    picture: NDArray[np.uint8],
) -> Explanation:
    """Judge a map and draw it if it may be shown.

    Parameters
    ----------
    record
        What the tests of the model's maps found, see `hilum.explain.map_verdict.judge_map`.
    cam
        float32 (h, w), non-negative, unscaled, of the called finding, covering the exposed field.
    film
        uint8 (S, S), MONOCHROME2, the field that was scored.
    lungs
        Of the field.
    field, picture
        Where it lies on the whole film, and that film, uint8 (S, S).
    """
    verdict = judge_map(record, cam, film, finding, lungs=lungs)
    overlay = layer = heat = None
    if not verdict.withheld:
        placed = field.place(cam, *picture.shape)
        overlay = _to_png(blend_heat(picture, placed)[..., ::-1])  # RGB to BGR
        layer = _to_png(heat_layer(placed, *picture.shape)[..., [2, 1, 0, 3]])
        heat = [[float(value) for value in row] for row in field.place_coarsely(cam)]
    zones = asdict(verdict.zones) if verdict.zones else None
    return Explanation(
        finding,
        verdict.reason,
        verdict.notes,
        heat,
        None if verdict.withheld else float(cam.max()),
        overlay,
        layer,
        verdict.inside_lungs,
        verdict.lung_area,
        {name: zones[name] for name in _ZONES} if zones else None,
        verdict.zones_agree,
    )


def _to_png(picture: NDArray[np.uint8]) -> bytes:
    _, png = cv2.imencode(".png", picture, _FAST_PNG)
    return png.tobytes()
