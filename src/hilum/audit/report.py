"""Writes an audit: a page for people, JSON for machines, lines for a terminal; files are whole or absent."""

import json
from pathlib import Path

from hilum.audit.outcome import Audit, audit_record
from hilum.audit.page import render_page
from hilum.audit.record import Severity
from hilum.data.ingest import Dataset
from hilum.files import write_atomic

FILMS_NAMED = 3
"""Films named with a finding on the terminal."""


def write_report(audit: Audit, dataset: Dataset) -> None:
    """Write audit.html and audit.json into the audit's folder."""
    _write(audit.folder / "audit.html", render_page(audit, dataset))
    record = json.dumps(audit_record(audit), indent=1, ensure_ascii=False, allow_nan=False)
    _write(audit.folder / "audit.json", record + "\n")  # last, so that its existence proves the rest


def render_text(audit: Audit) -> str:
    """Return the findings as lines for a terminal, worst first."""
    lines = []
    for finding in audit.findings:
        code = f" [{finding.code}]" if finding.severity is Severity.BLOCKER else ""
        lines += [f"{finding.severity.value:<8} {finding.sentence}{code}", f"{'':<8} {finding.advice}"]
        if finding.films:
            more = len(finding.films) - FILMS_NAMED
            named = ", ".join(finding.films[:FILMS_NAMED]) + (f" and {more:,} more" if more > 0 else "")
            lines.append(f"{'':<8} {named}")
    lines += ["", *audit.without_lungs] if audit.without_lungs else []
    counts = ", ".join(f"{audit.count(severity)} {severity.value}s" for severity in Severity)
    lines += [
        "",
        f"{counts}; {audit.inventory.films:,} films, {audit.films_per_second:.0f} a second",
        f"report: {audit.folder / 'audit.html'}",
    ]
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    # A file name need not be valid UTF-8; what is printed of it must be.
    write_atomic(path, text.encode(errors="replace"), durable=True)
