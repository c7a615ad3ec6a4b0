"""The worst-confused films for the page: each film beside its heatmap, as one small picture.

A heatmap is scaled by its own maximum, which makes weak evidence look as hot as strong, so the unscaled
maximum is printed with every picture.
"""

import base64
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib import colormaps

from hilum.domain.errors import InputError
from hilum.evaluation.evaluate import Evaluation, WorstFilm

Pixels = npt.NDArray[np.uint8]

_SHORT_SIDE_PX = 240
_JPEG_QUALITY = 82
_MAX_HEAT_OPACITY = 0.6
_HEAT = colormaps["inferno"]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One film of the gallery: `image` is a data URI or None with a reason; `heat_maximum` is unscaled."""

    film: WorstFilm
    image: str | None
    heat_maximum: float | None
    reason: str | None = None


def make_gallery(evaluation: Evaluation) -> tuple[Exhibit, ...]:
    """Return one exhibit for each of the worst films; a film that cannot be read says so in its place."""
    return tuple(_exhibit(evaluation, film) for film in evaluation.worst_films)


def draw_exhibit(pixels: Pixels, cam: npt.NDArray[np.float32] | None) -> Pixels:
    """Return the film, uint8 (H, W), and beside it the film under its heatmap, as RGB uint8 (h, w, 3).

    Parameters
    ----------
    cam
        float32 (h, w), not negative; the second half is left out without one.
    """
    height, width = pixels.shape
    factor = _SHORT_SIDE_PX / min(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    film = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    grey = np.repeat(film[:, :, None], 3, axis=2)  # (h, w) -> (h, w, 3)
    if cam is None:
        return np.asarray(grey, dtype=np.uint8)
    heat = np.maximum(cv2.resize(cam.astype(np.float32), size, interpolation=cv2.INTER_CUBIC), 0)
    heat = heat / max(float(heat.max()), float(np.finfo(np.float32).tiny))
    colour = 255 * np.asarray(_HEAT(heat))[:, :, :3]
    opacity = _MAX_HEAT_OPACITY * heat[:, :, None]
    overlay = (1 - opacity) * grey + opacity * colour
    return np.concatenate([grey, overlay.round()], axis=1).astype(np.uint8)


def to_data_uri(picture: Pixels) -> str:
    """Return an RGB picture, uint8 (h, w, 3), as a JPEG data URI."""
    done, encoded = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done, "OpenCV encodes any uint8 picture as JPEG"
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def _exhibit(evaluation: Evaluation, film: WorstFilm) -> Exhibit:
    cam = evaluation.inputs.cams.get(film.path)
    heat_maximum = None if cam is None else float(cam.max())
    if evaluation.inputs.read_film is None:
        return Exhibit(film, None, heat_maximum, "films were not at hand when this page was written")
    try:
        pixels = evaluation.inputs.read_film(film.path)
    except (InputError, OSError, KeyError):
        # The page of a whole evaluation must not fail because one picture cannot be shown again.
        return Exhibit(film, None, heat_maximum, "the film could not be read again")
    return Exhibit(film, to_data_uri(draw_exhibit(pixels, cam)), heat_maximum)
