"""Films that cannot be used, or that do not look like an upright frontal chest: suspicions with a name.

Unreadable, undersized and extreme films were excluded when the set was read; the others are still used and
are for a person to look at. Inverted, turned, lateral and foreign pictures are told by their likeness to the
mean film of the set, which needs a set of mostly upright frontal films; a turned film of a symmetric child's
chest, and a lateral film, can be missed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from hilum.audit.inventory import exclusion_kinds
from hilum.audit.measures import FilmMeasures
from hilum.audit.record import AuditFinding, Severity
from hilum.domain import thresholds as limits

TURNS = ("upright", "quarter", "half", "three_quarters")
_FRONTAL_VIEWS = frozenset({"PA", "AP", "FRONTAL", ""})


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """One check: what it is called, how much it weighs, what it says of n films and what to do."""

    code: str
    severity: Severity
    words: str
    advice: str


@dataclass(frozen=True, slots=True)
class QualityAudit:
    """Films found by each check, in the order of the checks: the report's Table 4, longer.

    `unchecked` says why the likeness checks could not be made, where they could not.
    """

    films: Mapping[str, tuple[str, ...]]
    unchecked: str | None = None


EXCLUDED = "The film is left out; export it again, or remove it."
LOOK = "Look at the films; turn, convert or exclude what is wrong."

CHECKS: tuple[QualityCheck, ...] = (
    QualityCheck("unreadable", Severity.WARNING, "cannot be read", EXCLUDED),
    QualityCheck("undersized", Severity.NOTE, f"have a side under {limits.MIN_SIDE_PX} px", EXCLUDED),
    QualityCheck("extreme-aspect", Severity.NOTE, f"are longer than {limits.MAX_ASPECT_RATIO:g}:1", EXCLUDED),
    QualityCheck("blank", Severity.WARNING, "show nothing", "Exclude them: there is no chest to learn from."),
    QualityCheck("saturated", Severity.WARNING, "are clipped to white or black", LOOK),
    QualityCheck("colour", Severity.WARNING, "are in colour, which no radiograph is", LOOK),
    QualityCheck("inverted", Severity.WARNING, "seem to have black and white exchanged", LOOK),
    QualityCheck("rotated", Severity.WARNING, "seem to be turned by a quarter or half turn", LOOK),
    QualityCheck("lateral-suspected", Severity.NOTE, "may be lateral rather than frontal", LOOK),
    QualityCheck("not-a-chest", Severity.WARNING, "look like no chest film", LOOK),
)


def audit_quality(measures: FilmMeasures) -> tuple[QualityAudit, list[AuditFinding]]:
    """Run every check; a film that fails one grey check is not tried on the ones about its likeness."""
    films = measures.table
    kinds = exclusion_kinds(films).fillna("")
    flags: dict[str, pd.Series[bool]] = {
        "unreadable": kinds == "unreadable",
        "undersized": kinds == "undersized",
        "extreme-aspect": kinds == "extreme_aspect",
    }
    used = films["excluded"].isna()
    flags["blank"] = used & (films["spread"] <= limits.BLANK_MAX_SPREAD_GREY)
    flags["saturated"] = (
        used
        & ~flags["blank"]
        & (
            (films["white_share"] >= limits.SATURATED_MIN_WHITE_SHARE)
            | (films["black_share"] >= limits.SATURATED_MIN_BLACK_SHARE)
        )
    )
    flags["colour"] = used & (films["colour_share"] >= limits.COLOUR_MIN_SHARE)
    left = used & ~flags["blank"] & ~flags["saturated"]
    unchecked = None
    if left.sum() < limits.MIN_FILMS_FOR_TYPICAL:
        unchecked = (
            f"{int(left.sum())} films are too few for a mean film; inverted, turned, lateral and foreign"
            f" pictures are looked for from {limits.MIN_FILMS_FOR_TYPICAL}."
        )
        left &= False
    flags |= _judge_likeness(films, left)
    flags["lateral-suspected"] |= left & _is_told_lateral(films)
    found = {check.code: tuple(films["path"][flags[check.code]]) for check in CHECKS}
    audit = QualityAudit(MappingProxyType(found), unchecked)
    return audit, [_finding(check, found[check.code], len(films)) for check in CHECKS if found[check.code]]


def _judge_likeness(films: pd.DataFrame, left: "pd.Series[bool]") -> dict[str, "pd.Series[bool]"]:
    """Sort films by how they resemble the mean film; each gets one name at most."""
    turns = films[list(TURNS)].astype(float)
    best = turns.max(axis=1)
    upright = turns["upright"]
    foreign = left & (
        (np.maximum(best, -turns.min(axis=1)) <= limits.NOT_CHEST_MAX_CORRELATION)
        | (films["entropy_bits"] < limits.FILM_MIN_ENTROPY_BITS)
        | (films["edge_share"] > limits.FILM_MAX_EDGE_SHARE)
        | (films["fine_share"] > limits.FILM_MAX_FINE_SHARE)
    )
    left = left & ~foreign
    inverted = left & (upright <= limits.INVERTED_MAX_CORRELATION) & (-upright > best)
    left = left & ~inverted
    rotated = left & (best >= limits.ROTATED_MIN_CORRELATION) & (best - upright >= limits.ROTATED_MIN_MARGIN)
    left = left & ~rotated
    lateral = (
        left
        & (films["mirror_correlation"] <= limits.LATERAL_MAX_MIRROR_CORRELATION)
        & (upright <= limits.LATERAL_MAX_TYPICAL_CORRELATION)
    )
    return {
        "inverted": inverted,
        "rotated": rotated,
        "not-a-chest": foreign,
        "lateral-suspected": lateral,
    }


def _is_told_lateral(films: pd.DataFrame) -> "pd.Series[bool]":
    """Tell films whose table says a view that is not frontal."""
    view = films["view"].fillna("").astype(str).str.strip().str.upper()
    return ~view.isin(_FRONTAL_VIEWS)


def _finding(check: QualityCheck, paths: tuple[str, ...], films: int) -> AuditFinding:
    return AuditFinding(
        check.code,
        check.severity,
        f"{len(paths):,} of {films:,} films {check.words}.",
        check.advice,
        films=paths,
        figures={"films": len(paths)},
    )
