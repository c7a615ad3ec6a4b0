from pathlib import Path

import numpy as np
import pytest

from hilum.domain.findings import CLASS_NAMES
from hilum.model.scoring import Scorer
from hilum.robustness.adversarial import ATTACKS, attack_films
from tests.conftest import draw_blob

SIDE = 64


@pytest.fixture(scope="module")
def scorer(tiny_run: Path) -> Scorer:
    return Scorer.from_checkpoint(tiny_run / "models" / "best_model.pt")


@pytest.fixture(scope="module")
def films() -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(9) % len(CLASS_NAMES)
    drawn = [draw_blob(index, CLASS_NAMES[label], SIDE) for index, label in enumerate(labels)]
    return np.stack(drawn), labels.astype(np.int64)


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of each film: what an attack drives up."""
    peak = logits.max(axis=1)
    total = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    return total - logits[np.arange(len(labels)), labels]


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("epsilon", [0.5, 4.0])
def test_no_pixel_moves_further_than_epsilon(scorer: Scorer, films, name: str, epsilon: float):
    pixels, labels = films
    edge = pixels.copy()
    edge[:, :8], edge[:, -8:] = 0, 255  # where only one direction is left
    _, attacked = attack_films(scorer, edge, labels, name, epsilon=epsilon)
    moved = np.abs(attacked - edge)
    assert attacked.shape == edge.shape
    assert 0.9 * epsilon < moved.max() <= epsilon + 1e-4
    assert attacked.min() >= 0
    assert attacked.max() <= 255


def test_attacks_do_damage_and_pgd_at_least_that_of_fgsm(scorer: Scorer, films):
    pixels, labels = films
    clean = losses(scorer.score(pixels).logits, labels).mean()
    damage = {
        name: [
            losses(attack_films(scorer, pixels, labels, name, epsilon=epsilon)[0], labels).mean() - clean
            for epsilon in (1.0, 4.0)
        ]
        for name in ATTACKS
    }
    assert 0 < damage["FGSM"][0] < damage["FGSM"][1]
    assert 0 < damage["PGD"][0] < damage["PGD"][1]
    assert damage["PGD"][0] >= 0.999 * damage["FGSM"][0]
    assert damage["PGD"][1] >= 0.999 * damage["FGSM"][1]


def test_attacks_are_the_same_twice_and_leave_the_network_alone(scorer: Scorer, films):
    pixels, labels = films
    before = scorer.score(pixels).logits
    (first, _), (second, _) = (attack_films(scorer, pixels, labels, "PGD", epsilon=2.0) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(scorer.score(pixels).logits, before)


def test_progress_counts_films(scorer: Scorer, films):
    pixels, labels = films
    done: list[int] = []
    attack_films(scorer, pixels, labels, "FGSM", epsilon=1.0, on_films=done.append)
    assert sum(done) == len(pixels)
