"""Patients in more than one split, from the ids of the table or from a pattern in the file names.

Without ids nothing can be said for certain; candidates recovered from the pictures are the concern of
`hilum.audit.same_patient`. No id ever appears in a finding: films are named instead.
"""

import re
from dataclasses import dataclass

import pandas as pd

from hilum.audit.record import AuditFinding, Severity
from hilum.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LeakageAudit:
    """Patients known, films without one, and patients (and their films) that are in several splits."""

    patients: int
    films_without_patient: int
    shared_patients: int
    shared_films: int


def patients_from_names(films: pd.DataFrame, pattern: str) -> "pd.Series[str]":
    """Return the patient ids, those that are missing read from the path by a regular expression.

    The id is the first group of the pattern, or the whole match where it has none.

    Raises
    ------
    ConfigError
        If the pattern is no regular expression, or matches no path.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"patient pattern {pattern!r} is no regular expression ({error});"
            r" give one such as '(patient\d+)'."
        ) from error
    matches = [expression.search(str(path)) for path in films["path"]]
    if not any(matches):
        raise ConfigError(
            f"patient pattern {pattern!r} matches none of {len(films)} paths, which look like"
            f" {films['path'].iloc[0]!r}. Put the part that names the patient into a group."
        )
    found = [match.group(min(1, expression.groups)) if match else None for match in matches]
    return films["patient_id"].fillna(pd.Series(found, index=films.index, dtype="string"))


def audit_leakage(films: pd.DataFrame) -> tuple[LeakageAudit, list[AuditFinding]]:
    """Find patients that are in more than one split; excluded films count too, as they may come back."""
    known = films[films["patient_id"].notna()]
    splits = known.groupby("patient_id")["split"].nunique()
    shared = known[known["patient_id"].isin(splits.index[splits > 1])].sort_values(["patient_id", "split"])
    audit = LeakageAudit(
        patients=len(splits),
        films_without_patient=len(films) - len(known),
        shared_patients=int((splits > 1).sum()),
        shared_films=len(shared),
    )
    findings = []
    if audit.shared_patients:
        findings.append(
            AuditFinding(
                "patient-across-splits",
                Severity.BLOCKER,
                f"{audit.shared_patients:,} of {audit.patients:,} patients have films in more than one split"
                f" ({audit.shared_films:,} films).",
                "Split by patient: leave the split out of the table and hilum does.",
                films=tuple(shared["path"]),
                figures={"patients": audit.shared_patients, "films": audit.shared_films},
            )
        )
    if audit.films_without_patient:
        findings.append(
            AuditFinding(
                "no-patient-ids",
                Severity.WARNING,
                f"{audit.films_without_patient:,} of {len(films):,} films name no patient: that one is in two"
                " splits cannot be excluded for them.",
                "Add a patient_id column, or give the part of the file name that tells the patient"
                " (--patient-pattern).",
                figures={"films": audit.films_without_patient},
            )
        )
    return audit, findings
