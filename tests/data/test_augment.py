import math
from collections.abc import Iterator

import cv2
import pytest
import torch

from hilum.config.schema import Augmentation
from hilum.data.augment import EpochDraw, augment_batch, draw_epoch, epoch_generator

OFF = {"horizontal_flip": False, "rotation": False, "color_jitter": False, "affine": False}
ALL_OFF = Augmentation(**OFF)
SIDE = 32
DRAWN_ANYWAY = {"noise_seed", "erase_left", "erase_grey", "partner"}


@pytest.fixture
def films() -> torch.Tensor:
    return torch.randint(
        0, 256, (6, 1, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def neutral(count: int = 6, **changes: float) -> EpochDraw:
    values = {"flip": 1.0, "angle": 0.0, "scale": 1.0, "shift_x": 0.0, "shift_y": 0.0}
    values |= {"brightness": 1.0, "contrast": 1.0, "stretch": 1.0, "exponent": 1.0, "resolution": 1.0}
    values |= {"noise": 0.0, "noise_seed": 0, "erase_top": -1.0, "erase_left": 0.0, "erase_grey": 0.0}
    values |= {"blur": 0.0, "sharpening": 0.0, "jpeg_quality": 0.0, "collimated": 0.0}
    values |= {"amplitude_share": 0.0, "partner": 0} | changes
    return EpochDraw(**{name: torch.full((count,), value) for name, value in values.items()})


def draw(settings: Augmentation, count: int = 6, seed: int = 42, epoch: int = 0) -> EpochDraw:
    return draw_epoch(count, settings, epoch_generator(seed, epoch, stream=1))


def fields(item: EpochDraw) -> Iterator[tuple[str, torch.Tensor]]:
    return ((name, getattr(item, name)) for name in EpochDraw.__slots__)


def test_all_switches_off_give_the_film_itself(films: torch.Tensor):
    result = augment_batch(films, draw(ALL_OFF), torch.arange(6))
    assert result.dtype == torch.float32
    assert torch.allclose(result, films.float(), atol=1e-3)
    assert torch.equal(result.round().to(torch.uint8), films)


def test_flip_mirrors_left_and_right_only(films: torch.Tensor):
    result = augment_batch(films, neutral(flip=-1.0), torch.arange(6))
    assert torch.allclose(result, films.flip(-1).float(), atol=1e-3)


def test_quarter_turn_turns(films: torch.Tensor):
    result = augment_batch(films, neutral(angle=math.pi / 2), torch.arange(6))
    turned = films.float().rot90(1, (2, 3)), films.float().rot90(-1, (2, 3))
    assert any(torch.allclose(result, other, atol=1e-2) for other in turned)


def test_shift_moves_by_a_share_of_the_side_and_fills_with_air(films: torch.Tensor):
    result = augment_batch(films, neutral(shift_x=2 * 4 / SIDE), torch.arange(6))  # read 4 px to the right
    assert torch.allclose(result[..., : SIDE - 4], films[..., 4:].float(), atol=1e-3)
    assert torch.all(result[..., SIDE - 4 :] == 0.0)
    result = augment_batch(films, neutral(shift_y=-2 * 4 / SIDE), torch.arange(6))
    assert torch.allclose(result[..., 4:, :], films[..., : SIDE - 4, :].float(), atol=1e-3)


def test_scale_enlarges_about_the_centre():
    film = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.uint8)
    film[..., 12:20, 12:20] = 200  # 8 px
    larger = augment_batch(film, neutral(1, scale=2.0), torch.tensor([0]))
    assert torch.all(larger[..., 9:23, 9:23] == 200.0)
    assert float((larger > 100).sum()) == pytest.approx(16 * 16, abs=8)


def test_brightness_multiplies_and_saturates(films: torch.Tensor):
    result = augment_batch(films, neutral(brightness=1.2), torch.arange(6))
    assert torch.allclose(result, (films.float() * 1.2).clamp(0, 255), atol=1e-2)


def test_contrast_stretches_about_the_mean_of_each_film(films: torch.Tensor):
    result = augment_batch(films, neutral(contrast=0.5), torch.arange(6))
    mean = films.float().mean((1, 2, 3), keepdim=True)
    assert torch.allclose(result, (films.float() - mean) * 0.5 + mean, atol=1e-2)


@pytest.mark.parametrize(
    ("switch", "moved"),
    [
        ("horizontal_flip", {"flip"}),
        ("rotation", {"angle"}),
        ("affine", {"scale", "shift_x", "shift_y"}),
        ("color_jitter", {"brightness", "contrast"}),
    ],
)
def test_each_switch_moves_its_own_numbers_and_leaves_the_others_alone(switch: str, moved: set[str]):
    everything, still = draw(Augmentation()), dict(fields(neutral()))
    for name, values in fields(draw(Augmentation(**{**OFF, switch: True}))):
        if name in DRAWN_ANYWAY:
            continue
        assert torch.equal(values, getattr(everything, name) if name in moved else still[name]), name
    without = draw(Augmentation(**{switch: False}))
    for name, values in fields(without):
        if name in DRAWN_ANYWAY:
            continue
        assert torch.equal(values, still[name] if name in moved else getattr(everything, name)), name


def test_ranges_hold_and_are_used_over_many_draws():
    item = draw(Augmentation(), count=20_000)
    for values, low, high in (
        (item.angle, -math.radians(15), math.radians(15)),
        (item.scale, 0.9, 1.1),
        (item.shift_x / 2, -0.05, 0.05),
        (item.shift_y / 2, -0.05, 0.05),
        (item.brightness, 0.8, 1.2),
        (item.contrast, 0.8, 1.2),
    ):
        width = high - low
        assert low - 1e-6 <= float(values.min()) < low + 0.01 * width
        assert high + 1e-6 >= float(values.max()) > high - 0.01 * width
        assert float(values.mean()) == pytest.approx((low + high) / 2, abs=0.02 * width)
    assert set(item.flip.tolist()) == {1.0, -1.0}
    assert float((item.flip < 0).float().mean()) == pytest.approx(0.5, abs=0.02)


def test_result_depends_on_seed_epoch_and_film_alone(films: torch.Tensor):
    item = draw(Augmentation())
    together = augment_batch(films, item, torch.arange(6))
    backwards = torch.tensor([5, 4, 3, 2, 1, 0])
    assert torch.allclose(augment_batch(films[backwards], item, backwards), together[backwards], atol=1e-3)
    alone = augment_batch(films[3:4], item, torch.tensor([3]))
    assert torch.allclose(alone, together[3:4], atol=1e-3)
    assert torch.equal(draw(Augmentation()).angle, item.angle)
    assert not torch.equal(draw(Augmentation(), epoch=1).angle, item.angle)
    assert not torch.equal(draw(Augmentation(), seed=43).angle, item.angle)


def test_streams_of_one_epoch_are_independent():
    first, second = (torch.rand(9, generator=epoch_generator(7, 3, stream=stream)) for stream in (0, 1))
    assert not torch.equal(first, second)
    largest = epoch_generator(2**32 - 1, 10_000, stream=1)  # the largest seed allowed still fits
    assert 0.0 <= float(torch.rand(1, generator=largest)) < 1.0


def test_gamma_raises_grey_values_to_the_exponent(films: torch.Tensor):
    result = augment_batch(films, neutral(exponent=2.0), torch.arange(6))
    assert torch.allclose(result, (films.float() / 255.0) ** 2 * 255.0, atol=1e-2)


def test_coarsening_averages_and_enlarges_again():
    film = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.uint8)
    film[..., ::2] = 200  # stripes of one pixel: gone at half the resolution
    result = augment_batch(film, neutral(count=1, resolution=0.5), torch.arange(1))
    assert torch.allclose(result, torch.full_like(result, 100.0), atol=1e-3)


