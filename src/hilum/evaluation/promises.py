"""Promises fitted on validation films, and whether the films under test keep them.

Prediction sets per class, and referral so that a disease is not missed: see `conformal` and `referral`. The
record of this module is what a bundle carries and `hilum predict` answers by.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import READABLE_SHARES
from hilum.evaluation.conformal import (
    ClassCoverage,
    ClassCut,
    ConformalSets,
    fit_conformal,
    measure_coverage,
)
from hilum.evaluation.discrimination import DISEASES, NORMAL_INDEX
from hilum.evaluation.inputs import BoolArray, FloatArray, IntArray, ScoredFilms
from hilum.evaluation.referral import ReferralRule, feasible_miss_rate, fit_referral
from hilum.evaluation.subgroups import measure_confounding

ANY_DISEASE = "any disease"
"""What the rule for sick against normal calls its disease; its score is 1 - P(Normal)."""


@dataclass(frozen=True, slots=True)
class KeptRule:
    """A referral rule, and among the films under test: how many with the disease were missed, how many read.

    `feasible` maps the share of films that readers can read to the miss rate that can be promised then;
    None where even the sick films alone are more.
    """

    rule: ReferralRule
    missed: int
    films: int
    referred: int
    all_films: int
    feasible: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Promises:
    """Prediction sets and referral rules with what became of them on the films under test.

    `mean_set_size` is in classes; 1 is a set that names one class. `confounded` are the class pairs that no
    source of the validation films holds both of.
    """

    sets: ConformalSets
    coverage: Mapping[str, ClassCoverage]
    mean_set_size: float
    rules: tuple[KeptRule, ...]
    confounded: tuple[tuple[str, str], ...]

    def to_answer_record(self) -> dict[str, object]:
        """Return what answering needs: sets, rules and confounded pairs, without figures of the test."""
        return {
            "sets": self.sets,
            "rules": [kept.rule for kept in self.rules],
            "confounded": self.confounded,
        }


@dataclass(frozen=True, slots=True)
class GivenPromises:
    """Prediction sets and referral rules of a released model."""

    sets: ConformalSets
    rules: Mapping[str, ReferralRule]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "GivenPromises":
        """Read `referral` of a bundle.json."""
        cuts = {name: ClassCut(**cut) for name, cut in record["sets"]["cuts"].items()}
        rules = [ReferralRule(**rule) for rule in record["rules"]]
        return cls(ConformalSets(record["sets"]["miss_rate"], cuts), {rule.disease: rule for rule in rules})


def make_promises(
    validation: ScoredFilms,
    known: FloatArray,
    labels: IntArray,
    probabilities: FloatArray,
    *,
    given: GivenPromises | None = None,
) -> Promises:
    """Fit promises on validation and look at them on the films under test.

    Parameters
    ----------
    known
        Calibrated probabilities of the validation films, float64 (M, K).
    labels, probabilities
        Of the films under test, int64 (N,) and float64 (N, K).
    given
        Promises that are looked at instead of fitted ones.
    """
    sets = given.sets if given else fit_conformal(known, validation.labels)
    rules = []
    for disease in (*DISEASES, ANY_DISEASE):
        scores, sick = disease_scores(known, validation.labels, disease)
        rule = given.rules.get(disease) if given else fit_referral(scores, sick, disease=disease)
        if rule is None:
            continue
        tested, tested_sick = disease_scores(probabilities, labels, disease)
        read = tested >= rule.cutoff
        feasible = {
            f"{share:g}": feasible_miss_rate(scores, sick, readable_share=share) for share in READABLE_SHARES
        }
        missed, films = int((~read & tested_sick).sum()), int(tested_sick.sum())
        rules.append(KeptRule(rule, missed, films, int(read.sum()), len(labels), feasible))
    return Promises(
        sets,
        measure_coverage(sets, probabilities, labels),
        float(sets.contains(probabilities).sum(axis=1).mean()),
        tuple(rules),
        measure_confounding(validation).never_together,
    )


def disease_scores(probabilities: FloatArray, labels: IntArray, disease: str) -> tuple[FloatArray, BoolArray]:
    """Return the score of a disease (or of any) and which films have it, (N,) each."""
    if disease == ANY_DISEASE:
        return 1 - probabilities[:, NORMAL_INDEX], np.asarray(labels != NORMAL_INDEX)
    position = CLASS_NAMES.index(disease)
    return probabilities[:, position], np.asarray(labels == position)
