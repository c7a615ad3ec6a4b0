"""Find all pairs of 64-bit hashes that differ in few bits, without comparing every pair.

Pigeonhole: cut the hash into 9 blocks; two hashes that differ in at most 6 bits agree on at least 3 blocks.
So for each of the 84 choices of 3 blocks the hashes are sorted by those blocks (21 or 22 bits), and only
neighbours that agree on them are compared: at a million random hashes half a comparison per hash and
choice. The cost grows like N log N until buckets fill, past some ten million hashes. Knows nothing
about pictures: whether two films are one is decided by their pixels, in `hilum.imaging.fingerprint`.

References
----------
Norouzi, Punjani and Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012; keys of several
blocks as in Manku, Jain and Das Sarma, Detecting Near-Duplicates for Web Crawling, WWW 2007, section 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import DUPLICATE_MAX_HASH_BITS, NEAR_PAIR_BLOCKS

_HASH_BITS = 64
_BLOCK_ROOM_BITS = 8  # no block is wider
_KEPT_BLOCKS = NEAR_PAIR_BLOCKS - DUPLICATE_MAX_HASH_BITS  # blocks that a near pair surely agrees on

CROWD_NEIGHBOURS = 16
"""Neighbours that a hash is compared with at least in a crowded bucket, for each choice of blocks."""

CROWD_COMPARISONS = 4_000_000
"""Comparisons for each choice of blocks that are always affordable: 2,000 hashes are never cut."""

MAX_PAIRS = 5_000_000
"""Pairs after which the search stops: a set like that is one crowd, and a list of its pairs helps nobody."""


@dataclass(frozen=True, slots=True, eq=False)
class NearPairs:
    """Positions of near pairs, `first[i] < second[i]`, int64 (P,), sorted and each pair once.

    `is_complete` is False when a crowd of alike hashes was cut short, so that some of its pairs are not
    listed; a crowd still hangs together through the neighbours that are.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    is_complete: bool


def find_near_pairs(hashes: NDArray[np.uint64]) -> NearPairs:
    """Return every pair of hashes that differ in at most `DUPLICATE_MAX_HASH_BITS` bits.

    None is missed unless `is_complete` says so: a degenerate set (a million nearly equal hashes) is cut to
    a fixed number of neighbours per hash rather than compared pair by pair.

    Parameters
    ----------
    hashes
        uint64 (N,), such as `perceptual_hash` gives; equal values are near, too.
    """
    order = np.argsort(hashes, kind="stable")  # equal and alike hashes side by side, also inside a bucket
    values = hashes[order]
    count = len(values)
    reach = max(CROWD_NEIGHBOURS, CROWD_COMPARISONS // max(count, 1))
    codes = np.zeros(0, np.int64)
    is_complete = True
    for number, key in enumerate(_keys(values)):
        pairs, was_cut = _compare_bucket_mates(values, key, reach, with_equal=number == 0)
        is_complete &= not was_cut
        if len(pairs):
            codes = np.unique(np.concatenate([codes, pairs]))
        if len(codes) >= MAX_PAIRS:
            is_complete = False
            break
    ends = np.sort(np.stack([order[codes // max(count, 1)], order[codes % max(count, 1)]]), axis=0)
    listed = np.lexsort((ends[1], ends[0]))
    return NearPairs(ends[0, listed], ends[1, listed], is_complete)


def _keys(values: NDArray[np.uint64]) -> Iterator[NDArray[np.uint64]]:
    """Yield, for each choice of blocks, the bits of those blocks: uint64 (N,), at most 24 bits."""
    edges = np.linspace(0, _HASH_BITS, NEAR_PAIR_BLOCKS + 1).round().astype(int)
    blocks = [
        (values >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        for low, high in zip(edges[:-1], edges[1:], strict=True)
    ]
    for chosen in combinations(blocks, _KEPT_BLOCKS):
        key = np.zeros(len(values), np.uint64)
        for block in chosen:
            key = (key << np.uint64(_BLOCK_ROOM_BITS)) | block
        yield key


def _compare_bucket_mates(
    values: NDArray[np.uint64], key: NDArray[np.uint64], reach: int, *, with_equal: bool
) -> tuple[NDArray[np.int64], bool]:
    """Return the near pairs that share a key, coded first * N + second, and whether a bucket was cut.

    Equal values share every key: they are listed under one of them only, `with_equal`.
    """
    count = len(values)
    room = np.uint64(count.bit_length())
    packed = (key << room) | np.arange(count, dtype=np.uint64)  # one plain sort, several times an argsort
    packed.sort()
    place = (packed & ((np.uint64(1) << room) - np.uint64(1))).astype(np.int64)
    key = packed >> room
    sorted_values = values[place]
    found = [np.zeros(0, np.int64)]
    alive = np.arange(max(count - 1, 0))
    for step in range(1, reach + 1):
        alive = alive[alive + step < count]
        alive = alive[key[alive] == key[alive + step]]
        if not len(alive):
            return np.concatenate(found), False
        bits = np.bitwise_count(sorted_values[alive] ^ sorted_values[alive + step])
        near = alive[(bits <= DUPLICATE_MAX_HASH_BITS) & (bits >= (not with_equal))]
        found.append(place[near] * count + place[near + step])
        if sum(map(len, found)) >= MAX_PAIRS:
            break
    return np.concatenate(found), True
