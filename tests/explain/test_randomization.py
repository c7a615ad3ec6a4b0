"""Rank correlation and SSIM against scipy and by hand; a map that survives the weights is caught."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from hilum.explain.randomization import (
    compare_with_randomized,
    rank_correlations,
    structural_similarities,
)
from tests.explain.planted import edge_maps, planted_films


def noise(seed: int, films: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).random((films, 7, 7)).astype(np.float32)


def test_rank_correlations_equal_scipy_with_ties():
    first, second = np.round(noise(1), 1), np.round(noise(2), 1)
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    assert rank_correlations(first, second) == pytest.approx(expected)


def test_an_even_map_has_no_ranks_and_counts_as_zero():
    assert rank_correlations(noise(1, 2), np.zeros((2, 7, 7), np.float32)).tolist() == [0.0, 0.0]


def test_structural_similarity_is_one_for_the_same_map_at_any_scale():
    assert structural_similarities(noise(1), 3 * noise(1)) == pytest.approx(np.ones(24))
    assert (structural_similarities(noise(1), 1 - noise(1)) < 0).all()
    blank = structural_similarities(noise(1, 1), np.zeros((1, 7, 7), np.float32))
    assert abs(float(blank[0])) < 0.01


def test_maps_that_become_noise_pass():
    test = compare_with_randomized(noise(1), [("head", noise(2))], [noise(3), noise(4)])
    assert test.passes
    assert test.unlearned.mean < 0.2
    assert [stage.name for stage in test.stages] == ["head"]


def test_an_edge_detector_is_caught():
    edges = edge_maps(planted_films(4))[:, 0]
    test = compare_with_randomized(edges, [("head", edges)], [edges, edges])
    assert not test.passes
    assert test.unlearned.mean == pytest.approx(1.0)
    assert test.stages[0].structural_similarity == pytest.approx(1.0)


def test_an_inverted_map_is_caught_too():
    assert not compare_with_randomized(noise(1), [], [1 - noise(1)]).passes


def test_blank_maps_of_the_randomised_network_are_counted():
    others = noise(2)
    others[:5] = 0.0
    assert compare_with_randomized(noise(1), [("head", others)], [others]).stages[0].blank == 5
