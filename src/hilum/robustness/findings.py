"""What a reader must know first: the weaknesses of a model, worst first, in plain words with their size.

Works on the plain record that `model_test` makes. A fall counts by the end of its interval that is nearer to
nothing, so that chance makes no finding.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from hilum.audit.record import AuditFinding, Severity, worst_first
from hilum.domain.thresholds import (
    BLOCKING_DROP,
    INVISIBLE_EPSILON_GREY,
    MAX_CLASS_ERROR_RATE,
    MILD_SEVERITY,
    MODERATE_SEVERITY,
    WARNING_DROP,
)
from hilum.robustness.corruptions import SEVERITIES

Record = Mapping[str, Any]

NAMES: Mapping[str, str] = {
    "accuracy": "accuracy",
    "macro_auroc": "macro AUROC",
    "sick_vs_normal": "sick/normal AUROC",
    "recall_Normal": "specificity (Normal called Normal)",
    "recall_Pneumonia": "sensitivity for Pneumonia",
    "recall_Tuberculosis": "sensitivity for Tuberculosis",
}
"""Figures as they are called in a sentence, by their name in the record."""

RECALLS = tuple(name for name in NAMES if name.startswith("recall_"))
_OVERALL = ("accuracy", "sick_vs_normal")


def find_weaknesses(report: Record) -> list[AuditFinding]:
    """Return the findings of one model's report, blockers first, within a severity the largest fall first."""
    found = [
        *_external(report),
        *_corruptions(report),
        *_attacks(report),
        *_groups(report),
        *_unknown(report),
    ]
    found.sort(key=lambda finding: -float(finding.figures.get("drop") or 0.0))
    return worst_first(found)


def describe_drop(name: str, drop: Record, after: Record) -> str:
    """Return one fall as a sentence has it: `accuracy falls by 0.21 (0.17 to 0.25), to 0.71`."""
    size = f"{drop['value']:.2f} ({drop['low']:.2f} to {drop['high']:.2f})"
    return f"{NAMES[name]} falls by {size}, to {after['value']:.2f}"


def _corruptions(report: Record) -> Iterator[AuditFinding]:
    for name, corruption in report["corruptions"].items():
        judged = []
        for level in corruption["levels"]:
            figure = _largest(level["drops"], tuple(NAMES))
            if figure is None:
                continue
            severity = _weigh(
                level["drops"][figure]["low"],
                may_block=level["severity"] <= MILD_SEVERITY,
                may_warn=level["severity"] <= MODERATE_SEVERITY,
            )
            judged.append((list(Severity).index(severity), -level["severity"], figure, level, severity))
        if not judged:
            continue
        # Of the levels that weigh most the strongest allowed for that weight is shown: the largest fall.
        _, _, figure, level, severity = min(judged, key=lambda item: item[:2])
        yield AuditFinding(
            code=f"corruption-{name.replace('_', '-')}",
            severity=severity,
            sentence=f"{corruption['title']}, {level['setting']}"
            f" (severity {level['severity']} of {SEVERITIES[-1]}): "
            f"{_sentence(level, figure)}; {100 * level['flipped']['value']:.0f} % of answers change.",
            advice="Refuse such films at the door, or train with this change among the augmentations.",
            figures=_numbers(level["drops"][figure], figure) | {"level": level["severity"]},
        )


def _attacks(report: Record) -> Iterator[AuditFinding]:
    for attack in dict.fromkeys(level["attack"] for level in (report["attacks"] or {"levels": []})["levels"]):
        levels = [level for level in report["attacks"]["levels"] if level["attack"] == attack]
        invisible = [level for level in levels if level["epsilon"] <= INVISIBLE_EPSILON_GREY]
        level = (invisible or levels)[-1]
        if level["drops"]["accuracy"]["value"] is None:
            yield AuditFinding(
                code="attacks-without-claim",
                severity=Severity.NOTE,
                sentence=f"{attack}: {level['drops']['accuracy']['reason']}.",
                advice="Attack more films (--attacked).",
            )
            continue
        figure = _largest(level["drops"], _OVERALL)
        if figure is None:
            continue
        severity = _weigh(level["drops"][figure]["low"], may_block=False, may_warn=bool(invisible))
        yield AuditFinding(
            code=f"attack-{attack.lower()}",
            severity=severity,
            sentence=f"{attack} with at most {level['epsilon']:g} of 255 grey levels a pixel, on"
            f" {report['attacks']['films']} films: {_sentence(level, figure)}.",
            advice="Whoever can write pixels and knows the weights decides the answer: keep films on a path"
            " that cannot be written to between the detector and hilum.",
            figures=_numbers(level["drops"][figure], figure) | {"epsilon": level["epsilon"]},
        )


