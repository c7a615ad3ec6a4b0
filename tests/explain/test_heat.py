import numpy as np
import pytest

from hilum.explain.heat import blend_heat, heat_layer, scale_top


def test_the_layer_is_clear_where_the_map_is_zero_and_hottest_at_its_maximum():
    cam = np.zeros((4, 4), np.float32)
    cam[0, 0] = 2.0
    layer = heat_layer(cam, 4, 4)
    assert layer.shape == (4, 4, 4)
    assert layer[3, 3, 3] == 0
    assert layer[0, 0, 3] == int(255 * 0.62)
    assert tuple(layer[0, 0, :3]) == (240, 249, 33)  # the bright end of plasma, RGB


def test_a_shared_scale_keeps_weak_evidence_pale():
    cam = np.full((2, 2), 0.5, np.float32)
    assert heat_layer(cam, 2, 2)[0, 0, 3] > heat_layer(cam, 2, 2, scale_max=5.0)[0, 0, 3] > 0


def test_the_scale_is_the_maps_own_maximum_unless_given():
    cam = np.array([[0.0, 3.0]], np.float32)
    assert scale_top(cam, None) == 3.0
    assert scale_top(cam, 7.0) == 7.0
    assert scale_top(np.zeros((1, 1), np.float32), None) == 1.0


def test_blending_by_hand():
    film = np.full((1, 1), 100, np.uint8)
    layer = heat_layer(np.ones((1, 1), np.float32), 1, 1)[0, 0].astype(float)
    expected = 100 * (1 - layer[3] / 255) + layer[:3] * layer[3] / 255
    assert np.abs(blend_heat(film, np.ones((1, 1), np.float32))[0, 0] - expected).max() <= 0.5


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_what_is_no_map_is_refused(value: float):
    with pytest.raises(ValueError, match="finite and non-negative"):
        heat_layer(np.full((2, 2), value, np.float32), 4, 4)
