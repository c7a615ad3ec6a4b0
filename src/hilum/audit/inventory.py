"""What a data set holds: the report's Tables 1 to 4, resolutions, class balance by split and by source.

Every film found is counted, also those that were excluded: a table made after the exclusion would hide what
was excluded. Its tables are checked against each other. Knows nothing about what the films show.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from hilum.audit.record import AuditFinding, Severity
from hilum.audit.stated_tables import Spread, StatedTables, find_contradictions
from hilum.data.manifest import SPLITS
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import (
    IMBALANCE_WARNING_RATIO,
    MAX_SPLIT_SHARE_DIFFERENCE,
    MIN_FILMS_FOR_CLAIM,
    MIN_SIDE_PX,
)

_RESOLUTIONS_SHOWN = 10
_PERCENT = 100

Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Inventory:
    """The tables of a data set.

    Parameters
    ----------
    by_split, by_source
        Films by class, then by split or source (Table 2).
    excluded
        Films by the check that excluded them (Table 4): unreadable, undersized, extreme aspect.
    width, height, aspect
        Of all readable films (Table 3); None when there is none.
    resolutions
        The commonest sizes, "512x512" to films, and how many different ones there are.
    formats
        Films by file format.
    patients
        Different patient ids, and films without one.
    """

    films: int
    by_split: Counts
    by_source: Counts
    excluded: Mapping[str, int]
    width: Spread | None
    height: Spread | None
    aspect: Spread | None
    resolutions: Mapping[str, int]
    unique_resolutions: int
    formats: Mapping[str, int]
    patients: int
    films_without_patient: int
    imbalance_ratio: float


def take_inventory(films: pd.DataFrame) -> Inventory:
    """Count a data set: `films` is the table of `FilmMeasures`, excluded films included."""
    readable = films[films["width"].notna()]
    width, height = readable["width"].astype(float), readable["height"].astype(float)
    sizes = readable["width"].astype(str) + "x" + readable["height"].astype(str)
    by_split = _count(films, "split", [name for name in SPLITS if (films["split"] == name).any()])
    totals = [sum(row.values()) for row in by_split.values()]
    return Inventory(
        films=len(films),
        by_split=by_split,
        by_source=_count(films, "source", sorted(films["source"].unique())),
        excluded=_count_excluded(films),
        width=_spread(width),
        height=_spread(height),
        aspect=_spread(width / height),
        resolutions={str(size): int(n) for size, n in sizes.value_counts().head(_RESOLUTIONS_SHOWN).items()},
        unique_resolutions=int(sizes.nunique()),
        formats={str(name): int(n) for name, n in films["format"].value_counts().items()},
        patients=int(films["patient_id"].nunique()),
        films_without_patient=int(films["patient_id"].isna().sum()),
        imbalance_ratio=max(totals) / min(totals),
    )


def state_tables(inventory: Inventory) -> StatedTables:
    """Return an inventory as tables that can be checked against each other."""
    totals = {name: sum(row.values()) for name, row in inventory.by_split.items()}
    splits = {split: sum(row.get(split, 0) for row in inventory.by_split.values()) for split in SPLITS}
    passed = inventory.films - sum(inventory.excluded.values())
    return StatedTables(
        counts=inventory.by_split,
        class_totals={name: sum(row.values()) for name, row in inventory.by_source.items()},
        split_totals={split: count for split, count in splits.items() if count},
        total=inventory.films,
        percents={name: _PERCENT * count / inventory.films for name, count in totals.items()},
        imbalance_ratio=inventory.imbalance_ratio,
        width=inventory.width,
        height=inventory.height,
        aspect=inventory.aspect,
        unreadable=inventory.excluded["unreadable"],
        undersized=inventory.excluded["undersized"],
        extreme_aspect=inventory.excluded["extreme_aspect"],
        passed=passed,
        passed_percent=_PERCENT * passed / inventory.films,
    )


def judge_inventory(inventory: Inventory) -> list[AuditFinding]:
    """Return what is wrong with the make-up of a data set, and with its own tables."""
    return [
        *(
            AuditFinding(
                "tables-disagree", Severity.WARNING, sentence, "Find out which of the two tables is wrong."
            )
            for sentence in find_contradictions(state_tables(inventory))
        ),
        *_missing_classes(inventory.by_split),
        *_unlike_splits(inventory.by_split),
        *_imbalance(inventory),
    ]


def exclusion_kinds(films: pd.DataFrame) -> "pd.Series[str]":
    """Name the check that excluded each film, from its size; missing where the film is used."""
    short = films[["width", "height"]].min(axis=1)
    kinds = pd.Series("extreme_aspect", index=films.index, dtype="string")
    kinds = kinds.mask((short < MIN_SIDE_PX).fillna(False), "undersized").mask(short.isna(), "unreadable")
    return kinds.mask(films["excluded"].isna())


def _count(films: pd.DataFrame, column: str, names: list[str]) -> dict[str, dict[str, int]]:
    counts = films.groupby(["label", column]).size().to_dict()
    present = [name for name in CLASS_NAMES if (films["label"] == name).any()]
    return {label: {name: int(counts.get((label, name), 0)) for name in names} for label in present}


def _count_excluded(films: pd.DataFrame) -> dict[str, int]:
    kinds = exclusion_kinds(films)
    return {kind: int((kinds == kind).sum()) for kind in ("unreadable", "undersized", "extreme_aspect")}


def _spread(values: pd.Series) -> Spread | None:
    if values.empty:
        return None
    return Spread(
        minimum=float(values.min()),
        maximum=float(values.max()),
        mean=float(values.mean()),
        deviation=float(values.std(ddof=0)),
        median=float(values.median()),
    )


def _missing_classes(by_split: Counts) -> list[AuditFinding]:
    """Name the splits with too few films of a class; an external site may lack one and its page says so."""
    findings = []
    splits = dict.fromkeys(split for row in by_split.values() for split in row if split != "external")
    for split in splits:
        few = {label: row[split] for label, row in by_split.items() if row[split] < MIN_FILMS_FOR_CLAIM}
        if not few:
            continue
        lacks = min(few.values()) == 0
        severity = Severity.WARNING if lacks else Severity.NOTE
        counts = ", ".join(f"{count} of {label}" for label, count in few.items())
        findings.append(
            AuditFinding(
                "few-films-of-a-class",
                Severity.BLOCKER if lacks and split == "train" else severity,
                f"The split {split} holds {counts}; under {MIN_FILMS_FOR_CLAIM} films no rate is a finding.",
                f"Add films to {split}, or split anew.",
                figures={"split": split, **few},
            )
        )
    return findings


def _unlike_splits(by_split: Counts) -> list[AuditFinding]:
    splits = {split for row in by_split.values() for split in row}
    totals = {split: sum(row[split] for row in by_split.values()) for split in splits}
    findings = []
    for split in sorted(splits - {"train", "external"}):
        for label, row in by_split.items():
            if not totals.get("train"):
                continue
            here, there = row[split] / totals[split], row["train"] / totals["train"]
            if abs(here - there) > MAX_SPLIT_SHARE_DIFFERENCE:
                findings.append(
                    AuditFinding(
                        "splits-unlike",
                        Severity.WARNING,
                        f"{label} makes up {here:.0%} of {split} but {there:.0%} of train.",
                        "Split anew, stratified by class, or say which prevalence the figures are for.",
                        figures={"class": label, "split": split, "share": here, "train_share": there},
                    )
                )
    return findings


def _imbalance(inventory: Inventory) -> list[AuditFinding]:
    ratio = inventory.imbalance_ratio
    if ratio < IMBALANCE_WARNING_RATIO:
        return []
    return [
        AuditFinding(
            "class-imbalance",
            Severity.WARNING,
            f"The largest class has {ratio:.2f} times the films of the smallest.",
            "Keep class weights or balanced sampling on, and read the figures of every class.",
            figures={"imbalance_ratio": ratio},
        )
    ]
