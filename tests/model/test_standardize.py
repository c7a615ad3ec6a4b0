import pytest
import torch

from hilum.config.schema import Preprocessing
from hilum.model.standardize import FilmStandardizer


def films(side: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, 1, side, side, generator=torch.Generator().manual_seed(seed)) * 255


def standardize(pixels: torch.Tensor, **settings: object) -> torch.Tensor:
    return FilmStandardizer(Preprocessing(image_size=64, **settings))(pixels)  # type: ignore[arg-type]


def test_default_leaves_films_alone():
    assert torch.equal(standardize(films()), films())


def test_border_crop_drops_what_lies_at_the_edge():
    pixels = films()
    pixels[..., :6, :] = 255.0
    marked = standardize(pixels, border_crop=0.1)
    pixels[..., :6, :] = 0.0
    assert torch.equal(marked, standardize(pixels, border_crop=0.1))
    assert marked.shape == (3, 1, 64, 64)


def test_sharp_and_blurred_films_become_equal_at_one_resolution():
    sharp = films()
    coarse = torch.nn.functional.interpolate(sharp, size=(32, 32), mode="area")
    blurred = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(
        standardize(sharp, effective_resolution=32), standardize(blurred, effective_resolution=32), atol=1e-3
    )


def test_film_standardization_evens_out_exposure():
    pixels = films()
    darker = pixels * 0.5 + 20.0
    assert torch.allclose(
        standardize(pixels, standardization="film"), standardize(darker, standardization="film"), atol=5.0
    )
    assert float(standardize(pixels, standardization="film").mean()) == pytest.approx(127.5, abs=1.0)


def test_local_standardization_evens_out_a_slope_across_the_film():
    pixels = films() * 0.3
    slope = torch.linspace(0.0, 150.0, 64).view(1, 1, 1, 64)
    plain, sloped = (standardize(item, standardization="local") for item in (pixels, pixels + slope))
    middle = (..., slice(16, 48), slice(16, 48))
    assert float((plain - sloped)[middle].abs().mean()) < 4.0
    assert float((pixels - (pixels + slope))[middle].abs().mean()) > 60.0


def test_even_film_stays_even():
    even = torch.full((1, 1, 64, 64), 90.0)
    for kind in ("film", "local"):
        assert torch.allclose(standardize(even, standardization=kind), torch.full_like(even, 127.5), atol=0.1)
