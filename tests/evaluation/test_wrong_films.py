import numpy as np
import pytest

from hilum.evaluation.wrong_films import WRONG_KINDS, expose_badly, jitter_film
from tests.phantom_films import SIDE_PX, phantom_films

MAKERS = [(code, index) for code, makers in WRONG_KINDS.items() for index in range(len(makers))]


@pytest.mark.parametrize(("code", "index"), MAKERS)
def test_every_maker_gives_another_picture_each_time_and_the_same_for_a_seed(code: str, index: int):
    films = phantom_films(0, 12)
    make = WRONG_KINDS[code][index]
    drawn = [make(films[0], films, np.random.default_rng(seed)) for seed in (1, 1, *range(2, 8))]
    for picture in drawn:
        assert (picture.dtype, picture.shape) == (np.uint8, (SIDE_PX, SIDE_PX))
        assert picture.flags.c_contiguous
        assert not np.array_equal(picture, films[0])
    assert drawn[0].tolist() == drawn[1].tolist()
    distinct = {picture.tobytes() for picture in drawn}
    assert len(distinct) == {"inverted": 1}.get(code, len(distinct))
    assert len(distinct) > 1 or code == "inverted"


def test_an_inverted_film_is_the_negative():
    film = phantom_films(0, 12)[0]
    (invert,) = WRONG_KINDS["inverted"]
    assert (invert(film, film[None], np.random.default_rng(1)).astype(int) + film == 255).all()


def test_jitter_stays_near_the_film():
    film = phantom_films(0, 12)[1]
    for seed in range(6):
        jittered = jitter_film(film, np.random.default_rng(seed))
        best = max(
            np.corrcoef(jittered.ravel(), one.ravel().astype(float))[0, 1] for one in (film, film[:, ::-1])
        )
        assert 0.6 < best < 0.9999


def test_bad_exposure_leaves_little_entropy():
    from hilum.imaging.appearance import measure_appearance

    film = phantom_films(0, 12)[2]
    before = measure_appearance(film).entropy_bits
    for seed in range(8):
        assert measure_appearance(expose_badly(film, np.random.default_rng(seed))).entropy_bits < before - 0.5
