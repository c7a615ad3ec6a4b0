import copy
import math
from collections.abc import Callable
from typing import Any

import pytest

from hilum.registry.bundle import GRAPH_FILE, SELFTEST_FILE
from hilum.registry.measured import LATER, MeasuredModel
from hilum.registry.promotion import GATES, judge_promotion
from hilum.registry.score_shift import stability_index
from tests.registry.make_bundles import make_evaluation, make_facts, measure

Change = Callable[[dict[str, Any], dict[str, Any]], object]
FILES = frozenset({GRAPH_FILE, SELFTEST_FILE, "bundle.json"})


def make_model(version: str = "1.0.0", weights: str = "aa", change: Change | None = None) -> MeasuredModel:
    facts = make_facts(f"net_v{version}_20260504", version=version, weights_sha256=weights)
    evaluation = make_evaluation(weights)
    if change is not None:
        change(facts, evaluation)
    return MeasuredModel(facts["name"], facts, {"test": evaluation}, FILES)


def refusals_of(candidate: MeasuredModel, current: MeasuredModel | None = None) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for refusal in judge_promotion(candidate, current)[0]:
        told.setdefault(refusal.gate, []).append(refusal.sentence)
    return told


def test_a_good_model_passes_every_gate_with_and_without_a_current_one():
    assert refusals_of(make_model()) == {}
    assert refusals_of(make_model("1.1.0", "bb"), make_model()) == {}


def test_what_cannot_be_judged_is_told():
    _, not_judged = judge_promotion(make_model("1.1.0", "bb"), make_model())
    assert not_judged == (
        "which films change sides and how the probability of each class is distributed: an evaluation holds"
        " counts, not the scores of films.",
        "site profiles are for the current weights: each site is commissioned again.",
    )
    assert judge_promotion(make_model(), None)[1] == ("there is no current version to compare with.",)


def scenario(evaluation: dict, disease: str, name: str = "screening") -> dict:
    return next(
        row for row in evaluation["scenarios"] if (row["scenario"], row["disease"]) == (name, disease)
    )


CASES: list[tuple[str, Change, str]] = [
    ("classes", lambda f, _: f.update(class_names=f["class_names"][::-1]), "its classes are"),
    ("classes", lambda _, e: e.update(classes=["Normal", "Tuberculosis", "Pneumonia"]), "has the classes"),
    ("evaluation", lambda _, e: e["model"].update(weights_sha256="cc"), "is of other weights"),
    ("evaluation", lambda _, e: e["method"].update(fitted_on_test=True), "fitted on the films under test"),
    ("evaluation", lambda _, e: e["method"].pop("fitted_on_test"), "fitted on the films under test"),
    ("evaluation", lambda _, e: e["method"].update(patients_also_in_validation=2), "shares patients"),
    ("evaluation", lambda _, e: e["provenance"].update(split="val"), "which the model has seen"),
    ("safeguards", lambda f, _: f.pop("input_gate"), "carries no input gate"),
    ("safeguards", lambda f, _: f.pop("explanations"), "were not tested"),
    ("safeguards", lambda f, _: f["explanations"]["findings"].pop("Normal"), "maps of Normal were not"),
    ("safeguards", lambda f, _: f["referral"]["rules"].pop(), "nothing about missed Tuberculosis"),
    ("safeguards", lambda f, _: f["referral"].pop("sets"), "no prediction sets"),
    (
        "discrimination",
        lambda _, e: e["discrimination"]["macro"].update(auroc=measure(0.95, 0.899, 0.97)),
        "macro AUROC is 0.950 (0.899 to 0.970); its lower bound must reach 0.9.",
    ),
    (
        "discrimination",
        lambda _, e: e["discrimination"]["macro"].update(auroc=measure(math.nan, math.nan, math.nan)),
        "macro AUROC is not known with an interval",
    ),
    ("discrimination", lambda _, e: e.pop("discrimination"), "macro AUROC is not known"),
    (
        "sensitivity",
        lambda _, e: scenario(e, "Tuberculosis").update(sensitivity=measure(0.85, 0.74, 0.9, films=40)),
        "screening sensitivity for Tuberculosis is 0.850 (0.740 to 0.900); its lower bound must reach 0.75.",
    ),
    (
        "sensitivity",
        lambda _, e: scenario(e, "Tuberculosis").update(sensitivity=measure(1.0, 1.0, 1.0, films=9)),
        "was measured on 9 films; at least 10 are needed",
    ),
    ("sensitivity", lambda _, e: e.pop("scenarios"), "for Pneumonia is not known with an interval"),
    (
        "calibration",
        lambda _, e: e["calibration"]["after"].update(ece=measure(0.08, 0.05, 0.11)),
        "calibration error 0.080 (0.050 to 0.110); its upper bound may be 0.1 at most",
    ),
    ("calibration", lambda _, e: e.pop("calibration"), "is not known with an interval"),
    (
        "subgroups",
        lambda _, e: e["subgroups"][1]["discrimination"].update(sick_vs_normal=measure(0.8, 0.75, 0.83)),
        "source south: AUROC of sick against normal is 0.800 (0.750 to 0.830), in north 0.970",
    ),
]


