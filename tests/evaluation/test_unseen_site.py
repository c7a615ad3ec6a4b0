import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.inputs import ScoredFilms, read_scored_films
from hilum.evaluation.unseen_site import abnormal_log_odds, measure_site


def scored(logits: np.ndarray, labels: list[str]) -> ScoredFilms:
    table = pd.DataFrame({f"logit_{name}": logits[:, i] for i, name in enumerate(CLASS_NAMES)})
    return read_scored_films(table.assign(path=[f"{i}.png" for i in range(len(labels))], label=labels))


def test_log_odds_are_those_of_softmax():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]])
    assert abnormal_log_odds(np.log(probabilities)) == pytest.approx([0.0, np.log(0.1 / 0.9)])


def test_figures_by_hand_and_against_scikit_learn():
    rng = np.random.default_rng(0)
    labels = ["Normal"] * 60 + ["Tuberculosis"] * 40
    logits = rng.normal(size=(100, 3))
    logits[60:, 2] += 1.0
    site = measure_site(scored(logits, labels), cutoff=0.2, resamples=200)
    score, sick = abnormal_log_odds(logits), np.arange(100) >= 60
    assert site.auroc.value == pytest.approx(roc_auc_score(sick, score))
    assert site.sensitivity.value == pytest.approx(np.mean(score[sick] >= 0.2))
    assert site.specificity.value == pytest.approx(np.mean(score[~sick] < 0.2))
    assert (site.films, site.sick, site.cutoff) == (100, 40, 0.2)
    assert site.auroc.low is not None
    assert site.auroc.low < site.auroc.value < site.auroc.high


def test_site_without_sick_films_has_no_auroc_but_a_specificity():
    site = measure_site(scored(np.zeros((5, 3)) - [[0.0, 2.0, 2.0]], ["Normal"] * 5), resamples=20)
    assert site.auroc.value is None
    assert site.auroc.reason == "the site has films of one kind only"
    assert site.sensitivity.reason == "the site has no sick film"
    assert site.specificity.value == 1.0
