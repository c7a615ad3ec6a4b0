import cv2
import numpy as np
import pytest

from hilum.explain.heat import blend_heat
from hilum.explain.overlay import draw_overlay, save_overlay
from hilum.imaging.exposed_field import ExposedField


@pytest.fixture
def film():
    return np.tile(np.arange(120, dtype=np.uint8)[None, :] + 60, (100, 1))


def one_hot(value: float = 2.0) -> np.ndarray:
    cam = np.zeros((5, 6), dtype=np.float32)
    cam[2, 3] = value
    return cam


def test_the_film_stays_grey_where_the_map_is_zero(film):
    blended = blend_heat(film, one_hot())
    assert (blended[:20] == film[:20, :, None]).all()
    assert (blended[:, :40] == film[:, :40, None]).all()


def test_the_hottest_pixel_is_coloured(film):
    blended = blend_heat(film, one_hot()).astype(int)
    spread = blended.max(axis=2) - blended.min(axis=2)
    row, column = np.unravel_index(np.argmax(spread), spread.shape)
    assert 40 <= row < 60
    assert 55 <= column < 85
    assert spread.max() > 80


def test_a_weak_map_on_a_shared_scale_is_not_hot(film):
    weak = blend_heat(film, one_hot(0.02), scale_max=2.0).astype(int)
    own = blend_heat(film, one_hot(0.02)).astype(int)
    assert np.abs(weak - film[..., None]).max() < 20
    assert np.abs(own - film[..., None]).max() > 60
    assert np.abs(blend_heat(film, one_hot(2.0)).astype(int) - own).max() <= 1  # rounding of the scale


def test_values_above_the_scale_are_drawn_as_its_top(film):
    cam = np.full((4, 4), 5.0, dtype=np.float32)
    assert (blend_heat(film, cam, scale_max=1.0) == blend_heat(film, cam)).all()


def test_a_zero_map_leaves_the_film(film):
    assert (blend_heat(film, np.zeros((3, 3), np.float32)) == film[..., None]).all()


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_a_map_before_the_relu_is_refused(film, value):
    with pytest.raises(ValueError, match="finite and non-negative"):
        blend_heat(film, np.full((2, 2), value, dtype=np.float32))


@pytest.mark.parametrize("scale", [0.0, -2.0, float("nan")])
def test_a_scale_without_extent_is_refused(film, scale):
    with pytest.raises(ValueError, match="above 0"):
        blend_heat(film, one_hot(), scale_max=scale)


def test_the_overlay_is_a_png_written_where_asked_and_the_same_each_time(film, tmp_path):
    target = tmp_path / "new" / "film.png"
    data = draw_overlay(film, one_hot(), title="Pneumonia 0.93", out=target)
    assert target.read_bytes() == data
    assert draw_overlay(film, one_hot(), title="Pneumonia 0.93") == data
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] > picture.shape[0]  # the colour bar stands beside the film
    assert (picture[0, 0] == 255).all()


def test_raw_maximum_title_and_kind_of_scale_are_printed(film, monkeypatch):
    printed = []
    from matplotlib.text import Text

    original = Text.set_text
    monkeypatch.setattr(
        Text, "set_text", lambda self, text: (printed.append(str(text)), original(self, text))[1]
    )
    draw_overlay(film, one_hot(0.0421), title="Tuberculosis 0.51", scale_max=1.0)
    text = "\n".join(printed)
    assert "Tuberculosis 0.51" in text
    assert "0.0421" in text
    assert "shared scale" in text
    assert "not for diagnosis" in text


def test_overlays_of_films_of_one_name_are_numbered_and_keep_the_aspect(tmp_path):
    wide = np.tile(np.arange(200, dtype=np.uint8)[None, :] + 20, (120, 1))
    for folder, enlarge in (("a", 1), ("b", 8)):
        (tmp_path / folder).mkdir()
        film = cv2.resize(wide, None, fx=enlarge, fy=enlarge)
        cv2.imwrite(str(tmp_path / folder / "film.png"), film)
    written = [
        save_overlay(
            tmp_path / folder / "film.png",
            one_hot(),
            field=ExposedField(),
            folder=tmp_path / "out",
            title="Normal 0.90",
        )
        for folder in ("a", "b")
    ]
    assert [path.name for path in written] == ["film.png", "film-2.png"]
    small, large = (cv2.imread(str(path)).shape for path in written)
    assert abs(small[0] - large[0]) <= 2
