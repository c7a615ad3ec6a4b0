"""The gate on score shift: whether a new version, by its own cut-offs, sends other films to other places.

Scores of two versions are on two scales, so a cut-off of one says nothing about the other. What must stay is
what the cut-offs do: the share of films that each scenario calls and the share that is sent to a reader, each
version with its own (migrated) cut-offs, on the same films. That the scores themselves moved is only noted.
On films that came since the current version was released, and for which it is to be replaced, another share
may be the very point: there it is told and does not refuse; what is missed there refuses in
`hilum.registry.gates`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hilum.domain.thresholds import PROMOTION_MAX_CALLED_SHIFT, PROMOTION_NOTED_PSI
from hilum.registry.gates import Verdict, find_scenario, match_evaluations
from hilum.registry.measured import LATER, MeasuredModel, find_count, list_rows, look_up

_LEAST_SHARE = 1e-4  # of films in a bin: the index is not defined for an empty one
_NEW_FILMS = "external"
_UNSEEN = (
    "which films change sides and how the probability of each class is distributed: an evaluation holds"
    " counts, not the scores of films."
)


def judge_score_shift(candidate: MeasuredModel, current: MeasuredModel | None) -> Verdict:
    """Refuse a version whose own cut-offs call, or refer, quite another share of the same films."""
    if current is None:
        return Verdict()
    refusals: list[str] = []
    not_judged = [_UNSEEN]
    if candidate.facts.get("weights_sha256") != current.facts.get("weights_sha256"):
        not_judged.append("site profiles are for the current weights: each site is commissioned again.")
    pairs = list(match_evaluations(candidate, current))
    if not pairs:
        not_judged.append("score shift: the two versions were not measured on the same films.")
    for label, their_label, ours, theirs in pairs:
        came_since = their_label.endswith(LATER) and look_up(ours, "provenance", "split") == _NEW_FILMS
        for what, new in _shares(ours).items():
            old = _shares(theirs).get(what)
            if old is None:
                not_judged.append(f"{what} on {label!r}: the current version has no such share.")
            elif abs(new - old) > PROMOTION_MAX_CALLED_SHIFT:
                told = (
                    f"{what} on {label!r}: {new:.1%} of the films, with the current version {old:.1%}; a"
                    f" change of {PROMOTION_MAX_CALLED_SHIFT:.0%} points is the most"
                )
                if came_since:
                    not_judged.append(f"{told} on films that it was released with; these came since.")
                else:
                    refusals.append(f"{told}.")
        not_judged += _note_index(label, ours, theirs)
    return Verdict(tuple(refusals), tuple(not_judged))


def stability_index(new: Sequence[int], old: Sequence[int]) -> float | None:
    """Return the population stability index of two histograms with the same bins; 0 is no shift.

    The sum over bins of (p - q) ln(p / q); None when a histogram is empty or the bins differ.
    """
    if len(new) != len(old) or not sum(new) or not sum(old):
        return None
    pairs = [
        (max(p / sum(new), _LEAST_SHARE), max(q / sum(old), _LEAST_SHARE))
        for p, q in zip(new, old, strict=True)
    ]
    return sum((p - q) * math.log(p / q) for p, q in pairs)


def _shares(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Return the share of films that each scenario calls and each promise refers."""
    films = find_count(evaluation, "discrimination", "films")
    shares: dict[str, float] = {}
    for row in list_rows(evaluation, "scenarios"):
        scenario, disease = str(look_up(row, "scenario")), str(look_up(row, "disease"))
        called = find_count(find_scenario(evaluation, scenario, disease), "precision", "films")
        if films and called is not None:
            shares[f"{disease} called by {scenario}"] = called / films
    for kept in list_rows(evaluation, "promises", "rules"):
        referred, asked = find_count(kept, "referred"), find_count(kept, "all_films")
        disease, rate = look_up(kept, "rule", "disease"), look_up(kept, "rule", "max_miss_rate")
        if asked and referred is not None and isinstance(rate, float):
            shares[f"sent to a reader to miss at most {rate:.1%} of {disease}"] = referred / asked
    return shares


def _note_index(label: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    histograms = [
        [find_count(part, "films") or 0 for part in list_rows(one, "calibration", "after", "bins")]
        for one in (ours, theirs)
    ]
    index = stability_index(*histograms)
    if index is None:
        return [f"the shift of confidence on {label!r}: an evaluation has no histogram of it."]
    if index <= PROMOTION_NOTED_PSI:
        return []
    return [
        f"confidence on {label!r} moved (PSI {index:.2f}): cut-offs of the current version cannot be carried"
        " over; those of this bundle are its own."
    ]
