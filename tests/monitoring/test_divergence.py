import numpy as np
import pytest
from scipy.special import rel_entr
from scipy.stats import entropy

from hilum.monitoring.divergence import (
    chance_index,
    films_needed,
    group_cells,
    kl_divergence,
    population_stability_index,
    regroup,
    to_distribution,
)


def test_psi_and_kl_are_those_of_scipy_on_random_histograms():
    random = np.random.default_rng(1)
    for _ in range(200):
        cells = int(random.integers(2, 40))
        p, q = (to_distribution(random.poisson(random.gamma(1, 20, cells))) for _ in range(2))
        assert kl_divergence(p, q) == pytest.approx(float(entropy(p, q)), abs=1e-12)
        both = float(rel_entr(p, q).sum() + rel_entr(q, p).sum())
        assert population_stability_index(p, q) == pytest.approx(both, abs=1e-12)


def test_chance_passes_the_threshold_at_the_films_needed_as_rarely_as_said():
    random = np.random.default_rng(2)
    alpha, total, true = 0.01, 440, np.full(10, 0.1)
    needed = films_needed(10, total, 0.2, alpha)
    assert needed is not None
    assert chance_index(10, needed, total, alpha) <= 0.2 < chance_index(10, needed - 1, total, alpha)
    over = 0
    for _ in range(4000):
        new, old = random.multinomial(needed, true), random.multinomial(total, true)
        over += population_stability_index(to_distribution(new), to_distribution(old)) > 0.2
    assert over <= 72  # binomial(4000, 0.01): more has a chance of 1 in 1,000


def test_cells_are_grouped_to_about_equal_mass_and_every_count_is_kept():
    random = np.random.default_rng(3)
    counts = np.bincount(np.clip(random.normal(32, 8, 5000), 0, 63).astype(int), minlength=64)
    bins = group_cells(counts)
    grouped = regroup(counts, bins)
    assert (len(grouped), grouped.sum()) == (10, 5000)
    assert (np.diff(bins) >= 0).all()
    assert grouped.min() > 250


def test_one_cell_cannot_drift():
    assert films_needed(1, 440, 0.2, 1e-4) is None
