"""What the audit says: one finding, its severity and its way out.

Knows nothing about how a finding is made: every probe of `hilum.audit` returns a list of these, and the
command line, `audit.json` and `audit.html` print them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hilum.domain.errors import ConfigError

Figure = float | int | str | None


class Severity(StrEnum):
    """How much a finding weighs, worst first.

    A blocker makes figures measured on the data set untrue; a warning makes them doubtful; a note is
    worth knowing.
    """

    BLOCKER = "blocker"
    WARNING = "warning"
    NOTE = "note"


BLOCKERS: Final = (
    "classes-never-in-one-source",
    "exact-duplicate-across-splits",
    "exact-duplicate-other-label",
    "few-films-of-a-class",
    "label-without-lungs",
    "letters-tied-to-class",
    "near-duplicate-across-splits",
    "patient-across-splits",
)
"""Codes of every finding of the audit that can be a blocker: those that `hilum audit --accept` knows."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing found in a data set.

    Parameters
    ----------
    code
        Stable name in kebab-case, such as ``near-duplicate-across-splits``; scripts may rely on it.
    sentence
        What was found, with the value, readable by a stranger.
    advice
        The way out.
    films
        Paths relative to the data root, those worth looking at first.
    figures
        The numbers behind the sentence, plain values by name.
    """

    code: str
    severity: Severity
    sentence: str
    advice: str
    films: tuple[str, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=lambda: MappingProxyType({}))


def worst_first(findings: Iterable[AuditFinding]) -> list[AuditFinding]:
    """Sort by severity, blockers first; within one severity the given order stays."""
    rank = {severity: index for index, severity in enumerate(Severity)}
    return sorted(findings, key=lambda finding: rank[finding.severity])


def has_blocker(findings: Iterable[AuditFinding]) -> bool:
    """Tell whether any finding is a blocker."""
    return any(finding.severity is Severity.BLOCKER for finding in findings)


def check_accepted(accepted: Mapping[str, str]) -> None:
    """Refuse the code of no blocker: a misspelt one would silently accept nothing.

    Raises
    ------
    ConfigError
        If a code is unknown.
    """
    unknown = [repr(code) for code in accepted if code not in BLOCKERS]
    if unknown:
        raise ConfigError(
            f"--accept: no blocker of the audit has the code {', '.join(unknown)}. Blockers are"
            f" {', '.join(BLOCKERS)}. Give one of these as CODE=REASON; hilum audit prints the code behind"
            " each blocker. Warnings and notes need no accepting."
        )


def accept(findings: Sequence[AuditFinding], accepted: Mapping[str, str]) -> list[AuditFinding]:
    """Make accepted blockers into warnings that give the reason, by their code.

    Parameters
    ----------
    accepted
        Code to the reason, which goes into the record.
    """
    unlisted = {finding.code for finding in findings if finding.severity is Severity.BLOCKER} - {*BLOCKERS}
    assert not unlisted, f"blockers that BLOCKERS lacks: {sorted(unlisted)}"
    return [
        replace(
            finding,
            severity=Severity.WARNING,
            sentence=f"{finding.sentence} A blocker, accepted: {accepted[finding.code]}",
            figures={**finding.figures, "accepted": accepted[finding.code]},
        )
        if finding.severity is Severity.BLOCKER and finding.code in accepted
        else finding
        for finding in findings
    ]


def finding_record(finding: AuditFinding) -> dict[str, object]:
    """Return a finding as plain JSON values."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "sentence": finding.sentence,
        "advice": finding.advice,
        "films": list(finding.films),
        "figures": dict(finding.figures),
    }
