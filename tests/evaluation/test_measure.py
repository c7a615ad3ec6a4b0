import pytest

from hilum.evaluation.measure import Measure, format_percent, format_score, undefined


def test_rates_and_scores_are_written_with_their_interval():
    measure = Measure(0.5, low=0.41, high=0.59, films=100)
    assert format_percent(measure) == "50.0 % (41.0–59.0)"
    assert format_percent(measure, interval=False) == "50.0 %"
    assert format_score(measure) == "0.500 (0.410–0.590)"
    assert format_score(Measure(0.5)) == "0.500"


def test_few_films_give_a_count_and_nothing_gives_not_available():
    assert format_percent(Measure(3 / 7, events=3, films=7)) == "3 of 7 (too few)"
    assert format_score(Measure(0.9, films=7)) == "0.900, too few films"
    assert format_percent(undefined("none")) == format_score(undefined("none")) == "n/a"
    assert not undefined("none").is_claimable


def test_a_missing_value_needs_a_reason_and_an_interval_two_ends():
    with pytest.raises(AssertionError, match="reason"):
        Measure(None)
    with pytest.raises(AssertionError, match="two ends"):
        Measure(0.5, low=0.1)
