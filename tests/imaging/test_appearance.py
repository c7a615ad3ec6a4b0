import numpy as np
import pytest

from hilum.imaging.appearance import (
    TemplateMatch,
    grey_entropy_bits,
    match_template,
    mean_film,
    measure_appearance,
    resize_square,
)


def draw_chest(seed: int = 0, side: int = 160) -> np.ndarray:
    """Two dark ovals in a grey body, an arch of light below: enough to know which way is up."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    film = np.full((side, side), 150.0)
    for middle in (0.30, 0.70):
        film[((x - middle) / 0.17) ** 2 + ((y - 0.40) / 0.28) ** 2 < 1] = 60
    film[y > 0.75] = 210
    return np.clip(film + rng.normal(0, 6, film.shape), 0, 255).astype(np.uint8)


def test_a_blank_picture_has_no_contrast_and_no_structure():
    blank = measure_appearance(np.full((100, 100), 7, np.uint8))
    assert (blank.mean, blank.deviation, blank.spread, blank.entropy_bits) == (7.0, 0.0, 0.0, 0.0)
    assert (blank.black_share, blank.white_share, blank.edge_share) == (0.0, 0.0, 0.0)
    assert (blank.mirror_correlation, blank.flip_correlation, blank.fine_share) == (0.0, 0.0, 0.0)


def test_exposure_is_counted_by_hand():
    pixels = np.repeat(np.array([0, 5, 6, 249, 250, 255, 100, 200], np.uint8), 8).reshape(8, 8)
    measures = measure_appearance(pixels)
    assert measures.black_share == 0.25
    assert measures.white_share == 0.25
    assert measures.entropy_bits == pytest.approx(3.0)
    assert measures.mean == pytest.approx((0 + 5 + 6 + 249 + 250 + 255 + 100 + 200) / 8)
    assert measures.spread == 255.0


def test_noise_is_fine_and_film_is_not():
    noise = np.random.default_rng(1).integers(0, 256, (160, 160), dtype=np.uint8)
    assert measure_appearance(noise).fine_share > 0.5
    assert measure_appearance(draw_chest()).fine_share < 0.1
    assert measure_appearance(noise).edge_share > measure_appearance(draw_chest()).edge_share


def test_symmetry_is_left_to_right_and_centre_is_dark():
    chest = measure_appearance(draw_chest())
    assert chest.mirror_correlation > 0.95
    assert chest.flip_correlation < 0.5
    assert chest.centre_darkness > 0
    assert measure_appearance(255 - draw_chest()).centre_darkness == pytest.approx(
        -chest.centre_darkness, abs=0.02
    )
    halves = np.zeros((100, 100), np.uint8)
    halves[:, :50] = 200
    assert measure_appearance(halves).mirror_correlation == pytest.approx(-1.0)
    assert measure_appearance(halves).flip_correlation == pytest.approx(1.0)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_the_turn_of_a_film_is_found(turn: int):
    template = mean_film(np.stack([draw_chest(seed) for seed in range(5)]))
    match = match_template(np.rot90(draw_chest(9), turn).copy(), template)
    assert match.turn_degrees == 90 * turn
    assert not match.is_inverted
    best = (match.upright, match.quarter, match.half, match.three_quarters)[turn]
    assert best > 0.97


def test_an_inverted_film_is_known_by_its_negative():
    template = mean_film(draw_chest()[None])
    match = match_template(255 - draw_chest(), template)
    assert match.is_inverted
    assert match.upright == pytest.approx(-1.0, abs=1e-3)
    assert not TemplateMatch(0.2, 0.1, 0.3, 0.0).is_inverted


def test_the_mean_film_weighs_films_alike_and_is_normalised():
    chest = draw_chest()
    dim = (chest // 4).astype(np.uint8)
    template = mean_film(np.stack([dim, chest]))
    assert template.shape == (32, 32)
    assert float(np.linalg.norm(template)) == pytest.approx(1.0, abs=1e-5)
    assert abs(float(template.mean())) < 1e-6
    assert mean_film(np.zeros((0, 32, 32), np.uint8)).tolist() == np.zeros((32, 32)).tolist()


def test_pictures_are_brought_to_one_size_both_ways():
    large = np.kron(np.array([[0, 200], [100, 40]], np.uint8), np.ones((50, 50), np.uint8))
    assert resize_square(large, 2).tolist() == [[0, 200], [100, 40]]
    assert resize_square(np.array([[9]], np.uint8), 3).tolist() == [[9] * 3] * 3


def test_entropy_alone_is_that_of_the_whole_measure() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (60, 40), dtype=np.uint8)
    assert grey_entropy_bits(noise) == measure_appearance(noise).entropy_bits
    assert grey_entropy_bits(noise[5:-5, 3:-3]) == measure_appearance(noise[5:-5, 3:-3].copy()).entropy_bits
    assert grey_entropy_bits(np.full((8, 8), 3, np.uint8)) == 0.0
    assert grey_entropy_bits(np.arange(256, dtype=np.uint8).reshape(16, 16)) == 8.0
