"""What one audit found, as a value and as plain JSON."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from hilum import __version__
from hilum.audit.inventory import Inventory
from hilum.audit.record import AuditFinding, Severity, finding_record
from hilum.domain.notice import NOTICE

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What the audit of one data set found.

    Parameters
    ----------
    findings
        Worst first.
    records
        The figures behind them, by part: quality, duplicates, leakage and each probe.
    without_lungs
        One sentence for each source and contrast: how much of the label is available without the lungs.
    seconds_of
        Time taken, by part.
    data_sha256
        Digest of what would be learned from: content, labels and splits.
    """

    inventory: Inventory
    findings: tuple[AuditFinding, ...]
    records: Mapping[str, object]
    without_lungs: tuple[str, ...]
    seconds_of: Mapping[str, float]
    data_sha256: str
    folder: Path

    @property
    def seconds(self) -> float:
        """Time taken in all, without writing the page."""
        return sum(self.seconds_of.values())

    @property
    def films_per_second(self) -> float:
        """Films audited in a second, reading included."""
        return self.inventory.films / self.seconds

    def count(self, severity: Severity) -> int:
        """Return the number of findings of a severity."""
        return sum(finding.severity is severity for finding in self.findings)


def audit_record(audit: Audit) -> dict[str, object]:
    """Return an audit as plain JSON values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": NOTICE,
        "hilum_version": __version__,
        "data_sha256": audit.data_sha256,
        "films": audit.inventory.films,
        "counts": {severity.value: audit.count(severity) for severity in Severity},
        "findings": [to_plain(finding_record(finding)) for finding in audit.findings],
        "inventory": to_plain(audit.inventory),
        "without_lungs": list(audit.without_lungs),
        **{name: to_plain(record) for name, record in audit.records.items()},
        "seconds": audit.seconds,
        "seconds_of": dict(audit.seconds_of),
        "films_per_second": audit.films_per_second,
    }


def to_plain(value: object) -> object:  # noqa: PLR0911 one line per kind of value
    """Return a value as what JSON knows; a number that is not finite becomes null."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(part) for part in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
