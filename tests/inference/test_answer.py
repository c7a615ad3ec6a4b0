import numpy as np
import pytest

from hilum.domain.scenario import Scenario
from hilum.evaluation.site_score import SiteScore
from hilum.inference.answer import NOT_COMMISSIONED, AnswerRules
from hilum.registry.site_profile import SiteProfile

RULE = {
    "disease": "Tuberculosis",
    "cutoff": 0.1,
    "max_miss_rate": 0.05,
    "confidence": 0.95,
    "is_as_asked": True,
    "referred_share": 0.22,
    "films": 60,
    "films_needed": 59,
}
FACTS = {
    "temperature": 2.0,
    "referral": {
        "sets": {
            "miss_rate": 0.1,
            "cuts": {
                "Normal": {"cutoff": 0.4, "films": 50},
                "Pneumonia": {"cutoff": 0.3, "films": 50},
                "Tuberculosis": {"cutoff": 0.2, "films": 50},
            },
        },
        "rules": [RULE],
        "confounded": [["Pneumonia", "Tuberculosis"]],
    },
}


def logits_of(*probabilities: float, temperature: float = 2.0) -> np.ndarray:
    return temperature * np.log(np.array([probabilities]))


NO_EMBEDDING = np.zeros((1, 1), np.float32)


def answer_one(rules: AnswerRules, logits: np.ndarray):
    (answer,) = rules.answer(logits.astype(np.float32), NO_EMBEDDING)
    return answer


def codes(answer) -> list[str]:
    return [reason.code for reason in answer.referral]


def at(sick: float) -> np.ndarray:
    """The embedding that the site's score gives this probability of sick, before temperature."""
    return np.array([[np.log(sick / (1 - sick))]], np.float32)


def make_site(**facts) -> SiteProfile:
    default = {
        "site": "Ward",
        "diseases": ["Tuberculosis"],
        "local": {"cutoff": -1.0},
        "recalibration": None,
        "referral": None,
    }
    return SiteProfile({**default, **facts}, {}, SiteScore(np.ones(1), 0.0))


def test_bare_checkpoint_answers_with_probabilities_alone():
    answer = answer_one(
        AnswerRules.from_facts({"temperature": 1.0}), logits_of(0.8, 0.15, 0.05, temperature=1)
    )
    assert answer.probabilities == pytest.approx({"Normal": 0.8, "Pneumonia": 0.15, "Tuberculosis": 0.05})
    assert (answer.decision, answer.prediction_set, answer.notes) == ("Normal", None, ())
    assert codes(answer) == ["site-not-commissioned"]


def test_sure_normal_film_needs_a_reader_only_for_want_of_commissioning():
    answer = answer_one(AnswerRules.from_facts(FACTS), logits_of(0.95, 0.03, 0.02))
    assert answer.prediction_set == ("Normal",)
    assert answer.referral == (NOT_COMMISSIONED,)
    assert answer.notes == ()
    assert (answer.headline, answer.called) == ("Normal", ())


def test_reasons_for_a_reader_have_codes():
    answer = answer_one(AnswerRules.from_facts(FACTS), logits_of(0.45, 0.33, 0.22))
    assert answer.prediction_set == ("Normal", "Pneumonia", "Tuberculosis")
    assert codes(answer) == [
        "site-not-commissioned", "over-threshold", "low-confidence", "ambiguous", "not-ruled-out"
    ]  # fmt: skip
    sentences = [reason.sentence for reason in answer.referral]
    assert sentences[0] == "Not checked at this hospital: a reader must see every film."
    assert sentences[1] == (
        "Pneumonia not ruled out: score 33%, threshold 30%; Normal is the most probable class."
    )
    assert sentences[2] == "The highest probability is 0.45, below 0.70."
    assert sentences[4].startswith("To miss at most 5.0 % of Tuberculosis")


