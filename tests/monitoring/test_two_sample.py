import numpy as np
import pytest
from scipy.stats import binom

from hilum.monitoring.two_sample import compare_samples


@pytest.mark.parametrize("draw", ["gaussian", "heavy"])
def test_samples_of_one_distribution_differ_as_rarely_as_the_level_says(draw: str):
    random = np.random.default_rng(3)
    runs, level = 300, 0.05

    def sample(films: int) -> np.ndarray:
        shape = (films, 6)
        return random.standard_normal(shape) if draw == "gaussian" else random.standard_t(1.5, shape)

    found = [compare_samples(sample(30), sample(60), permutations=199, seed=run).p for run in range(runs)]
    called = sum(p <= level for p in found)
    assert binom.ppf(1e-4, runs, level) <= called <= binom.ppf(1 - 1e-4, runs, level)


def test_a_shift_of_one_deviation_in_one_coordinate_is_found():
    random = np.random.default_rng(4)
    moved = random.standard_normal((200, 4)) + np.array([1.0, 0, 0, 0])
    assert compare_samples(moved, random.standard_normal((400, 4))).p == pytest.approx(1 / 20_000)


def test_the_statistic_is_that_of_the_paper():
    random = np.random.default_rng(5)
    new, old = random.standard_normal((7, 3)), random.standard_normal((9, 3)) + 1

    def kernel(one: np.ndarray, other: np.ndarray, width: float) -> np.ndarray:
        return np.exp(-((one[:, None] - other[None]) ** 2).sum(axis=2) / width)

    distances = ((old[:, None] - old[None]) ** 2).sum(axis=2)
    width = float(np.median(distances[np.triu_indices(9, 1)]))
    inside = sum((kernel(x, x, width).sum() - len(x)) / (len(x) * (len(x) - 1)) for x in (new, old))
    expected = inside - 2 * kernel(new, old, width).mean()  # Gretton et al., eq. 3
    assert compare_samples(new, old).mmd2 == pytest.approx(expected, abs=1e-6)
