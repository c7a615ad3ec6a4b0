"""Whether a released model may become production: every gate is asked, and every reason to refuse is told.

A gate is a function of the candidate and the current production model (None when there is none) that returns
a verdict: sentences that refuse, and sentences on what could not be judged. Gates on figures are in
`hilum.registry.gates`. A refusal can be overruled with a reason, which the history keeps; a damaged bundle
never gets as far as a gate.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hilum.domain.findings import CLASS_NAMES
from hilum.registry import gates, score_shift
from hilum.registry.bundle import GRAPH_FILE, SELFTEST_FILE
from hilum.registry.gates import Verdict
from hilum.registry.measured import DISEASES, MeasuredModel, find_number, list_rows, look_up

Gate = Callable[[MeasuredModel, MeasuredModel | None], Verdict]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to promote, and the gate that gave it."""

    gate: str
    sentence: str


@dataclass(frozen=True, slots=True)
class PromotionResult:
    """What became of a promotion.

    `refusals` are there even when an override overruled them. `previous` was production before. `not_judged`
    says what no gate could see.
    """

    name: str
    promoted: bool
    previous: str | None
    refusals: tuple[Refusal, ...]
    not_judged: tuple[str, ...]
    override: str | None = None


def judge_promotion(
    candidate: MeasuredModel, current: MeasuredModel | None
) -> tuple[tuple[Refusal, ...], tuple[str, ...]]:
    """Ask every gate; return every refusal, and every sentence on what could not be judged."""
    refusals: list[Refusal] = []
    not_judged: list[str] = []
    for name, gate in GATES.items():
        verdict = gate(candidate, current)
        refusals += [Refusal(name, sentence) for sentence in verdict.refusals]
        not_judged += verdict.not_judged
    return tuple(refusals), tuple(not_judged)


def judge_classes(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse other classes or another order, in the bundle or in an evaluation."""
    del current
    expected = list(CLASS_NAMES)
    refusals = []
    if candidate.facts.get("class_names") != expected:
        refusals.append(f"its classes are {candidate.facts.get('class_names')}; expected {expected}.")
    refusals += [
        f"the evaluation {label!r} has the classes {evaluation.get('classes')}; expected {expected}."
        for label, evaluation in candidate.evaluations.items()
        if evaluation.get("classes") != expected
    ]
    return Verdict(tuple(refusals))


def judge_evaluation(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse a model that was not measured, or not on films that it had never seen."""
    del current
    if candidate.first is None:
        return Verdict(("it carries no evaluation. Run `hilum evaluate` and register it again.",))
    refusals = []
    for label, evaluation in candidate.evaluations.items():
        if look_up(evaluation, "model", "weights_sha256") != candidate.facts.get("weights_sha256"):
            refusals.append(f"the evaluation {label!r} is of other weights.")
        if look_up(evaluation, "method", "fitted_on_test") is not False:
            refusals.append(f"in the evaluation {label!r} cut-offs were fitted on the films under test.")
        if look_up(evaluation, "method", "patients_also_in_validation"):
            refusals.append(f"the evaluation {label!r} shares patients with the validation films.")
        split = look_up(evaluation, "provenance", "split")
        if split in {"train", "val"}:
            refusals.append(f"the evaluation {label!r} is on the {split} films, which the model has seen.")
    return Verdict(tuple(refusals))


def judge_runtime(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse a bundle that the service cannot run, or whose answers it cannot check when it starts."""
    del current
    missing = [name for name in (GRAPH_FILE, SELFTEST_FILE) if name not in candidate.files]
    return Verdict(
        tuple(
            f"it has no {name}, which serving needs. Register it again with this hilum." for name in missing
        )
    )


def judge_safeguards(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse a model that answers for anything, shows untested maps or promises nothing about misses."""
    del current
    refusals = []
    if not candidate.facts.get("input_gate"):
        refusals.append("it carries no input gate. Register it with --safeguards.")
    findings = look_up(candidate.facts, "explanations", "findings")
    untested = [name for name in CLASS_NAMES if not look_up(findings, name)]
    if untested:
        refusals.append(f"its maps of {', '.join(untested)} were not tested. Register it with --safeguards.")
    rules = list_rows(candidate.facts, "referral", "rules")
    ruled = [look_up(rule, "disease") for rule in rules]
    for disease in DISEASES:
        if disease not in ruled:
            refusals.append(f"it promises nothing about missed {disease}. Evaluate it with more films.")
    if not look_up(candidate.facts, "referral", "sets"):
        refusals.append("it carries no prediction sets. Evaluate it with this hilum.")
    weaker = tuple(
        f"its promise about missed {look_up(rule, 'disease')} is weaker than asked: a miss rate of"
        f" {find_number(rule, 'max_miss_rate') or 1:.3f} at most."
        for rule in rules
        if look_up(rule, "is_as_asked") is False
    )
    return Verdict(tuple(refusals), weaker)


GATES: dict[str, Gate] = {
    "classes": judge_classes,
    "evaluation": judge_evaluation,
    "stated-use": gates.judge_stated_use,
    "runtime": judge_runtime,
    "safeguards": judge_safeguards,
    "discrimination": gates.judge_discrimination,
    "sensitivity": gates.judge_sensitivity,
    "calibration": gates.judge_calibration,
    "subgroups": gates.judge_subgroups,
    "against-current": gates.judge_against_current,
    "score-shift": score_shift.judge_score_shift,
}