def test_film_that_fits_no_class_goes_to_a_reader():
    strict = {
        **FACTS["referral"]["sets"],
        "cuts": {name: {"cutoff": 0.9, "films": 50} for name in ("Normal", "Pneumonia", "Tuberculosis")},
    }
    rules = AnswerRules.from_facts({**FACTS, "referral": {**FACTS["referral"], "sets": strict}})
    answer = answer_one(rules, logits_of(0.8, 0.15, 0.05))
    assert answer.prediction_set == ()
    assert codes(answer) == ["site-not-commissioned", "unlike-any-class"]


def test_a_call_that_its_own_set_leaves_out_goes_to_a_reader():
    facts = {**FACTS, "referral": {**FACTS["referral"], "rules": []}}
    facts["referral"]["sets"] = {
        "miss_rate": 0.1,
        "cuts": {
            "Normal": {"cutoff": 0.9, "films": 50},
            "Pneumonia": {"cutoff": 0.9, "films": 50},
            "Tuberculosis": {"cutoff": 0.2, "films": 50},
        },
    }
    answer = answer_one(AnswerRules.from_facts(facts), logits_of(0.01, 0.75, 0.24))
    assert (answer.decision, answer.prediction_set) == ("Pneumonia", ("Tuberculosis",))
    _, reason = answer.referral
    assert reason.code == "call-outside-set"
    assert reason.sentence == (
        "Pneumonia is the most probable class, yet the prediction set holds Tuberculosis alone."
    )


def test_rule_for_any_disease_is_about_what_is_not_normal():
    rules = [{**RULE, "disease": "any disease", "cutoff": 0.3}]
    facts = {**FACTS, "referral": {**FACTS["referral"], "rules": rules}}
    below = answer_one(AnswerRules.from_facts(facts), logits_of(0.75, 0.15, 0.10))
    above = answer_one(AnswerRules.from_facts(facts), logits_of(0.65, 0.25, 0.10))
    assert "not-ruled-out" not in [reason.code for reason in below.referral]
    assert "not-ruled-out" in [reason.code for reason in above.referral]


def test_kind_that_the_data_cannot_support_is_said():
    answer = answer_one(AnswerRules.from_facts(FACTS), logits_of(0.05, 0.05, 0.90))
    assert answer.decision == "Tuberculosis"
    assert answer.notes == (
        "Sick rather than normal is what the films support; whether it is Pneumonia or Tuberculosis is not"
        " supported: in training the two never came from one source.",
    )


def test_site_calls_by_its_own_score_cutoff_and_diseases():
    rules = AnswerRules.from_facts({**FACTS, "temperature": 1.0}, make_site())
    # log odds of sick: log(0.35 / 0.65) = -0.62 and log(0.2 / 0.8) = -1.39, whatever the logits say
    logits = np.concatenate([logits_of(0.9, 0.05, 0.05), logits_of(0.1, 0.85, 0.05)]).astype(np.float32)
    sick, normal = rules.answer(logits, np.concatenate([at(0.35), at(0.2)]))
    assert (sick.decision, normal.decision) == ("Tuberculosis", "Normal")
    assert sick.probabilities == pytest.approx({"Normal": 0.65, "Pneumonia": 0.0, "Tuberculosis": 0.35})
    assert sick.prediction_set is None
    assert sick.notes == ()  # one disease is in question: its kind is not asked


def test_site_without_labels_reads_probabilities_by_the_models_temperature():
    (answer,) = AnswerRules.from_facts(FACTS, make_site()).answer(
        logits_of(1 / 3, 1 / 3, 1 / 3).astype(np.float32), at(0.8)
    )
    assert answer.probabilities["Tuberculosis"] == pytest.approx(1 / (1 + np.exp(-np.log(4) / 2)))