@pytest.mark.parametrize(("gate", "change", "sentence"), CASES, ids=range(len(CASES)))
def test_each_gate_refuses_what_it_is_for_and_nothing_else_does(gate: str, change: Change, sentence: str):
    told = refusals_of(make_model(change=change))
    assert sentence in " ".join(told.pop(gate))
    assert {"discrimination", "sensitivity", "calibration"} >= told.keys()  # they share what was taken away


def test_every_reason_is_told_at_once():
    def spoil(facts: dict, evaluation: dict) -> None:
        for _, change, _ in (CASES[0], CASES[5], CASES[7], CASES[12], CASES[15], CASES[18], CASES[20]):
            change(facts, evaluation)

    told = refusals_of(make_model(change=spoil))
    assert list(told) == [
        "classes",
        "evaluation",
        "safeguards",
        "discrimination",
        "sensitivity",
        "calibration",
        "subgroups",
    ]


def test_a_bundle_without_what_serving_runs_is_refused():
    model = make_model()
    bare = MeasuredModel(model.name, model.facts, model.evaluations, frozenset({"bundle.json"}))
    assert refusals_of(bare) == {
        "runtime": [
            "it has no model.onnx, which serving needs. Register it again with this hilum.",
            "it has no selftest.safetensors, which serving needs. Register it again with this hilum.",
        ]
    }


def test_a_model_that_was_not_measured_is_refused_by_all_that_ask_for_figures():
    model = make_model()
    bare = MeasuredModel(model.name, model.facts, {}, FILES)
    assert set(refusals_of(bare)) == {"evaluation", "discrimination", "sensitivity", "calibration"}


def test_a_promise_weaker_than_asked_is_told_and_does_not_refuse():
    def weaken(facts: dict, evaluation: dict) -> None:
        facts["referral"]["rules"][1].update(is_as_asked=False, max_miss_rate=0.072)

    refusals, not_judged = judge_promotion(make_model(change=weaken), None)
    assert refusals == ()
    assert (
        "its promise about missed Tuberculosis is weaker than asked: a miss rate of 0.072 at most."
        in not_judged
    )


def test_a_gap_within_the_intervals_does_not_refuse():
    def widen(facts: dict, evaluation: dict) -> None:
        evaluation["subgroups"][1]["discrimination"]["sick_vs_normal"] = measure(0.8, 0.7, 0.85)

    assert refusals_of(make_model(change=widen)) == {}


def test_a_group_without_an_interval_is_told():
    def blank(facts: dict, evaluation: dict) -> None:
        evaluation["subgroups"][1]["discrimination"]["sick_vs_normal"] = measure(None)

    told = judge_promotion(make_model(change=blank), None)[1]
    assert "source south: AUROC is not defined with an interval there." in told


def test_figures_worse_than_the_current_ones_on_the_same_films_are_refused():
    def worsen(facts: dict, evaluation: dict) -> None:
        evaluation["discrimination"]["macro"]["auroc"] = measure(0.97, 0.94, 0.98)
        evaluation["discrimination"]["classes"]["Tuberculosis"]["recall"] = measure(0.9, 0.831, 0.97)
        scenario(evaluation, "Pneumonia")["sensitivity"] = measure(0.9, 0.80, 0.95, films=100)

    told = refusals_of(make_model("1.1.0", "bb", worsen), make_model())
    assert told == {
        "against-current": [
            "macro AUROC on 'test' is 0.970 (0.940 to 0.980), the current version's 0.980 (0.970 to 0.990):"
            " the lower bound may fall by 0.02 at most.",
            "screening sensitivity for Pneumonia on 'test' is 0.900 (0.800 to 0.950), the current version's"
            " 0.950 (0.880 to 0.990): the lower bound may fall by 0.02 at most.",
        ]
    }


