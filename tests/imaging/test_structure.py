import numpy as np
import pytest

from hilum.imaging.structure import STRUCTURE_LENGTH, describe_structure
from tests.imaging.test_appearance import draw_chest

GRADIENTS = 8 * 8 * 8


def ranks(pixels: np.ndarray) -> np.ndarray:
    return describe_structure(pixels)[GRADIENTS:].reshape(16, 16)


def gradients(pixels: np.ndarray) -> np.ndarray:
    return describe_structure(pixels)[:GRADIENTS].reshape(8, 8, 8)


def test_a_blank_picture_has_no_gradients_and_one_rank():
    blank = np.full((64, 64), 90, np.uint8)
    assert describe_structure(blank).shape == (STRUCTURE_LENGTH,)
    assert gradients(blank).max() == 0.0
    assert ranks(blank).tolist() == np.zeros((16, 16)).tolist()


def test_ranks_run_from_dark_to_bright():
    ramp = np.repeat(np.arange(16, dtype=np.uint8)[None] * 16, 16, axis=0)
    row = ranks(ramp)[0]
    assert row.tolist() == pytest.approx([(2 * column + 1) / 16 - 1 for column in range(16)])


def test_directions_are_signed():
    step = np.zeros((64, 64), np.uint8)
    step[:, 32:] = 200  # brighter to the right: direction 0
    strengths = gradients(step).sum(axis=(1, 2))
    assert strengths.argmax() == 0
    assert gradients(255 - step).sum(axis=(1, 2)).argmax() == 4
    assert gradients(step.T.copy()).sum(axis=(1, 2)).argmax() == 2  # brighter downwards
    assert gradients(step)[:, :, 0].max() == 0.0  # far from the edge there is nothing


def test_exposure_changes_little_and_turning_much():
    film = draw_chest()
    plain = describe_structure(film)
    brighter = describe_structure(np.clip(255 * (film / 255) ** 0.7, 0, 255).astype(np.uint8))
    turned = describe_structure(np.rot90(film).copy())
    assert np.abs(plain - brighter).mean() < 0.05
    assert np.abs(plain - turned).mean() > 0.2


def test_the_side_of_the_picture_does_not_matter():
    small, large = draw_chest(side=160), np.kron(draw_chest(side=160), np.ones((2, 2), np.uint8))
    assert np.abs(describe_structure(small) - describe_structure(large)).mean() < 0.01
