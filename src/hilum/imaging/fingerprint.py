"""Fingerprints that tell whether two files, or two films, are the same.

`content_sha256` answers for bytes. `perceptual_hash` and `thumbnail` answer for pictures that were
re-encoded, resized or slightly re-windowed. Knows nothing about labels or splits.
"""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import (
    DUPLICATE_MIN_CORRELATION,
    FINGERPRINT_DCT_SIDE_PX,
    FINGERPRINT_DETAIL_SIDE_PX,
    FINGERPRINT_DETAIL_SIGMA_PX,
    FINGERPRINT_HASH_SIDE,
    FINGERPRINT_THUMBNAIL_SIDE_PX,
)
from hilum.imaging.near_pairs import find_near_pairs

_PAIRS_AT_ONCE = 8_192  # 64 MB of thumbnails


def content_sha256(data: bytes) -> str:
    """Return the SHA-256 of the encoded file as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def perceptual_hash(pixels: NDArray[np.uint8]) -> int:
    """Hash the coarse structure of a picture to 64 bits.

    Shrinks to 32 x 32 by area averaging, takes the DCT, keeps the lowest 8 x 8 frequencies and sets a bit
    where a coefficient exceeds their median. The median leaves out
    the mean term, which only holds brightness.

    Parameters
    ----------
    pixels
        uint8 (H, W).

    Returns
    -------
    int in [0, 2**64), first coefficient in the highest bit. Small Hamming distance means similar pictures.

    References
    ----------
    Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1 (pHash).
    """
    side = FINGERPRINT_DCT_SIDE_PX
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:FINGERPRINT_HASH_SIDE, :FINGERPRINT_HASH_SIDE].ravel()  # (32, 32) -> (64,)
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Shrink a picture to 32 x 32, zero mean, unit norm, so that a dot product is a correlation.

    A picture of one grey value has no structure to compare: its thumbnail is all zeros and correlates
    with nothing.

    Parameters
    ----------
    pixels
        uint8 (H, W).

    Returns
    -------
    float32 (32, 32).
    """
    side = FINGERPRINT_THUMBNAIL_SIDE_PX
    small = cv2.resize(pixels.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    small = small - small.mean()
    norm = float(np.linalg.norm(small))
    if norm < side * np.finfo(np.float32).eps * np.iinfo(np.uint8).max:
        return np.zeros((side, side), dtype=np.float32)
    return np.asarray(small / norm, dtype=np.float32)


def fine_detail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what a blur takes away, at 64 x 64: zero mean, unit norm; all zeros where there is none.

    Two films of one patient agree in `thumbnail`; only copies of one picture agree in this, too.

    Parameters
    ----------
    pixels
        uint8 (H, W).

    Returns
    -------
    float32 (64, 64).
    """
    side = FINGERPRINT_DETAIL_SIDE_PX
    small = cv2.resize(pixels.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    detail = small - cv2.GaussianBlur(small, (0, 0), FINGERPRINT_DETAIL_SIGMA_PX)
    detail -= detail.mean()
    norm = float(np.linalg.norm(detail))
    if norm < side * np.finfo(np.float32).eps * np.iinfo(np.uint8).max:
        return np.zeros((side, side), dtype=np.float32)
    return np.asarray(detail / norm, dtype=np.float32)


def duplicate_clusters(hashes: Sequence[int], thumbnails: NDArray[np.float32]) -> list[int]:
    """Group films that show the same picture.

    Two films are one when their hashes differ in at most `DUPLICATE_MAX_HASH_BITS` bits **and** their
    thumbnails correlate at least `DUPLICATE_MIN_CORRELATION`; groups are closed by single linkage.
    Candidates come from `find_near_pairs`, so the cost grows with the number of near pairs rather than
    with N**2.

    Parameters
    ----------
    hashes
        N values of `perceptual_hash`.
    thumbnails
        float32 (N, 32, 32) of `thumbnail`, same order.

    Returns
    -------
    N cluster ids; ids count from 0 in order of first appearance.

    Raises
    ------
    ValueError
        If the two inputs differ in length.
    """
    if len(hashes) != len(thumbnails):
        raise ValueError(f"{len(hashes)} hashes but {len(thumbnails)} thumbnails; need one of each per film")
    parent = list(range(len(hashes)))
    pairs = find_near_pairs(np.array(hashes, dtype=np.uint64))
    correlation = correlate_pairs(thumbnails, pairs.first, pairs.second)
    same = correlation >= DUPLICATE_MIN_CORRELATION
    for first, second in zip(pairs.first[same].tolist(), pairs.second[same].tolist(), strict=True):
        parent[_root(parent, second)] = _root(parent, first)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(_root(parent, index), len(numbers)) for index in range(len(hashes))]


def correlate_pairs(
    thumbnails: NDArray[np.float32], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the correlation of each pair of thumbnails: float32 (P,).

    Parameters
    ----------
    thumbnails
        float32 (N, 32, 32) of `thumbnail`.
    first, second
        int64 (P,), positions in `thumbnails`.
    """
    flat = thumbnails.reshape(len(thumbnails), FINGERPRINT_THUMBNAIL_SIDE_PX**2)
    result = np.zeros(len(first), np.float32)
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        result[part] = np.einsum("ij,ij->i", flat[first[part]], flat[second[part]])
    return result


def _root(parent: list[int], index: int) -> int:
    """Follow links to a cluster's representative, halving the path on the way."""
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index