def test_a_figure_that_the_current_version_has_must_be_there():
    def hide(facts: dict, evaluation: dict) -> None:
        evaluation["discrimination"]["classes"]["Pneumonia"]["auroc"] = measure(None)

    told = refusals_of(make_model("1.1.0", "bb", hide), make_model())
    assert "AUROC of Pneumonia on 'test' is not known; the current version has" in told["against-current"][0]


def test_films_are_matched_by_what_they_are_and_not_by_the_label():
    current = make_model()
    renamed = MeasuredModel(current.name, current.facts, {"held-out": current.evaluations["test"]}, FILES)
    assert not any("was not on those films" in one for one in judge_promotion(make_model(), renamed)[1])

    def move(facts: dict, evaluation: dict) -> None:
        evaluation["provenance"]["data_sha256"] = "ee"

    refusals, not_judged = judge_promotion(make_model("1.1.0", "bb", move), current)
    assert refusals == ()
    assert any("measured on 'test' and this one was not on those films" in one for one in not_judged)
    assert "score shift: the two versions were not measured on the same films." in not_judged


def test_a_model_that_calls_or_refers_quite_another_share_of_films_is_refused():
    def shift(facts: dict, evaluation: dict) -> None:
        scenario(evaluation, "Tuberculosis")["precision"]["films"] = 190  # 110 of 500 before
        evaluation["promises"]["rules"][0]["referred"] = 330  # 250 of 500 before

    assert refusals_of(make_model("1.1.0", "bb", shift), make_model()) == {
        "score-shift": [
            "Tuberculosis called by screening on 'test': 38.0% of the films, with the current version 22.0%;"
            " a change of 15% points is the most.",
            "sent to a reader to miss at most 5.0% of Pneumonia on 'test': 66.0% of the films, with the"
            " current version 50.0%; a change of 15% points is the most.",
        ]
    }


def test_scores_that_moved_with_cut_offs_that_follow_are_noted_only():
    def move(facts: dict, evaluation: dict) -> None:
        counts = (100, 150, 150, 50, 50)
        evaluation["calibration"]["after"]["bins"] = [{"films": count} for count in counts]

    refusals, not_judged = judge_promotion(make_model("1.1.0", "bb", move), make_model())
    assert refusals == ()
    assert any("cut-offs of the current version cannot be carried over" in one for one in not_judged)


def test_the_stability_index_is_that_of_the_formula():
    assert stability_index([50, 50], [50, 50]) == 0.0
    worked = (0.8 - 0.5) * math.log(0.8 / 0.5) + (0.2 - 0.5) * math.log(0.2 / 0.5)
    assert stability_index([80, 20], [5, 5]) == pytest.approx(worked)
    assert stability_index([1], [1, 2]) is None
    assert stability_index([0, 0], [1, 2]) is None
    assert stability_index([10, 0], [0, 10]) > 10


JUNK = (None, [], {}, "x", -1, math.nan, [None], [[]], [{}], {"test": None}, True)


@pytest.mark.parametrize("key", sorted(make_evaluation()))
@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_junk_in_an_evaluation_is_refused_or_told_and_never_a_trace(key: str, junk: object):
    def spoil(facts: dict, evaluation: dict) -> None:
        evaluation[key] = copy.deepcopy(junk)

    refusals, not_judged = judge_promotion(make_model("1.1.0", "bb", spoil), make_model())
    assert refusals or not_judged
    judge_promotion(make_model(), make_model("1.1.0", "bb", spoil))


@pytest.mark.parametrize("key", ["class_names", "input_gate", "explanations", "referral", "weights_sha256"])
@pytest.mark.parametrize("junk", [*JUNK, {"findings": True, "rules": 3}, {"rules": [{}, 7]}], ids=repr)
def test_junk_in_the_facts_is_refused_or_told_and_never_a_trace(key: str, junk: object):
    def spoil(facts: dict, evaluation: dict) -> None:
        facts[key] = copy.deepcopy(junk)

    judge_promotion(make_model("1.1.0", "bb", spoil), make_model())


def test_all_gates_are_asked_in_one_order():
    assert list(GATES) == [
        "classes",
        "evaluation",
        "stated-use",
        "runtime",
        "safeguards",
        "discrimination",
        "sensitivity",
        "calibration",
        "subgroups",
        "against-current",
        "score-shift",
    ]