def _external(report: Record) -> Iterator[AuditFinding]:
    for site in report["external"]:
        if site["seen"]:
            yield AuditFinding(
                code="external-films-seen",
                severity=Severity.BLOCKER,
                sentence=f"{site['name']}: {site['seen']} of {site['films']} films are also among the data"
                " that the model is tested beside.",
                advice="Take them out: a site is new only if the model has seen none of it.",
                figures={"films": site["seen"]},
            )
        figure = _largest(site["drops"], tuple(NAMES))
        yield from _failing_classes(site, told=figure)
        if figure is None:
            yield AuditFinding(
                code="external-holds",
                severity=Severity.NOTE,
                sentence=f"{site['name']}: no figure falls beyond chance on its {site['films']} films.",
                advice="More films narrow the intervals.",
            )
            continue
        severity = _weigh(site["drops"][figure]["low"], may_block=True, may_warn=True)
        yield AuditFinding(
            code="external-drop",
            severity=severity,
            sentence=f"At {site['name']} ({site['films']} films the model has never seen): "
            f"{_sentence(site, figure, also=('sick_vs_normal',))}.",
            advice="Commission the site: fit a threshold on its own films before any answer is used.",
            figures=_numbers(site["drops"][figure], figure),
        )


def _failing_classes(site: Record, *, told: str | None) -> Iterator[AuditFinding]:
    """Yield the classes that go unrecognised at a site, whatever they did before."""
    for name in RECALLS:
        recall = site["figures"][name]
        if name == told or recall.get("high") is None or recall["high"] >= 1 - MAX_CLASS_ERROR_RATE:
            continue
        yield AuditFinding(
            code="external-class-fails",
            severity=Severity.BLOCKER,
            sentence=f"At {site['name']}: {NAMES[name]} is {recall['value']:.2f} ({recall['low']:.2f} to"
            f" {recall['high']:.2f}).",
            advice="Do not use the most probable class there; commission the site.",
            figures={"figure": name, "drop": 1 - recall["value"], "value": recall["value"]},
        )


def _groups(report: Record) -> Iterator[AuditFinding]:
    whole = report["clean"]["sick_vs_normal"]["value"]
    silent = []
    for group in report["groups"]:
        area = group["figures"]["sick_vs_normal"]
        name = f"{group['column'].replace('_', ' ')} {group['value']}"
        if area["value"] is None:
            silent.append(f"{name}: {area['reason']}")
        elif whole is not None and area.get("high") is not None and whole - area["high"] > 0:
            yield AuditFinding(
                code="weak-group",
                severity=Severity.WARNING if whole - area["high"] > WARNING_DROP else Severity.NOTE,
                sentence=f"{name} ({group['films']} films): sick/normal AUROC {area['value']:.2f}"
                f" ({area['low']:.2f} to {area['high']:.2f}), {whole:.2f} over all films.",
                advice="Say so where the model is used for this group.",
                figures={"drop": whole - area["value"], "films": group["films"]},
            )
    if silent:
        yield AuditFinding(
            code="groups-without-claim",
            severity=Severity.NOTE,
            sentence=f"No sick/normal claim for {len(silent)} group(s): {'; '.join(silent)}.",
            advice="Test with more films of these groups.",
        )


def _unknown(report: Record) -> Iterator[AuditFinding]:
    if report["unknown_columns"]:
        yield AuditFinding(
            code="groups-not-told",
            severity=Severity.NOTE,
            sentence=f"The table of films does not tell {', '.join(report['unknown_columns'])}: whether the"
            " model fails a group of them is not known.",
            advice="Add the columns to sources.csv.",
        )


def _largest(drops: Record, names: tuple[str, ...]) -> str | None:
    """Return the figure whose fall is surest to be large; None if none falls beyond chance."""
    sure = {name: drops[name]["low"] for name in names if drops[name].get("low") is not None}
    best = max(sure, key=lambda name: sure[name], default=None)
    return best if best is not None and sure[best] > 0 else None


def _weigh(low: float, *, may_block: bool, may_warn: bool) -> Severity:
    if may_block and low > BLOCKING_DROP:
        return Severity.BLOCKER
    return Severity.WARNING if may_warn and low > WARNING_DROP else Severity.NOTE


def _sentence(level: Record, figure: str, also: tuple[str, ...] = ("accuracy",)) -> str:
    parts = [describe_drop(figure, level["drops"][figure], level["figures"][figure])]
    parts += [
        describe_drop(name, level["drops"][name], level["figures"][name])
        for name in also
        if name != figure and level["drops"][name].get("low") is not None
    ]
    return "; ".join(parts)


def _numbers(drop: Record, figure: str) -> dict[str, Any]:
    return {"figure": figure, "drop": drop["value"], "low": drop["low"], "high": drop["high"]}