def test_noise_has_the_deviation_asked_for_and_belongs_to_the_film():
    film = torch.full((1, 1, 128, 128), 128, dtype=torch.uint8)
    result = augment_batch(film, neutral(count=1, noise=10.0, noise_seed=5), torch.arange(1))
    assert float((result - 128.0).std()) == pytest.approx(10.0, rel=0.03)
    again = augment_batch(film, neutral(count=1, noise=10.0, noise_seed=5), torch.arange(1))
    assert torch.equal(result, again)


def test_blur_has_the_deviation_of_a_share_of_the_side():
    film = torch.zeros(1, 1, 101, 101, dtype=torch.uint8)
    film[..., 50, 50] = 255
    spread = augment_batch(film, neutral(count=1, blur=0.04), torch.arange(1))[0, 0]
    distance = (torch.arange(101) - 50.0) ** 2
    assert float(spread.sum()) == pytest.approx(255, rel=0.01)
    assert float((spread.sum(0) * distance).sum() / spread.sum()) == pytest.approx(4.04**2, rel=0.05)


def test_sharpening_raises_the_contrast_of_an_edge_and_leaves_even_ground_alone():
    film = torch.full((1, 1, 64, 64), 100, dtype=torch.uint8)
    film[..., 32:] = 150
    sharpened = augment_batch(film, neutral(count=1, sharpening=1.0), torch.arange(1))[0, 0]
    assert float(sharpened[:, 31].max()) < 95.0
    assert float(sharpened[:, 32].min()) > 155.0
    assert torch.allclose(sharpened[:, :20], torch.tensor(100.0), atol=0.5)


