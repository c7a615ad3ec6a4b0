"""Logits to an answer: probabilities, the call, what the validation films or the site allow to promise.

Knows nothing about pixels or torch. Without a site the model's own temperature, prediction sets and referral
rules hold, for films like its validation films. With a site profile the site's cut-off and diseases do, and
promises made on other films are not repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import LOW_CONFIDENCE_PROBABILITY
from hilum.evaluation.calibration import scale
from hilum.evaluation.commissioning import Recalibration, probability_of_sick
from hilum.evaluation.conformal import ConformalSets
from hilum.evaluation.inputs import FloatArray
from hilum.evaluation.promises import ANY_DISEASE, GivenPromises
from hilum.evaluation.referral import ReferralRule
from hilum.registry.site_profile import SiteProfile


@dataclass(frozen=True, slots=True)
class ReferralReason:
    """Why a reader should see the film: a stable code and a sentence.

    Codes: `low-confidence`, `not-ruled-out`, `ambiguous` (more than one class in the prediction set),
    `unlike-any-class` (none in it), `call-outside-set` (one, and not the class that is called).
    """

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said about one film.

    `probabilities` follow CLASS_NAMES; `prediction_set` is None where no promise holds; `notes` are sentences
    that go with the answer.
    """

    probabilities: dict[str, float]
    decision: Finding
    prediction_set: tuple[str, ...] | None
    referral: tuple[ReferralReason, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """How logits become answers.

    Parameters
    ----------
    temperature
        Of the model: logits are divided by it before softmax.
    sets, rules
        Prediction sets and referral rules fitted on validation; None and empty where there are none.
    confounded
        Pairs of classes that no training source held both of.
    site
        Profile of the site at which the answers are given.
    """

    temperature: float
    sets: ConformalSets | None = None
    rules: tuple[ReferralRule, ...] = ()
    confounded: tuple[tuple[str, str], ...] = ()
    site: SiteProfile | None = None

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], site: SiteProfile | None = None) -> "AnswerRules":
        """Read the rules of a bundle; a bare checkpoint has a temperature alone."""
        record = facts.get("referral")
        if record is None:
            return cls(facts["temperature"], site=site)
        given = GivenPromises.from_record(record)
        return cls(
            facts["temperature"],
            given.sets,
            tuple(given.rules.values()),
            tuple((first, second) for first, second in record["confounded"]),
            site,
        )

    def answer(self, logits: NDArray[np.float32], embeddings: NDArray[np.float32]) -> list[Answer]:
        """Return one answer per film of logits (N, K) and embeddings (N, C), as the network gave them."""
        exact = logits.astype(np.float64)
        if self.site is None:
            return self._answer_here(exact)
        return self._answer_at_site(exact, self.site.score.score(embeddings), self.site)

    def _answer_here(self, logits: FloatArray) -> list[Answer]:
        probabilities = scale(logits, self.temperature)
        within = None if self.sets is None else self.sets.contains(probabilities)
        answers = []
        for index, row in enumerate(probabilities):
            decision = Finding(CLASS_NAMES[int(row.argmax())])
            chosen = None
            if within is not None:
                chosen = tuple(name for name, is_in in zip(CLASS_NAMES, within[index], strict=True) if is_in)
            named = _name(row)
            reasons = (*_low_confidence(row), *_of_set(chosen, decision), *self._not_ruled_out(named))
            answers.append(Answer(named, decision, chosen, reasons, self._notes(decision)))
        return answers

    def _answer_at_site(self, logits: FloatArray, log_odds: FloatArray, site: SiteProfile) -> list[Answer]:
        record = site.facts["recalibration"]
        recalibration = Recalibration(**record) if record else None
        sick = probability_of_sick(log_odds, recalibration, temperature=self.temperature)
        asked = [CLASS_NAMES.index(name) for name in site.diseases]
        kinds = scale(logits[:, asked], self.temperature)  # (N, diseases in question)
        probabilities = np.zeros_like(logits)
        probabilities[:, CLASS_NAMES.index(Finding.NORMAL)] = 1 - sick
        probabilities[:, asked] = sick[:, None] * kinds
        rule = ReferralRule(**site.facts["referral"]) if site.facts["referral"] else None
        answers = []
        for row, odds, kind in zip(probabilities, log_odds, kinds, strict=True):
            called = Finding(site.diseases[int(kind.argmax())]) if odds >= site.cutoff else Finding.NORMAL
            reasons = [*_low_confidence(row)]
            if rule is not None and odds >= rule.cutoff:
                reasons.append(ReferralReason("not-ruled-out", rule.to_sentence()))
            answers.append(Answer(_name(row), called, None, tuple(reasons), self._notes(called)))
        return answers

    def _not_ruled_out(self, probabilities: dict[str, float]) -> list[ReferralReason]:
        sick = {**probabilities, ANY_DISEASE: 1 - probabilities[Finding.NORMAL]}
        return [
            ReferralReason("not-ruled-out", rule.to_sentence())
            for rule in self.rules
            if sick[rule.disease] >= rule.cutoff
        ]

    def _notes(self, decision: Finding) -> tuple[str, ...]:
        asked = CLASS_NAMES if self.site is None else self.site.diseases
        return tuple(
            f"Sick rather than normal is what the films support; whether it is {first} or {second} is not"
            " supported: in training the two never came from one source."
            for first, second in self.confounded
            if decision in {first, second} and first in asked and second in asked
        )


def _name(row: FloatArray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(CLASS_NAMES, row, strict=True)}


def _low_confidence(row: FloatArray) -> list[ReferralReason]:
    highest = float(row.max())
    if highest >= LOW_CONFIDENCE_PROBABILITY:
        return []
    return [
        ReferralReason(
            "low-confidence",
            f"The highest probability is {highest:.2f}, below {LOW_CONFIDENCE_PROBABILITY:.2f}.",
        )
    ]


def _of_set(chosen: tuple[str, ...] | None, decision: Finding) -> list[ReferralReason]:
    if chosen is None or chosen == (str(decision),):
        return []
    if not chosen:
        return [ReferralReason("unlike-any-class", "The prediction set is empty: the film fits no class.")]
    if len(chosen) == 1:
        sentence = f"{decision} is the most probable class, yet the prediction set holds {chosen[0]} alone."
        return [ReferralReason("call-outside-set", sentence)]
    return [ReferralReason("ambiguous", f"The prediction set holds {' and '.join(chosen)}.")]
