"""Fingerprints that tell whether two files, or two films, are the same.

`content_sha256` answers for bytes. `perceptual_hash` and `thumbnail` answer for pictures that were
re-encoded, resized or slightly re-windowed. Knows nothing about labels or splits.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import (
    DUPLICATE_MAX_HASH_BITS,
    DUPLICATE_MIN_CORRELATION,
    FINGERPRINT_BAND_BITS,
    FINGERPRINT_DCT_SIDE_PX,
    FINGERPRINT_HASH_SIDE,
    FINGERPRINT_THUMBNAIL_SIDE_PX,
)

HASH_BITS = FINGERPRINT_HASH_SIDE**2


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


def duplicate_clusters(hashes: Sequence[int], thumbnails: NDArray[np.float32]) -> list[int]:
    """Group films that show the same picture.

    Two films are one when their hashes differ in at most `DUPLICATE_MAX_HASH_BITS` bits **and** their
    thumbnails correlate at least `DUPLICATE_MIN_CORRELATION`; groups are closed by single linkage.
    Candidates come from buckets of hash bands, so the cost grows with the number of near pairs
    rather than with N**2.

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
    for first, second in _near_pairs(hashes):
        if float(np.vdot(thumbnails[first], thumbnails[second])) >= DUPLICATE_MIN_CORRELATION:
            parent[_root(parent, second)] = _root(parent, first)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(_root(parent, index), len(numbers)) for index in range(len(hashes))]


def _root(parent: list[int], index: int) -> int:
    """Follow links to a cluster's representative, halving the path on the way."""
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index


def _near_pairs(hashes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield index pairs (i < j) whose hashes differ in at most `DUPLICATE_MAX_HASH_BITS` bits, none missed.

    Pigeonhole: among b bands at least one differs in at most ``max_bits // b`` bits, so looking a band up
    with that many bits flipped finds every near pair (Norouzi et al., Fast Search in Hamming Space with
    Multi-Index Hashing, CVPR 2012). With 16-bit bands and 6 bits that is one flip: 17 look-ups a band.
    """
    bands = HASH_BITS // FINGERPRINT_BAND_BITS
    masks = _flip_masks(DUPLICATE_MAX_HASH_BITS // bands)
    buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, value in enumerate(hashes):
        keys = [
            (band, (value >> (band * FINGERPRINT_BAND_BITS)) & ((1 << FINGERPRINT_BAND_BITS) - 1))
            for band in range(bands)
        ]
        seen: set[int] = set()
        for band, part in keys:
            for mask in masks:
                seen.update(buckets.get((band, part ^ mask), ()))
        for other in sorted(seen):
            if (hashes[other] ^ value).bit_count() <= DUPLICATE_MAX_HASH_BITS:
                yield other, index
        for key in keys:
            buckets[key].append(index)


def _flip_masks(max_flips: int) -> list[int]:
    """List every band-wide mask with at most `max_flips` bits set."""
    masks = {0}
    for _ in range(max_flips):
        masks |= {mask ^ (1 << bit) for mask in masks for bit in range(FINGERPRINT_BAND_BITS)}
    return sorted(masks)
