"""Draw a map of attention over its film, with a colour bar and the raw maximum beside it.

The heat is that of `hilum.explain.heat`.
"""

import io
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hilum.explain.heat import blend_heat, scale_top
from hilum.files import write_atomic
from hilum.imaging.exposed_field import ExposedField
from hilum.imaging.intake import read_radiograph

NOTICE = "Research software, not for diagnosis. Heat shows what moved the score, not where disease is."

_COLOURS = "plasma"
_DPI = 110
_DRAWN_SIDE_PX = 768  # more than the picture shows
_FILM_INCHES = 4.6


def draw_overlay(
    pixels: NDArray[np.uint8],
    cam: NDArray[np.float32],
    *,
    title: str,
    out: Path | None = None,
    scale_max: float | None = None,
) -> bytes:
    """Draw film, heat, colour bar, raw maximum, title and notice as a PNG.

    Parameters
    ----------
    pixels, cam, scale_max
        As for `hilum.explain.heat.blend_heat`.
    title
        Class and probability, such as "Pneumonia 0.93".
    out
        File to write as well; its folder is made if missing.

    Returns
    -------
    bytes
        The PNG.
    """
    blended = blend_heat(pixels, cam, scale_max=scale_max)
    height, width = pixels.shape
    film_height = _FILM_INCHES * height / width
    size = (_FILM_INCHES + 1.5, film_height + 0.9)
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
    film = figure.add_axes((0.15 / size[0], 0.42 / size[1], _FILM_INCHES / size[0], film_height / size[1]))
    film.imshow(blended, interpolation="bilinear")
    film.set_axis_off()
    film.set_title(title, fontsize=12, loc="left", pad=6)

    scale = ScalarMappable(Normalize(0.0, scale_top(cam, scale_max)), cmap=_COLOURS)
    left = (_FILM_INCHES + 0.32) / size[0]
    bar = figure.add_axes((left, 0.42 / size[1], 0.16 / size[0], 0.72 * film_height / size[1]))
    figure.colorbar(scale, cax=bar).ax.tick_params(labelsize=8)
    own = "own scale" if scale_max is None else "shared scale"
    text = f"raw maximum\n{float(cam.max()):.3g}\n({own})"
    figure.text(left, (0.42 + 0.77 * film_height) / size[1], text, fontsize=8, va="bottom")
    figure.text(0.15 / size[0], 0.13 / size[1], NOTICE, fontsize=7.5, color="0.25")

    stream = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(stream, format="png", metadata={"Software": None})
    data = stream.getvalue()
    if out is not None:
        write_atomic(out, data)
    return data


def save_overlay(
    film: Path, cam: NDArray[np.float32], *, field: ExposedField, folder: Path, title: str
) -> Path:
    """Draw the map of a field over the whole film on disk, as wide as it is shown; return the file written.

    The file is named after the film; films of one name from several folders get numbered.

    Raises
    ------
    UnreadableImage
        If the film cannot be read any more.
    """
    pixels = read_radiograph(film, name=str(film), min_side_px=_DRAWN_SIDE_PX).pixels
    shrink = _DRAWN_SIDE_PX / max(pixels.shape)
    if shrink < 1.0:
        shrunk = cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(shrunk, dtype=np.uint8)
    out = folder / f"{film.stem}.png"
    number = 1
    while out.exists():
        number += 1
        out = folder / f"{film.stem}-{number}.png"
    draw_overlay(pixels, field.place(cam, *pixels.shape), title=title, out=out)
    return out
