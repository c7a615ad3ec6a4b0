"""Whether the source, or the way its files were made, already tells the class.

Two classes that no source holds both of cannot be told apart by evidence: every difference between them may
be a difference between hospitals. That blocks claims about the pair, whatever the score. Beyond that: sources
of nearly one class, the class told from the source's name alone, and single facts of the file that tell it.
Bytes per pixel measure compression and how much there is to see, so they are no proof of a shortcut. A
confounder that no column and no fact of the file records is not seen here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from hilum.audit.contrasts import ALL_SOURCES, Contrast, list_contrasts, scopes
from hilum.audit.linear_probe import FloatArray, IntArray, ProbeScore, clustered_auroc, patient_codes
from hilum.audit.probe_features import Films
from hilum.audit.record import AuditFinding, Severity
from hilum.audit.resolution import effective_resolutions
from hilum.data.manifest import UNKNOWN_SOURCE
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import (
    CHANCE_AUROC,
    MAX_RESOLUTION_RATIO,
    NEARLY_PURE_SHARE,
    SHORTCUT_BLOCKER_AUROC,
    SHORTCUT_WARNING_AUROC,
)

EFFECTIVE_RESOLUTION = "effective resolution"

_FILMS_SHOWN = 12
_SEPARATE = "Collect both classes at one source, or claim only sick or normal, measured source by source."


@dataclass(frozen=True, slots=True)
class FactScore:
    """How well one fact of the file tells a class; `is_higher` says that the class has more of it."""

    scope: str
    contrast: str
    fact: str
    is_higher: bool
    score: ProbeScore


@dataclass(frozen=True, slots=True)
class ConfoundingAudit:
    """Films by source and class, and what follows from them.

    Parameters
    ----------
    counts
        Source to class to films.
    never_together
        Class pairs that no source holds both of.
    nearly_pure
        Source to its one class.
    from_source
        Contrast to the AUROC of guessing the class from the name of the source.
    facts
        Single facts of the file, per contrast.
    effective_resolution_px
        Source to the median effective resolution, in pixels of the decoded side.
    """

    counts: Mapping[str, Mapping[str, int]]
    never_together: tuple[tuple[str, str], ...]
    nearly_pure: Mapping[str, str]
    from_source: Mapping[str, ProbeScore]
    facts: tuple[FactScore, ...]
    effective_resolution_px: Mapping[str, float]


def audit_confounding(
    rows: pd.DataFrame, pixels: Films, *, file_bytes: FloatArray | None = None
) -> tuple[ConfoundingAudit, list[AuditFinding]]:
    """Ask whether the class can be told from where a film comes from.

    Parameters
    ----------
    rows
        Usable rows of a manifest, N of them.
    pixels
        uint8 (N, side, side), row for row.
    file_bytes
        Size of each file, float64 (N,), NaN where unknown.
    """
    contrasts, _ = list_contrasts(rows, patient_codes(rows))
    resolutions = effective_resolutions(pixels)
    facts = _single_facts(rows, resolutions, file_bytes)
    counts = _count(rows)
    record = ConfoundingAudit(
        counts=counts,
        never_together=_never_together(counts),
        nearly_pure=_nearly_pure(counts),
        from_source=_from_source(rows, contrasts),
        facts=tuple(
            _score(contrast, fact, values) for contrast in contrasts for fact, values in facts.items()
        ),
        effective_resolution_px={
            scope: float(np.median(resolutions[films]))
            for scope, films in scopes(rows)
            if scope != ALL_SOURCES
        },
    )
    return record, [*_pair_findings(record), *_source_findings(record), *_fact_findings(record, rows, facts)]


def _count(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    table = pd.crosstab(rows["source"], rows["label"]).reindex(columns=list(CLASS_NAMES), fill_value=0)
    return {
        str(source): {str(name): int(number) for name, number in line.items()}
        for source, line in table.to_dict(orient="index").items()
    }


def _never_together(counts: Mapping[str, Mapping[str, int]]) -> tuple[tuple[str, str], ...]:
    present = [name for name in CLASS_NAMES if any(line[name] for line in counts.values())]
    return tuple(
        (first, second)
        for first, second in combinations(present, 2)
        if not any(line[first] and line[second] for line in counts.values())
    )


def _nearly_pure(counts: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    if len(counts) == 1:
        return {}
    largest = {source: max(line, key=line.__getitem__) for source, line in counts.items()}
    return {
        source: name
        for source, name in largest.items()
        if counts[source][name] >= NEARLY_PURE_SHARE * sum(counts[source].values())
    }


def _from_source(rows: pd.DataFrame, contrasts: list[Contrast]) -> dict[str, ProbeScore]:
    """Score each film by the share of the class among the other films of its source."""
    sources = np.unique(rows["source"].to_numpy(dtype=str), return_inverse=True)[1]
    found = {}
    for contrast in contrasts:
        if contrast.scope != ALL_SOURCES:
            continue
        own = contrast.positive.astype(np.float64)
        share = np.bincount(sources, weights=own) / np.bincount(sources)
        found[contrast.name] = clustered_auroc(share[sources], contrast.positive, contrast.patients)
    return found


def _single_facts(
    rows: pd.DataFrame, resolutions: FloatArray, file_bytes: FloatArray | None
) -> dict[str, FloatArray]:
    width, height = (
        rows[name].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        for name in ("width", "height")
    )
    facts = {
        EFFECTIVE_RESOLUTION: resolutions,
        "shorter side": np.minimum(width, height),
        "aspect ratio": width / height,
    }
    if file_bytes is not None:
        facts["bytes per pixel"] = file_bytes / (width * height)
    return {name: _filled(values) for name, values in facts.items()}


def _filled(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    return np.where(known, values, np.median(values[known]) if known.any() else 0.0)


def _score(contrast: Contrast, fact: str, values: FloatArray) -> FactScore:
    chosen = values[contrast.films]
    score = clustered_auroc(chosen, contrast.positive, contrast.patients)
    is_higher = score.auroc >= CHANCE_AUROC
    if not is_higher:
        score = clustered_auroc(-chosen, contrast.positive, contrast.patients)
    return FactScore(contrast.scope, contrast.name, fact, is_higher, score)


def _pair_findings(record: ConfoundingAudit) -> list[AuditFinding]:
    pairs = [
        AuditFinding(
            code="classes-never-in-one-source",
            severity=Severity.BLOCKER,
            sentence=f"No source holds both {first} and {second}: whatever tells them apart here may be the"
            " source. Claims about which of the two a film shows cannot be supported by this data.",
            advice=_SEPARATE,
            figures={"first": first, "second": second},
        )
        for first, second in record.never_together
    ]
    if set(record.counts) == {UNKNOWN_SOURCE}:
        pairs.append(
            AuditFinding(
                code="source-not-told",
                severity=Severity.NOTE,
                sentence="No film says where it comes from: whether that tells the class was not checked.",
                advice="Add a column source (hospital or collection) to sources.csv.",
            )
        )
    return pairs


def _source_findings(record: ConfoundingAudit) -> list[AuditFinding]:
    findings = [
        AuditFinding(
            code="source-of-one-class",
            severity=Severity.WARNING,
            sentence=f"Source {source} is {share:.0%} {name}: a model can learn the source instead.",
            advice="Leave the source out, or add films of the other classes from it.",
            figures={"source": source, "class": name, "share": share},
        )
        for source, name in record.nearly_pure.items()
        for share in [record.counts[source][name] / sum(record.counts[source].values())]
    ]
    told = {name: score for name, score in record.from_source.items() if score.low >= SHORTCUT_WARNING_AUROC}
    if told:
        areas = ", ".join(f"{name} {score.auroc:.2f}" for name, score in told.items())
        findings.append(
            AuditFinding(
                code="class-told-by-source",
                severity=Severity.WARNING,
                sentence=f"The name of the source alone tells the class, AUROC: {areas}.",
                advice="Balance classes inside each source (training.sampling=balanced); report per source.",
                figures={name: score.auroc for name, score in told.items()},
            )
        )
    ordered = sorted(record.effective_resolution_px.items(), key=lambda item: item[1])
    (low_source, low), (high_source, high) = ordered[0], ordered[-1]
    if high > MAX_RESOLUTION_RATIO * low:
        findings.append(
            AuditFinding(
                code="sources-differ-in-resolution",
                severity=Severity.WARNING if told else Severity.NOTE,
                sentence=f"Films of {low_source} are blurred beside the others: effective resolution"
                f" {low:.0f} px against {high:.0f} px ({high_source}), medians.",
                advice="Bring all films to one resolution: preprocessing.effective_resolution.",
                figures={"lowest_px": low, "highest_px": high, "lowest": low_source, "highest": high_source},
            )
        )
    return findings


def _fact_findings(
    record: ConfoundingAudit, rows: pd.DataFrame, facts: Mapping[str, FloatArray]
) -> list[AuditFinding]:
    """Name the best single fact of each contrast where its lower bound is fair discrimination."""
    best: dict[tuple[str, str], FactScore] = {}
    for fact in record.facts:
        key = (fact.scope, fact.contrast)
        if key not in best or fact.score.auroc > best[key].score.auroc:
            best[key] = fact
    findings = []
    for fact in best.values():
        if fact.score.low < SHORTCUT_BLOCKER_AUROC:
            continue
        films = np.arange(len(rows))
        if fact.scope != ALL_SOURCES:
            films = np.flatnonzero(rows["source"].to_numpy(dtype=object) == fact.scope)
        extreme: IntArray = films[np.argsort(facts[fact.fact][films] * (-1 if fact.is_higher else 1))]
        findings.append(
            AuditFinding(
                code="file-fact-tells-class",
                severity=Severity.WARNING,
                sentence=f"{fact.scope}, {fact.contrast}: the {fact.fact} alone tells it, AUROC"
                f" {fact.score.auroc:.2f} ({'higher' if fact.is_higher else 'lower'} means positive).",
                advice="Bring all films to one size, compression and resolution before training and scoring.",
                films=tuple(rows["path"].iloc[extreme[:_FILMS_SHOWN]].astype(str)),
                figures={
                    "scope": fact.scope,
                    "contrast": fact.contrast,
                    "fact": fact.fact,
                    "auroc": fact.score.auroc,
                    "low": fact.score.low,
                },
            )
        )
    return findings
