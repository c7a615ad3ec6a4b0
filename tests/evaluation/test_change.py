import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.change import (
    APART,
    FIGURES,
    measure_change,
    measure_elsewhere,
    measure_groups,
    only_claims,
)
from hilum.evaluation.inputs import LOGIT_COLUMNS, ScoredFilms, read_scored_films
from hilum.evaluation.intervals import BOOTSTRAP, CONSTANT
from hilum.evaluation.measure import Measure
from tests.evaluation.films import USUAL, make_table


def scored(table: pd.DataFrame) -> ScoredFilms:
    return read_scored_films(table)


def shaken(table: pd.DataFrame, deviation: float) -> pd.DataFrame:
    noise = np.random.default_rng(1).normal(scale=deviation, size=(len(table), len(CLASS_NAMES)))
    return table.assign(**{name: table[name] + noise[:, k] for k, name in enumerate(LOGIT_COLUMNS)})


def test_unchanged_films_fall_by_nothing():
    films = scored(make_table(USUAL))
    change = measure_change(films, films, resamples=50)
    assert all(drop.value == 0.0 and drop.method == CONSTANT for drop in change.drops.values())
    assert (change.flipped.value, change.flipped.events) == (0.0, 0)
    assert change.probability_change.value == 0.0


def test_figures_and_drops_are_those_of_scikit_learn():
    table = make_table(USUAL, strength=1.0)
    clean, changed = scored(table), scored(shaken(table, 2.0))
    change = measure_change(clean, changed, resamples=200)
    right = [(films.logits.argmax(axis=1) == films.labels).mean() for films in (clean, changed)]
    assert change.figures["accuracy"].value == pytest.approx(right[1])
    assert change.drops["accuracy"].value == pytest.approx(right[0] - right[1])
    probabilities = np.exp(changed.logits) / np.exp(changed.logits).sum(axis=1, keepdims=True)
    sick = changed.labels != CLASS_NAMES.index("Normal")
    expected = roc_auc_score(sick, 1 - probabilities[:, CLASS_NAMES.index("Normal")])
    assert change.figures["sick_vs_normal"].value == pytest.approx(expected)
    macro = roc_auc_score(changed.labels, probabilities, multi_class="ovr")
    assert change.figures["macro_auroc"].value == pytest.approx(macro)
    flipped = (clean.logits.argmax(axis=1) != changed.logits.argmax(axis=1)).mean()
    assert change.flipped.value == pytest.approx(flipped)


def test_probability_change_of_a_case_by_hand():
    table = make_table({("east", "Normal"): 12})
    before = table.assign(**dict.fromkeys(LOGIT_COLUMNS, 0.0))
    after = before.assign(**{LOGIT_COLUMNS[0]: np.log(4.0)})  # 1/3 each to 4/6, 1/6, 1/6
    change = measure_change(scored(before), scored(after), resamples=10)
    assert change.probability_change.value == pytest.approx(1 / 3)


def test_pairing_makes_the_interval_of_a_fall_narrow():
    table = make_table(USUAL, strength=1.0)
    clean, changed = scored(table), scored(shaken(table, 0.3))
    paired = measure_change(clean, changed, resamples=300).drops["accuracy"]
    apart = measure_elsewhere(clean, changed, resamples=300).drops["accuracy"]
    assert paired.value == pytest.approx(apart.value)
    assert (paired.method, apart.method) == (BOOTSTRAP, APART)
    assert paired.low < paired.value < paired.high
    assert (paired.high - paired.low) < 0.7 * (apart.high - apart.low)


def test_another_site_that_lacks_a_class_says_so():
    here = scored(make_table(USUAL, strength=3.0))
    there = scored(make_table({("far", "Normal"): 40, ("far", "Tuberculosis"): 40}, seed=9, strength=0.0))
    site = measure_elsewhere(here, there, resamples=200)
    assert site.support == {"Normal": 40, "Pneumonia": 0, "Tuberculosis": 40}
    assert site.figures["recall_Pneumonia"].value is None
    assert site.drops["recall_Pneumonia"].reason == "there are no Pneumonia films"
    assert site.drops["macro_auroc"].note == "over 2 of 3 classes"
    fall = site.drops["sick_vs_normal"]
    assert 0.2 < fall.low < fall.value < fall.high < 0.7


def test_a_site_of_one_class_has_no_auroc():
    there = scored(make_table({("far", "Tuberculosis"): 20}))
    site = measure_elsewhere(scored(make_table(USUAL)), there, resamples=20)
    assert site.figures["sick_vs_normal"].reason == "one class only: there are no Normal films"
    assert site.drops["macro_auroc"].value is None
    assert site.figures["accuracy"].value is not None


def test_the_interval_of_a_fall_between_sites_covers_no_fall_when_there_is_none():
    tables = [make_table(USUAL, seed=seed, strength=1.0) for seed in range(40)]
    covered = 0
    for first, second in zip(tables[::2], tables[1::2], strict=True):
        fall = measure_elsewhere(scored(first), scored(second), resamples=200).drops["sick_vs_normal"]
        covered += fall.low <= 0 <= fall.high
    assert covered >= 17  # of 20, for 95 % intervals


def test_small_groups_make_no_claim():
    table = make_table({("east", "Normal"): 30, ("east", "Pneumonia"): 30, ("west", "Normal"): 7})
    groups = {group.value: group for group in measure_groups(scored(table), resamples=20)}
    assert groups["west"].films == 7
    assert groups["west"].figures["accuracy"].reason == "7 films: no claim below 10"
    assert groups["west"].figures["sick_vs_normal"].value is None
    assert groups["east"].figures["sick_vs_normal"].value > 0.5
    assert set(groups["east"].figures) == set(FIGURES)


def test_groups_are_those_the_table_knows():
    table = make_table(USUAL).assign(sex=["F", "M"] * 75, age=30.0)
    found = [(group.column, group.value) for group in measure_groups(scored(table), resamples=5)]
    assert found == [
        ("source", "east"), ("source", "west"), ("sex", "F"), ("sex", "M"), ("age_band", "18-39 years"),
    ]  # fmt: skip


def test_a_claim_needs_ten_films():
    assert only_claims(Measure(0.5, films=10)).value == 0.5
    assert only_claims(Measure(0.5, films=9)).reason == "9 films: no claim below 10"