def test_site_with_both_diseases_splits_what_is_sick_and_says_the_kind_is_unsupported():
    site = make_site(diseases=["Pneumonia", "Tuberculosis"])
    (answer,) = AnswerRules.from_facts({**FACTS, "temperature": 1.0}, site).answer(
        logits_of(0.4, 0.45, 0.15, temperature=1).astype(np.float32), at(0.6)
    )
    assert answer.probabilities == pytest.approx({"Normal": 0.4, "Pneumonia": 0.45, "Tuberculosis": 0.15})
    assert answer.decision == "Pneumonia"
    assert len(answer.notes) == 1


def test_site_recalibrates_and_refers_by_its_own_rule():
    site = make_site(
        recalibration={"temperature": 2.0, "shift": -1.0, "nll_before": 1.0, "nll_after": 0.5},
        referral={**RULE, "cutoff": -2.0},
    )
    (answer,) = AnswerRules.from_facts(FACTS, site).answer(
        logits_of(0.5, 0.0001, 0.4999, temperature=1).astype(np.float32), at(0.5)
    )
    assert answer.probabilities["Tuberculosis"] == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-3)
    assert [reason.code for reason in answer.referral] == ["low-confidence", "not-ruled-out"]


@pytest.mark.parametrize(
    ("scenario", "called", "first"),
    [
        (None, ("Tuberculosis",), "Tuberculosis"),
        (Scenario.SCREENING, ("Tuberculosis",), "Tuberculosis"),
        (Scenario.BALANCED, (), "Normal"),
        (Scenario.CONFIRMATION, (), "Normal"),
    ],
)
def test_a_disease_over_its_threshold_is_named_though_normal_is_more_probable(scenario, called, first):
    rules = AnswerRules.from_facts({"temperature": 1.0}, scenario=scenario)
    answer = answer_one(rules, logits_of(0.50, 0.09, 0.41, temperature=1))
    assert (answer.decision, answer.called, answer.headline) == ("Normal", called, first)
    assert answer.scenario == (scenario or "screening")
    assert answer.scenarios == {"screening": ("Tuberculosis",), "balanced": (), "confirmation": ()}
    assert ("over-threshold" in codes(answer)) == bool(called)


def test_a_film_that_looks_sick_is_never_normal_in_confirmation():
    rules = AnswerRules.from_facts({"temperature": 1.0}, scenario=Scenario.CONFIRMATION)
    answer = answer_one(rules, logits_of(0.20, 0.20, 0.60, temperature=1))
    assert (answer.headline, answer.called) == ("Unconfirmed", ())
    assert answer.thresholds == {"Pneumonia": 0.7, "Tuberculosis": 0.7}


def test_a_site_calls_by_its_own_threshold_unless_a_scenario_is_chosen():
    logits = logits_of(0.4, 0.3, 0.3, temperature=1).astype(np.float32)
    facts = {"temperature": 1.0}
    (own,) = AnswerRules.from_facts(facts, make_site()).answer(logits, at(0.28))
    assert (own.scenario, own.called, own.headline) == ("site", ("Tuberculosis",), "Tuberculosis")
    assert own.thresholds == {"Tuberculosis": pytest.approx(1 / (1 + np.e))}  # log odds of -1
    assert "site-not-commissioned" not in codes(own)
    (chosen,) = AnswerRules.from_facts(facts, make_site(scenario="screening")).answer(logits, at(0.28))
    assert (chosen.scenario, chosen.called) == ("screening", ())
    (told,) = AnswerRules.from_facts(facts, make_site(scenario="screening"), Scenario.BALANCED).answer(
        logits, at(0.28)
    )
    assert told.scenario == "balanced"
    assert told.scenarios["site"] == ("Tuberculosis",)


def test_a_site_names_both_diseases_where_the_kind_is_open():
    site = make_site(diseases=["Pneumonia", "Tuberculosis"])
    (answer,) = AnswerRules.from_facts({"temperature": 1.0}, site).answer(
        logits_of(0.1, 0.55, 0.35, temperature=1).astype(np.float32), at(0.6)
    )
    assert answer.called == ("Pneumonia", "Tuberculosis")
