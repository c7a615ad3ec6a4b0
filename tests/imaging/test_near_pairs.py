import itertools

import numpy as np
import pytest

from hilum.imaging import near_pairs
from hilum.imaging.near_pairs import find_near_pairs


def flip(value: int, bits: list[int]) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


def by_hand(hashes: np.ndarray) -> set[tuple[int, int]]:
    values = hashes.tolist()
    return {
        (first, second)
        for first, second in itertools.combinations(range(len(values)), 2)
        if (values[first] ^ values[second]).bit_count() <= 6
    }


def listed(hashes: np.ndarray) -> list[tuple[int, int]]:
    pairs = find_near_pairs(hashes)
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


@pytest.mark.parametrize("bits", [20, 64])
def test_it_finds_what_comparing_every_pair_finds_each_once_in_order(bits: int):
    rng = np.random.default_rng(5)
    base = [int(value) for value in rng.integers(0, 2**bits, 150, dtype=np.uint64)]
    near = [flip(value, rng.choice(64, 6, replace=False).tolist()) for value in base]
    far = [flip(value, rng.choice(64, 7, replace=False).tolist()) for value in base]
    hashes = np.array([*base, *near, *far, base[3]], np.uint64)
    found = listed(hashes)
    assert found == sorted(by_hand(hashes))
    assert find_near_pairs(hashes).is_complete
    assert {(index, 150 + index) for index in range(150)} <= set(found)
    assert (3, 450) in found


def test_one_pair_or_none():
    assert listed(np.zeros(0, np.uint64)) == []
    assert listed(np.array([7], np.uint64)) == []
    assert listed(np.array([2**64 - 1, 0, 2**64 - 1], np.uint64)) == [(0, 2)]


def test_a_crowd_is_cut_says_so_and_still_hangs_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(near_pairs, "CROWD_COMPARISONS", 0)
    pairs = find_near_pairs(np.full(100, 9, np.uint64))
    assert not pairs.is_complete
    assert len(pairs.first) == sum(100 - step for step in range(1, near_pairs.CROWD_NEIGHBOURS + 1))
    assert {(index, index + 1) for index in range(99)} <= set(
        zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    )


def test_the_list_of_pairs_has_an_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(near_pairs, "MAX_PAIRS", 50)
    pairs = find_near_pairs(np.zeros(40, np.uint64))
    assert not pairs.is_complete
    assert 50 <= len(pairs.first) < 100