def make_pair(split: str, change: Change) -> tuple[MeasuredModel, MeasuredModel]:
    """A candidate and the current version, both measured later on films of a split."""

    def place(facts: dict[str, Any], evaluation: dict[str, Any]) -> None:
        evaluation["provenance"] = {"data_sha256": "ee" * 32, "split": split}

    def place_and_change(facts: dict[str, Any], evaluation: dict[str, Any]) -> None:
        place(facts, evaluation)
        change(facts, evaluation)

    current = make_model()
    later = make_model(change=place).evaluations["test"]
    again = {**current.evaluations, f"test{LATER}": later}
    current = MeasuredModel(current.name, current.facts, again, FILES)
    return make_model("1.1.0", "bb", place_and_change), current


def shift_calls(facts: dict, evaluation: dict) -> None:
    scenario(evaluation, "Tuberculosis")["precision"]["films"] = 190


def lose_pneumonia(facts: dict, evaluation: dict) -> None:
    scenario(evaluation, "Pneumonia")["sensitivity"] = measure(0.9, 0.80, 0.95, films=100)


def test_on_films_that_came_since_another_share_of_calls_is_told_and_does_not_refuse():
    candidate, current = make_pair("external", shift_calls)
    refusals, not_judged = judge_promotion(candidate, current)
    assert refusals == ()
    assert any(one.startswith("Tuberculosis called by screening on 'test': 38.0%") for one in not_judged)


def test_on_the_old_films_measured_again_it_refuses_as_ever():
    candidate, current = make_pair("test", shift_calls)
    assert list(refusals_of(candidate, current)) == ["score-shift"]


@pytest.mark.parametrize("split", ["test", "external"])
def test_a_loss_on_films_measured_again_refuses(split: str):
    candidate, current = make_pair(split, lose_pneumonia)
    assert list(refusals_of(candidate, current)) == ["against-current"]


def with_external(change: Callable[[dict[str, Any]], object], **facts: Any) -> MeasuredModel:
    model = make_model()
    external = make_evaluation("aa")
    external["provenance"]["split"] = "external"
    change(external)
    evaluations = {**model.evaluations, "external": external}
    return MeasuredModel(model.name, {**model.facts, **facts}, evaluations, FILES)


def few_found(evaluation: dict[str, Any]) -> None:
    scenario(evaluation, "Tuberculosis").update(sensitivity=measure(0.055, 0.026, 0.085, films=201))


def test_a_failure_at_another_site_refuses():
    told = refusals_of(with_external(few_found))
    assert told == {
        "sensitivity": [
            "screening sensitivity for Tuberculosis on 'external' is 0.055 (0.026 to 0.085); its lower bound"
            " must reach 0.75."
        ]
    }
    for spoil in (
        lambda e: e["discrimination"]["macro"].update(auroc=measure(0.77, 0.72, 0.81)),
        lambda e: e["calibration"]["after"].update(ece=measure(0.4, 0.35, 0.45)),
        lambda e: e["subgroups"][1]["discrimination"].update(sick_vs_normal=measure(0.8, 0.75, 0.83)),
    ):
        assert len(refusals_of(with_external(spoil))) == 1


def test_a_calibration_that_few_films_of_another_site_leave_open_is_not_judged_there():
    open_ = with_external(lambda e: e["calibration"]["after"].update(ece=measure(0.08, 0.02, 0.13)))
    refusals, not_judged = judge_promotion(open_, None)
    assert refusals == ()
    figure = "calibration error on 'external' 0.080 (0.020 to 0.130)"
    assert f"{figure}: too few films to say whether it is above 0.1." in not_judged


def test_a_class_that_another_site_has_no_films_of_is_not_judged_there():
    none = {"sensitivity": {"value": None, "reason": "none"}}
    model = with_external(lambda e: scenario(e, "Pneumonia").update(none))
    refusals, not_judged = judge_promotion(model, None)
    assert refusals == ()
    assert "screening sensitivity for Pneumonia on 'external' is not known with an interval." in not_judged[0]


def test_a_site_that_the_stated_use_excludes_is_not_judged_and_that_is_told():
    excluded = {"external": "fails in Yakutia", "test": "the first cannot be excluded"}
    model = with_external(few_found, excluded_from_use=excluded)
    refusals, not_judged = judge_promotion(model, None)
    assert refusals == ()
    assert "'external' is excluded from the model's stated use: fails in Yakutia" in not_judged
    bad = with_external(lambda _: None, excluded_from_use=excluded)
    few_found(dict(bad.evaluations)["test"])  # type: ignore[arg-type]
    assert "sensitivity" in refusals_of(bad)
