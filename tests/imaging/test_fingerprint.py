import itertools

import cv2
import numpy as np
import pytest

from hilum.imaging.fingerprint import (
    content_sha256,
    duplicate_clusters,
    fine_detail,
    perceptual_hash,
    thumbnail,
)


def picture(seed: int) -> np.ndarray:
    """A smooth random picture, uint8 (90, 80)."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (6, 6)).astype(np.float32)
    return cv2.resize(coarse, (80, 90), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def distance(first: int, second: int) -> int:
    return (first ^ second).bit_count()


def test_content_sha256_is_the_standard_digest() -> None:
    assert content_sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_hash_follows_the_definition() -> None:
    pixels = picture(1)
    small = cv2.resize(pixels, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float64)
    n = np.arange(32)
    basis = np.sqrt(2 / 32) * np.cos(np.pi * (2 * n[None, :] + 1) * n[:, None] / 64)
    basis[0] /= np.sqrt(2)
    low = (basis @ small @ basis.T)[:8, :8].ravel()
    expected = int("".join("1" if value > np.median(low[1:]) else "0" for value in low), 2)
    assert perceptual_hash(pixels) == expected


def test_hash_survives_resizing_and_brightness_but_not_another_picture() -> None:
    pixels = picture(1)
    larger = cv2.resize(pixels, (300, 340), interpolation=cv2.INTER_LINEAR)
    darker = (pixels * 0.8).astype(np.uint8)
    assert distance(perceptual_hash(pixels), perceptual_hash(larger)) <= 2
    assert distance(perceptual_hash(pixels), perceptual_hash(darker)) <= 2
    assert distance(perceptual_hash(pixels), perceptual_hash(picture(2))) > 15


def test_thumbnail_dot_product_is_pearson_correlation() -> None:
    first, second = thumbnail(picture(1)), thumbnail(picture(2))
    assert first.shape == (32, 32)
    assert first.dtype == np.float32
    assert float(first.mean()) == pytest.approx(0, abs=1e-7)
    assert float(np.linalg.norm(first)) == pytest.approx(1, abs=1e-6)
    expected = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert float(np.vdot(first, second)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("grey", [0, 1, 77, 255])
def test_thumbnail_of_one_grey_value_is_all_zeros(grey: int) -> None:
    assert not thumbnail(np.full((77, 45), grey, np.uint8)).any()


def test_fine_detail_survives_brightness_and_size_and_knows_no_slow_change() -> None:
    film = np.random.default_rng(8).integers(0, 200, (64, 64), dtype=np.uint8)
    film = cv2.resize(film, (256, 256), interpolation=cv2.INTER_CUBIC)
    detail = fine_detail(film)
    assert detail.shape == (64, 64)
    assert float(np.linalg.norm(detail)) == pytest.approx(1, abs=1e-5)
    ramp = np.add.outer(np.zeros(256), np.arange(256) * 0.2).astype(np.uint8)
    assert float((detail * fine_detail(cv2.resize(film, (180, 180)) // 2 + 20)).sum()) > 0.95
    assert float((detail * fine_detail(film + ramp)).sum()) > 0.99
    assert abs(float((detail * fine_detail(film[::-1])).sum())) < 0.1


@pytest.mark.parametrize("grey", [0, 77, 255])
def test_fine_detail_of_one_grey_value_is_all_zeros(grey: int) -> None:
    assert not fine_detail(np.full((77, 45), grey, np.uint8)).any()


def test_clusters_number_films_by_first_appearance_and_link_copies() -> None:
    films = [picture(1), picture(2), cv2.resize(picture(1), (160, 180)), picture(3), picture(2)]
    clusters = duplicate_clusters(
        [perceptual_hash(film) for film in films], np.stack([thumbnail(f) for f in films])
    )
    assert clusters == [0, 1, 0, 2, 1]


def test_clusters_need_the_pixels_to_agree_as_well() -> None:
    thumbnails = np.stack([thumbnail(picture(1)), thumbnail(picture(2))])
    assert duplicate_clusters([5, 5], thumbnails) == [0, 1]


def test_clusters_join_through_a_chain() -> None:
    same = np.stack([thumbnail(picture(1))] * 4)
    hashes = [0, 0b111111, 0b111111_111111, 0b111111 << 40]  # neighbours 6 bits apart, ends 12
    assert duplicate_clusters(hashes, same) == [0, 0, 0, 0]
    assert duplicate_clusters([0, 0b111111_111111], same[:2]) == [0, 1]


def test_no_near_pair_is_missed() -> None:
    rng = np.random.default_rng(4)
    base = [int(value) for value in rng.integers(0, 2**63, 40)]
    near = [value ^ sum(1 << int(bit) for bit in rng.choice(64, 6, replace=False)) for value in base]
    hashes = base + near
    thumbnails = np.stack([thumbnail(picture(1))] * len(hashes))
    clusters = duplicate_clusters(hashes, thumbnails)
    for first, second in itertools.combinations(range(len(hashes)), 2):
        if distance(hashes[first], hashes[second]) <= 6:
            assert clusters[first] == clusters[second]
    assert len(set(clusters)) == 40


def test_clusters_of_nothing() -> None:
    assert duplicate_clusters([], np.zeros((0, 32, 32), np.float32)) == []


def test_clusters_refuse_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="1 hashes but 2 thumbnails"):
        duplicate_clusters([1], np.zeros((2, 32, 32), np.float32))
