"""Logits to an answer: probabilities, the call, what the validation films or the site allow to promise.

Knows nothing about pixels or torch. Without a site the model's own temperature, prediction sets and referral
rules hold, for films like its validation films. With a site profile the site's cut-off and diseases do, and
promises made on other films are not repeated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.scenario import Scenario
from hilum.domain.thresholds import HIGH_SENSITIVITY_PROBABILITY, LOW_CONFIDENCE_PROBABILITY
from hilum.evaluation.calibration import scale
from hilum.evaluation.commissioning import Recalibration, probability_of_sick
from hilum.evaluation.conformal import ConformalSets
from hilum.evaluation.inputs import FloatArray
from hilum.evaluation.operating_points import (
    DEFAULT_SCENARIO,
    SCENARIO_CUTOFFS,
    headline,
    name_called,
)
from hilum.evaluation.promises import ANY_DISEASE, GivenPromises
from hilum.evaluation.referral import ReferralRule
from hilum.registry.site_profile import SiteProfile


@dataclass(frozen=True, slots=True)
class ReferralReason:
    """Why a reader should see the film: a stable code and a sentence.

    Codes: `site-not-commissioned` (the model was not measured at this hospital), `over-threshold` (a disease
    is called that is not the most probable class), `low-confidence`, `not-ruled-out`, `ambiguous` (more than
    one class in the prediction set), `unlike-any-class` (none in it), `call-outside-set` (one, and not the
    most probable class).
    """

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said about one film.

    `probabilities` follow CLASS_NAMES, and `decision` is the most probable class; at a site, the most
    probable disease of those in question once the site's threshold is reached. `called` are the diseases over
    their threshold in the `scenario` in force, the most probable first; `thresholds` are the probabilities
    from which it calls them, None for the most probable class. `scenarios` has what each scenario of Table 15
    calls. `prediction_set` is None where no promise holds; `notes` are sentences that go with the answer.
    """

    probabilities: dict[str, float]
    decision: Finding
    scenario: str
    thresholds: Mapping[str, float] | None
    called: tuple[str, ...]
    scenarios: dict[str, tuple[str, ...]]
    prediction_set: tuple[str, ...] | None
    referral: tuple[ReferralReason, ...]
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """What to say first: every called disease, Normal, or Unconfirmed."""
        return headline(self.called, self.decision)