def test_a_compressed_film_is_the_one_that_a_jpeg_file_holds(films: torch.Tensor):
    packed = cv2.imencode(".jpg", films[0, 0].numpy(), [cv2.IMWRITE_JPEG_QUALITY, 35])[1]
    expected = torch.from_numpy(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)).float()
    result = augment_batch(films[:1], neutral(count=1, jpeg_quality=35.0), torch.arange(1))
    assert torch.equal(result[0, 0], expected)


def test_collimation_makes_bands_at_the_edges_even():
    side = 200
    film = torch.full((1, 1, side, side), 100, dtype=torch.uint8)
    changes = {"collimated": 1.0, "erase_grey": 7.0, "noise_seed": 3}
    result = augment_batch(film, neutral(count=1, **changes), torch.arange(1))[0, 0].round()
    assert set(result.unique().tolist()) == {7.0, 100.0}
    inside = (result == 100.0).nonzero()
    assert torch.all(result[24 : side - 24, 24 : side - 24] == 100.0)
    (top, left), (bottom, right) = inside.min(0).values.tolist(), inside.max(0).values.tolist()
    assert len({top, left, side - 1 - bottom, side - 1 - right}) > 1
    assert len(inside) == (bottom - top + 1) * (right - left + 1)


def test_erasing_makes_one_square_even(films: torch.Tensor):
    erased = neutral(erase_top=0.5, erase_left=0.25, erase_grey=77.0)
    result = augment_batch(films, erased, torch.arange(6))
    assert torch.all(result[:, :, 16:24, 8:16] == 77.0)
    assert torch.allclose(result[:, :, :16], films[:, :, :16].float(), atol=1e-3)


def test_mixed_amplitudes_keep_the_phase_and_take_the_partners_exposure():
    film = torch.randint(60, 120, (1, 1, SIDE, SIDE), dtype=torch.uint8)
    brighter = (film.float() + 100.0).to(torch.uint8)
    result = augment_batch(film, neutral(count=1, amplitude_share=1.0), torch.arange(1), partners=brighter)
    assert torch.allclose(result, brighter.float(), atol=1e-2)
    untouched = augment_batch(film, neutral(count=1), torch.arange(1), partners=brighter)
    assert torch.allclose(untouched, film.float(), atol=1e-3)


def test_partners_come_from_another_source():
    sources = torch.tensor([0, 0, 0, 0, 1, 2])
    settings = Augmentation(amplitude_mixing=1.0)
    for epoch in range(5):
        drawn = draw_epoch(6, settings, epoch_generator(1, epoch, stream=1), sources=sources)
        assert torch.all(sources[drawn.partner] != sources)
        assert torch.all(drawn.amplitude_share > 0.0)


