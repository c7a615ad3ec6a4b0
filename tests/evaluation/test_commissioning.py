import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from hilum.evaluation.commissioning import (
    commission,
    cross_validated_calls,
    probability_of_sick,
    triage_cutoff,
)
from hilum.evaluation.inputs import read_scored_films
from hilum.evaluation.operating_points import Verdict
from hilum.evaluation.unseen_site import abnormal_log_odds
from tests.evaluation.films import make_table

TB = ("Tuberculosis",)


def judge(films, diseases=TB, **options):
    return commission(films, abnormal_log_odds(films.logits), diseases, **options)


def site(sick: int = 60, normal: int = 60, *, strength: float = 2.0, **options):
    counts = {("here", "Tuberculosis"): sick, ("here", "Normal"): normal}
    return read_scored_films(make_table(counts, strength=strength, **options))


def test_local_cutoff_finds_ninety_percent_where_the_label_free_one_does_not():
    films = site(100, 100)
    logits = films.logits.copy()
    logits[:, 0] += 6.0  # at this site every film looks more normal
    moved = judge(dataclasses.replace(films, logits=logits), resamples=200)
    assert moved.label_free.sensitivity.value < 0.3
    assert moved.local is not None
    assert moved.local.sensitivity.value >= 0.85
    assert moved.local.specificity.value >= 0.7
    assert moved.local.low < moved.local.cutoff < moved.local.high
    lower = judge(films, resamples=10, cutoff=-1.0).label_free
    assert lower.cutoff == -1.0
    assert lower.sensitivity.value > judge(films, resamples=10).label_free.sensitivity.value
    assert moved.recalibration is not None
    assert moved.recalibration.shift < -3.0
    assert moved.recalibration.nll_after < moved.recalibration.nll_before / 2


def test_good_model_meets_the_target_and_a_useless_one_misses_it():
    good = judge(site(200, 200, strength=6.0), resamples=200)
    assert good.verdict is Verdict.MET
    assert not any("WHO" in sentence for sentence in good.unsupported)
    useless = judge(site(200, 200, strength=0.0), resamples=200)
    assert useless.verdict is Verdict.MISSED
    assert any("WHO's triage target" in sentence for sentence in useless.unsupported)


def test_too_few_films_give_no_local_cutoff_and_say_so():
    few = judge(site(20, 20), resamples=100)
    assert few.local is None
    assert few.recalibration is None
    assert few.referral is None
    assert few.unsupported[0] == "A local cut-off: 40 labelled film(s) were given, 100 are needed."


def test_films_of_one_kind_have_no_auroc_but_a_rate():
    only = judge(site(0, 120), resamples=100)
    assert only.auroc.value is None
    assert only.local is None
    assert only.label_free.sensitivity.value is None
    assert only.label_free.specificity.value == pytest.approx(0.85, abs=0.15)
    assert "Any figure about Tuberculosis films: 0 were given, 10 are needed." in only.unsupported


def test_sick_is_what_is_in_question():
    counts = {("here", "Tuberculosis"): 60, ("here", "Normal"): 60, ("here", "Pneumonia"): 30}
    films = read_scored_films(make_table(counts))
    assert judge(films, resamples=50).sick == 60
    both = judge(films, ("Pneumonia", "Tuberculosis"), resamples=50)
    assert both.sick == 90
    assert any(sentence.startswith("Which of Pneumonia and Tuberculosis") for sentence in both.unsupported)


def test_small_subgroup_is_named_as_unsupported():
    counts = {("here", "Tuberculosis"): 60, ("here", "Normal"): 60}
    table = make_table(counts).assign(sex=["F"] * 5 + ["M"] * 115)
    found = judge(read_scored_films(table), resamples=50)
    assert "A claim by sex: too few films of F." in found.unsupported


def test_cutoff_leaves_both_margins_or_finds_ninety_percent():
    sick = np.arange(40) < 20
    apart = np.r_[np.full(20, 5.0), np.full(20, -5.0)]
    assert triage_cutoff(apart, sick) == 5.0
    mixed = np.r_[np.arange(20.0), np.arange(20.0)]
    assert triage_cutoff(mixed, sick) == 2.0  # 18 of 20 lie at or above it


def test_no_call_rests_on_the_film_itself_or_its_patient():
    # The one low sick film pulls the cut-off down only where it was not held out.
    scores = np.r_[0.0, np.full(9, 10.0), np.linspace(-6, -5, 10)]
    sick = np.arange(20) < 10
    assert triage_cutoff(scores, sick) == 0.0
    called = cross_validated_calls(scores, sick, np.arange(20), seed=0)
    assert called.tolist() == [False] + [True] * 9 + [False] * 10
    together = cross_validated_calls(scores, sick, np.r_[0, 0, np.arange(1, 19)], seed=0)
    assert together.tolist() == called.tolist()


def test_recalibration_recovers_the_law_that_drew_the_labels():
    rng = np.random.default_rng(0)
    odds = rng.normal(scale=4.0, size=4_000)
    sick = rng.random(4_000) < expit((odds - 1.0) / 2.0)
    table = pd.DataFrame(
        {
            "path": np.arange(4_000).astype(str),
            "label": np.where(sick, "Tuberculosis", "Normal"),
            "logit_Normal": 0.0,
            "logit_Pneumonia": -60.0,
            "logit_Tuberculosis": odds,
        }
    )
    found = judge(read_scored_films(table), resamples=20).recalibration
    assert found is not None
    assert (found.temperature, found.shift) == pytest.approx((2.0, 1.0), abs=0.15)
    np.testing.assert_allclose(probability_of_sick(np.array([found.shift]), found, temperature=9.0), [0.5])
    np.testing.assert_allclose(probability_of_sick(np.array([np.log(4.0)]), None, temperature=2.0), [2 / 3])


def test_separated_sample_keeps_a_finite_temperature():
    films = site(60, 60, strength=30.0)
    found = judge(films, resamples=20)
    assert found.recalibration is not None
    assert 0.05 <= found.recalibration.temperature <= 20.0
