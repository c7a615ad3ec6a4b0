"""The input contract: which readable images may be called a film at all.

Judges size and shape only. Whether the picture shows a chest is the input gate's question, not ours.
"""

from hilum.domain.errors import UnsuitableImage
from hilum.domain.thresholds import MAX_ASPECT_RATIO, MIN_SIDE_PX
from hilum.imaging.exposed_field import ExposedField
from hilum.imaging.radiograph import ImageFacts


def check_film(facts: ImageFacts, *, name: str, field: ExposedField | None = None) -> None:
    """Refuse an image that is too small or too long to be a chest film.

    Judged in pixels of the original file, never of a scaled decode. A border does not make a film too long.

    Parameters
    ----------
    facts
        From `hilum.imaging.intake.read_radiograph`.
    name
        How the caller's user knows the image.
    field
        Where the film lies on the image; all of it by default.

    Raises
    ------
    UnsuitableImage
        If the shorter side is below `MIN_SIDE_PX`, or long side / short side of image and field above
        `MAX_ASPECT_RATIO`.
    """
    short, long = sorted((facts.width, facts.height))
    if short < MIN_SIDE_PX:
        raise UnsuitableImage(
            f"{name}: the image is {facts.width}x{facts.height} px; a film needs at least {MIN_SIDE_PX} px on"
            " its shorter side. Export it at full resolution, or exclude it."
        )
    field = field or ExposedField()
    within = sorted((field.width * facts.width, field.height * facts.height))
    if long > MAX_ASPECT_RATIO * short and within[1] > MAX_ASPECT_RATIO * within[0]:
        raise UnsuitableImage(
            f"{name}: the image is {facts.width}x{facts.height} px, aspect {long / short:.2f}:1; at most"
            f" {MAX_ASPECT_RATIO:g}:1 is allowed. Crop it to the chest, or exclude it."
        )
