import cv2
import numpy as np
import pytest

from hilum.imaging.disc_morphology import DiscMask, disc

LARGEST_PX = 13


def blobs(height: int, width: int, *, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 2.0) > 0.5


@pytest.mark.parametrize("radius", range(LARGEST_PX + 1))
@pytest.mark.parametrize(("height", "width"), [(61, 48), (1, 40), (40, 1), (5, 7)])
def test_a_disc_does_to_a_mask_what_opencv_does(height: int, width: int, radius: int) -> None:
    mask = blobs(height, width, seed=radius)
    packed = DiscMask.pack(mask, margin=LARGEST_PX)
    for ours, theirs in ((packed.dilate(radius), cv2.dilate), (packed.erode(radius), cv2.erode)):
        np.testing.assert_array_equal(ours.unpack(), theirs(mask.astype(np.uint8), disc(radius)) > 0)


def test_what_grows_over_an_edge_does_not_come_back_in_on_the_other() -> None:
    mask = np.zeros((9, 8), bool)
    mask[4, 7] = True
    grown = DiscMask.pack(mask, margin=3).dilate(3)
    assert not grown.unpack()[:, :4].any()
    assert grown.dilate(1).unpack()[:, :3].sum() == 0
    assert grown.unpack()[4, 4:].all()


@pytest.mark.parametrize("filled", [False, True])
def test_an_empty_and_a_full_mask_stay_so(filled: bool) -> None:
    mask = np.full((12, 20), filled)
    packed = DiscMask.pack(mask, margin=5)
    assert (packed.dilate(5).unpack() == filled).all()
    assert (packed.erode(5).unpack() == filled).all()


def test_a_mask_comes_out_as_it_went_in() -> None:
    mask = blobs(33, 57, seed=1)
    np.testing.assert_array_equal(DiscMask.pack(mask, margin=0).unpack(), mask)
