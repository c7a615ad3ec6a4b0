import numpy as np
import pytest
from scipy.stats import norm

from hilum.evaluation.referral import feasible_miss_rate, fit_referral, miss_rate_bounds


def test_wilks_59_films_are_needed_for_95_95():
    scores = np.linspace(0.5, 0.9, 59)
    rule = fit_referral(scores, np.ones(59, bool), disease="tuberculosis")
    assert rule is not None
    assert (rule.is_as_asked, rule.cutoff, rule.films_needed) == (True, 0.5, 59)
    assert rule.to_sentence() == (
        "To miss at most 5.0 % of tuberculosis (95 % confidence), 100 % of films like the validation films go"
        " to a reader."
    )


def test_too_few_films_get_the_promise_they_support():
    rule = fit_referral(np.linspace(0, 1, 41), np.arange(41) > 0, disease="tuberculosis")
    assert rule is not None
    assert not rule.is_as_asked
    assert rule.max_miss_rate == pytest.approx(1 - 0.05 ** (1 / 40))
    assert rule.referred_share == pytest.approx(40 / 41)
    assert "at most 7.2 %" in rule.to_sentence()
    assert rule.to_sentence().endswith("on 40 validation film(s) with it, that takes 59.")


def test_without_the_disease_there_is_no_rule():
    assert fit_referral(np.linspace(0, 1, 5), np.zeros(5, bool), disease="tuberculosis") is None


def test_promise_is_kept_with_the_stated_confidence_in_simulation():
    rng = np.random.default_rng(0)
    kept, exact = [], []
    for _ in range(2_000):
        scores = rng.normal(size=150)
        rule = fit_referral(scores, np.ones(150, bool), disease="x", max_miss_rate=0.05)
        assert rule is not None
        true_miss_rate = norm.cdf(rule.cutoff)
        kept.append(true_miss_rate <= 0.05)
        exact.append(true_miss_rate)
    assert np.mean(kept) >= 0.945
    assert np.mean(exact) > 0.01  # not by referring everything


def test_bounds_rise_and_match_the_closed_form():
    bounds = miss_rate_bounds(40)
    assert bounds[0] == pytest.approx(1 - 0.05 ** (1 / 40))
    assert (np.diff(bounds) > 0).all()


def test_more_readers_allow_a_stronger_promise():
    rng = np.random.default_rng(1)
    sick = np.arange(1_000) < 100
    scores = rng.normal(size=1_000) + 2 * sick
    promises = [feasible_miss_rate(scores, sick, readable_share=share) for share in (0.15, 0.3, 0.6, 1.0)]
    assert all(left > right for left, right in zip(promises, promises[1:], strict=False))
    assert promises[-1] == pytest.approx(1 - 0.05 ** (1 / 100))


def test_readers_who_cannot_read_the_sick_alone_promise_nothing():
    sick = np.arange(10) < 5
    assert feasible_miss_rate(np.arange(10.0), sick, readable_share=0.4) is None
    assert feasible_miss_rate(np.arange(10.0), np.zeros(10, bool), readable_share=1.0) is None


def test_separated_scores_worked_by_hand():
    scores, sick = np.array([0.9, 0.8, 0.3, 0.2, 0.1]), np.array([True, True, False, False, False])
    # three films can be read: both sick and one other; the cut lies above 0.2, and no sick film is missed
    assert feasible_miss_rate(scores, sick, readable_share=0.6) == pytest.approx(1 - 0.05 ** (1 / 2))
    # all sick films at or below the last unread normal one
    assert feasible_miss_rate(1 - scores, sick, readable_share=0.4) == 1.0


def test_feasible_promise_is_kept_in_simulation():
    rng = np.random.default_rng(2)
    kept = []
    for _ in range(800):
        sick = np.arange(300) < 60
        scores = rng.normal(size=300) + 1.5 * sick
        promise = feasible_miss_rate(scores, sick, readable_share=0.5)
        others = np.sort(scores[~sick])[::-1]
        assert promise is not None
        kept.append(norm.cdf(others[90] - 1.5) <= promise)
    assert np.mean(kept) >= 0.94
