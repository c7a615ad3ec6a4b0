import pytest

from hilum.domain.errors import UnsuitableImage
from hilum.imaging.contract import check_film
from hilum.imaging.exposed_field import ExposedField
from hilum.imaging.radiograph import ImageFacts


def facts(width: int, height: int) -> ImageFacts:
    return ImageFacts(format="PNG", width=width, height=height, bits=8, photometric="RGB", file_bytes=10)


@pytest.mark.parametrize("size", [(100, 100), (300, 100), (100, 300), (2000, 2500)])
def test_takes_what_the_bounds_include(size: tuple[int, int]) -> None:
    check_film(facts(*size), name="a.png")


def test_message_for_a_dot() -> None:
    with pytest.raises(UnsuitableImage) as refused:
        check_film(facts(1, 1), name="dot.png")
    assert str(refused.value) == (
        "dot.png: the image is 1x1 px; a film needs at least 100 px on its shorter side."
        " Export it at full resolution, or exclude it."
    )


@pytest.mark.parametrize("size", [(99, 120), (120, 99)])
def test_refuses_one_pixel_too_few(size: tuple[int, int]) -> None:
    with pytest.raises(UnsuitableImage, match="at least 100 px"):
        check_film(facts(*size), name="a.png")


@pytest.mark.parametrize("size", [(301, 100), (100, 301)])
def test_refuses_an_aspect_just_above_three(size: tuple[int, int]) -> None:
    with pytest.raises(UnsuitableImage, match=r"aspect 3\.01:1; at most 3:1"):
        check_film(facts(*size), name="a.png")


def test_a_border_does_not_make_a_film_too_long() -> None:
    check_film(facts(500, 110), name="a.png", field=ExposedField(0.5, 0.5, 0.5, 1.0))  # 250 x 110
    check_film(facts(500, 400), name="a.png", field=ExposedField(0.5, 0.5, 1.0, 0.4))
    with pytest.raises(UnsuitableImage, match=r"the image is 500x110 px, aspect 4\.55:1"):
        check_film(facts(500, 110), name="a.png", field=ExposedField(0.5, 0.5, 0.9, 1.0))