NOT_COMMISSIONED = ReferralReason(
    "site-not-commissioned", "Not checked at this hospital: a reader must see every film."
)
SITE_SCENARIO = "site"
"""Name of the scenario in force where a site profile has a threshold of its own."""


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
    scenario
        Of Table 15, in force whatever the site says; None for the site's own, or `DEFAULT_SCENARIO`.
    """

    temperature: float
    sets: ConformalSets | None = None
    rules: tuple[ReferralRule, ...] = ()
    confounded: tuple[tuple[str, str], ...] = ()
    site: SiteProfile | None = None
    scenario: Scenario | None = None

    @classmethod
    def from_facts(
        cls, facts: Mapping[str, Any], site: SiteProfile | None = None, scenario: Scenario | None = None
    ) -> "AnswerRules":
        """Read the rules of a bundle; a bare checkpoint has a temperature alone."""
        record = facts.get("referral")
        if scenario is None and site is not None and site.scenario is not None:
            scenario = Scenario(site.scenario)
        if record is None:
            return cls(facts["temperature"], site=site, scenario=scenario)
        given = GivenPromises.from_record(record)
        return cls(
            facts["temperature"],
            given.sets,
            tuple(given.rules.values()),
            tuple((first, second) for first, second in record["confounded"]),
            site,
            scenario,
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
        scenario = self.scenario or DEFAULT_SCENARIO
        calls = _call_all(probabilities)
        answers = []
        for index, row in enumerate(probabilities):
            decision = Finding(CLASS_NAMES[int(row.argmax())])
            chosen = None
            if within is not None:
                chosen = tuple(name for name, is_in in zip(CLASS_NAMES, within[index], strict=True) if is_in)
            named = _name(row)
            thresholds, called = SCENARIO_CUTOFFS[scenario], calls[index][scenario]
            reasons = (
                NOT_COMMISSIONED,
                *_over_threshold(named, called, thresholds, decision),
                *_low_confidence(row),
                *_of_set(chosen, decision),
                *self._not_ruled_out(named),
            )
            answers.append(
                Answer(
                    named, decision, str(scenario), thresholds, called, calls[index],
                    prediction_set=chosen, referral=reasons, notes=self._notes(called or (decision,)),
                )
            )  # fmt: skip
        return answers

    def _answer_at_site(self, logits: FloatArray, log_odds: FloatArray, site: SiteProfile) -> list[Answer]:
        record = site.facts["recalibration"]
        recalibration = Recalibration(**record) if record else None
        bars = np.append(log_odds, site.cutoff)
        *sick, bar = probability_of_sick(bars, recalibration, temperature=self.temperature)
        asked = [CLASS_NAMES.index(name) for name in site.diseases]
        kinds = scale(logits[:, asked], self.temperature)  # (N, diseases in question)
        probabilities = np.zeros_like(logits)
        probabilities[:, CLASS_NAMES.index(Finding.NORMAL)] = 1 - np.array(sick)
        probabilities[:, asked] = np.array(sick)[:, None] * kinds
        rule = ReferralRule(**site.facts["referral"]) if site.facts["referral"] else None
        calls = _call_all(probabilities)
        at_site: Mapping[str, float] | None = dict.fromkeys(site.diseases, float(bar))
        answers = []
        for row, odds, kind, by_scenario in zip(probabilities, log_odds, kinds, calls, strict=True):
            own = _likely_kinds(site.diseases, kind) if odds >= site.cutoff else ()
            decision = Finding(own[0]) if own else Finding.NORMAL
            by_scenario[SITE_SCENARIO] = own
            scenario = SITE_SCENARIO if self.scenario is None else str(self.scenario)
            called = by_scenario[scenario]
            thresholds = at_site if self.scenario is None else SCENARIO_CUTOFFS[self.scenario]
            named = _name(row)
            reasons = [*_over_threshold(named, called, thresholds, decision), *_low_confidence(row)]
            if rule is not None and odds >= rule.cutoff:
                reasons.append(ReferralReason("not-ruled-out", rule.to_sentence()))
            answers.append(
                Answer(
                    named, decision, scenario, thresholds, called, by_scenario,
                    prediction_set=None, referral=tuple(reasons), notes=self._notes(called or (decision,)),
                )
            )  # fmt: skip
        return answers

    def _not_ruled_out(self, probabilities: dict[str, float]) -> list[ReferralReason]:
        sick = {**probabilities, ANY_DISEASE: 1 - probabilities[Finding.NORMAL]}
        return [
            ReferralReason("not-ruled-out", rule.to_sentence())
            for rule in self.rules
            if sick[rule.disease] >= rule.cutoff
        ]

    def _notes(self, named: Sequence[str]) -> tuple[str, ...]:
        asked = CLASS_NAMES if self.site is None else self.site.diseases
        return tuple(
            f"Sick rather than normal is what the films support; whether it is {first} or {second} is not"
            " supported: in training the two never came from one source."
            for first, second in self.confounded
            if {first, second} & set(named) and first in asked and second in asked
        )


def _name(row: FloatArray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(CLASS_NAMES, row, strict=True)}


def _call_all(probabilities: FloatArray) -> list[dict[str, tuple[str, ...]]]:
    """Return what each scenario calls of each film."""
    columns = [name_called(probabilities, scenario) for scenario in Scenario]
    return [dict(zip(map(str, Scenario), calls, strict=True)) for calls in zip(*columns, strict=True)]


def _likely_kinds(diseases: Sequence[str], kinds: FloatArray) -> tuple[str, ...]:
    """Return the diseases a sick film may have: the most probable, others from the screening threshold."""
    floor = min(float(kinds.max()), HIGH_SENSITIVITY_PROBABILITY)
    return tuple(diseases[index] for index in np.argsort(-kinds, kind="stable") if kinds[index] >= floor)


def _over_threshold(
    probabilities: Mapping[str, float],
    called: Sequence[str],
    thresholds: Mapping[str, float] | None,
    decision: Finding,
) -> list[ReferralReason]:
    """Say which diseases are called although another class is more probable."""
    return [
        ReferralReason(
            "over-threshold",
            f"{name} not ruled out: score {probabilities[name]:.0%}, threshold {thresholds[name]:.0%};"
            f" {decision} is the most probable class.",
        )
        for name in called
        if thresholds is not None and name != decision and probabilities[name] >= thresholds[name]
    ]


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
