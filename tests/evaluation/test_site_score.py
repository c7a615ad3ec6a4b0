import numpy as np
import pytest
from scipy.special import expit

from hilum.evaluation.site_score import SiteScore, fit_site_score, screening_cutoff


def site(seed: int = 0, films: int = 300):
    """Embeddings that differ most along what is sick, and a network that reads it with much noise."""
    rng = np.random.default_rng(seed)
    sick = rng.random(films) < 0.4
    embeddings = rng.normal(size=(films, 40))
    embeddings[:, 7] += 6.0 * sick
    log_odds = (sick - 0.5) + rng.normal(scale=1.5, size=films)
    return embeddings.astype(np.float32), log_odds, sick


def auroc(scores, sick):
    return (scores[sick][:, None] > scores[~sick][None]).mean()


def test_the_site_score_ranks_better_than_the_noisy_network_that_taught_it():
    embeddings, log_odds, sick = site()
    score = fit_site_score(embeddings, log_odds)
    assert auroc(log_odds, sick) < 0.75
    assert auroc(score.score(embeddings), sick) > 0.95
    fresh, _, sick_fresh = site(seed=1)
    assert auroc(score.score(fresh), sick_fresh) > 0.95


def test_a_network_at_chance_teaches_nothing():
    embeddings, _, sick = site()
    chance = np.random.default_rng(5).normal(size=len(sick))
    spread = fit_site_score(embeddings, chance).score(embeddings).std()
    assert spread < 0.3


def test_a_linear_network_in_few_directions_is_kept_as_it_is():
    rng = np.random.default_rng(2)
    embeddings = (rng.normal(size=(50, 2)) @ rng.normal(size=(2, 8))).astype(np.float32)
    weights = rng.normal(size=8) / 10
    log_odds = embeddings @ weights + 0.25
    score = fit_site_score(embeddings, log_odds)
    np.testing.assert_allclose(score.score(embeddings), log_odds, atol=1e-5)


def test_confident_answers_teach_no_more_than_three():
    embeddings, log_odds, _ = site()
    wild = log_odds.copy()
    wild[0] = 1e6
    tame = log_odds.copy()
    tame[0] = 3.0
    first, second = (fit_site_score(embeddings, odds) for odds in (wild, tame))
    np.testing.assert_allclose(first.weights, second.weights)


def test_arrays_come_back():
    embeddings, log_odds, _ = site()
    score = fit_site_score(embeddings, log_odds)
    again = SiteScore.from_arrays(score.to_arrays())
    np.testing.assert_array_equal(again.score(embeddings), score.score(embeddings))


def test_screening_cutoff_is_thirty_percent_after_temperature():
    assert expit(screening_cutoff(1.0)) == pytest.approx(0.3)
    assert expit(screening_cutoff(0.6) / 0.6) == pytest.approx(0.3)