def test_shares_of_films_are_those_asked_for():
    settings = Augmentation(
        coarsening=0.25, coarsest=0.3, erasing=0.5, amplitude_mixing=0.1, blur=0.02, sharpening=2.0, jpeg=0.3,
        collimation=0.4,
    )  # fmt: skip
    drawn = draw_epoch(20_000, settings, epoch_generator(3, 0, stream=1))
    assert float((drawn.resolution < 1.0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert 0.3 <= float(drawn.resolution.min()) < 0.31
    for values, most in ((drawn.blur, 0.02), (drawn.sharpening, 2.0)):
        assert float((values > 0.0).float().mean()) == pytest.approx(0.5, abs=0.01)
        assert 0.99 * most < float(values.max()) <= most
    compressed = drawn.jpeg_quality[drawn.jpeg_quality > 0.0]
    assert len(compressed) / 20_000 == pytest.approx(0.3, abs=0.01)
    assert (float(compressed.min()), float(compressed.max())) == (20.0, 90.0)
    assert float(drawn.collimated.mean()) == pytest.approx(0.4, abs=0.01)
    assert float((drawn.erase_top >= 0.0).float().mean()) == pytest.approx(0.5, abs=0.01)
    assert float((drawn.amplitude_share > 0.0).float().mean()) == pytest.approx(0.1, abs=0.01)


EVERYTHING = Augmentation(
    stretch=0.1, gamma=0.2, coarsening=0.2, noise=4.0, erasing=0.2, amplitude_mixing=0.2, blur=0.01,
    sharpening=1.0, jpeg=0.2, collimation=0.2,
)  # fmt: skip


def test_a_strength_of_one_changes_no_number():
    stream = [epoch_generator(5, 0, stream=1) for _ in range(2)]
    plain = draw_epoch(50, EVERYTHING, stream[0])
    for name, values in fields(draw_epoch(50, EVERYTHING, stream[1], strength=torch.ones(50))):
        assert torch.allclose(values, getattr(plain, name), atol=1e-6), name


def test_strength_widens_the_ranges_and_shares_of_its_own_films_alone():
    count = 20_000
    strength = torch.ones(count)
    strength[::2] = 2.0
    plain = draw_epoch(count, EVERYTHING, epoch_generator(5, 0, stream=1))
    item = draw_epoch(count, EVERYTHING, epoch_generator(5, 0, stream=1), strength=strength)
    assert torch.equal(item.flip, plain.flip)
    assert torch.allclose(item.angle[::2], 2 * plain.angle[::2])
    assert torch.allclose(item.angle[1::2], plain.angle[1::2])
    assert torch.allclose(item.scale[::2] - 1, 2 * (plain.scale[::2] - 1), atol=1e-5)
    assert torch.allclose(item.brightness[::2] - 1, 2 * (plain.brightness[::2] - 1), atol=1e-5)
    assert torch.allclose(item.exponent[::2], plain.exponent[::2] ** 2, atol=1e-5)
    assert torch.allclose(item.noise[::2], 2 * plain.noise[::2])
    for happened in (item.resolution < 1.0, item.erase_top >= 0.0, item.amplitude_share > 0.0):
        assert float(happened[::2].float().mean()) == pytest.approx(0.4, abs=0.015)
        assert float(happened[1::2].float().mean()) == pytest.approx(0.2, abs=0.015)
    assert float(item.resolution.min()) >= 0.5
    assert float(item.amplitude_share.max()) <= 1.0


def test_a_strength_of_nought_leaves_films_as_they_are_but_for_mirroring():
    item = draw_epoch(100, EVERYTHING, epoch_generator(5, 0, stream=1), strength=torch.zeros(100))
    still = (
        "angle",
        "shift_x",
        "noise",
        "amplitude_share",
        "blur",
        "sharpening",
        "jpeg_quality",
        "collimated",
    )
    for name in still:
        assert torch.all(getattr(item, name) == 0.0), name
    for name in ("scale", "brightness", "contrast", "stretch", "exponent", "resolution"):
        assert torch.all(getattr(item, name) == 1.0), name
    assert torch.all(item.erase_top == -1.0)
