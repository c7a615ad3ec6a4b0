"""The block at the head of each runbook: the facts of its alert, kept true by the catalogue.

What to do stands below it, written by hand, and is never touched.
"""

from pathlib import Path

from hilum.domain.errors import ConfigError
from hilum.files import write_atomic
from hilum.monitoring.catalogue import CATALOGUE, AlertKind, Direction, Severity
from hilum.monitoring.prometheus_rules import ESCALATIONS, format_duration, is_of_signal

_BEGIN = "<!-- made by `hilum monitor rules`: what follows is replaced -->"
_END = "<!-- written by hand from here on -->"
_WHO = {
    Severity.PAGE: "the engineer on call, at once",
    Severity.TICKET: "the team, by day",
    Severity.SECURITY: "the security team and the engineer on call, at once",
}
_NEXT = {"lead": "the team lead", "ciso": "the CISO"}


def make_heading(kind: AlertKind) -> str:
    """Return the block of an alert, from its title to the line below which a person writes."""
    side = "above" if kind.direction is Direction.ABOVE else "below"
    steps = "; ".join(
        f"{_NEXT[step.to]} after {format_duration(step.hold_s)}"
        for step in ESCALATIONS
        if kind.severity in step.severities
    )
    hold = f"for {format_duration(kind.hold_s)}" if kind.hold_s else "at once"
    rows = {
        "fires": f"{side} {kind.threshold:g} ({kind.unit}), {hold}",
        "source": kind.source,
        "told": _WHO[kind.severity],
        "if nobody takes it": steps or "it stays with the team, and is repeated daily",
        "signal": _signal(kind),
    }
    table = "\n".join(f"| {name} | {text} |" for name, text in rows.items())
    return (
        f"# {kind.name}\n\n{_BEGIN}\n\n**{kind.title}.** Severity: {kind.severity}.\n"
        f"\n| | |\n|---|---|\n{table}\n\n```\n{kind.promql}\n```\n\n{_END}\n"
    )


def _signal(kind: AlertKind) -> str:
    if kind.signal is None:
        return "none: counted by the service"
    if is_of_signal(kind):
        return f"`{kind.signal}`, judged by hilum"
    return f"`{kind.signal}` on hilum's page; Prometheus counts for itself, over minutes"


def write_headings(folder: Path) -> list[Path]:
    """Bring the block of every runbook up to date and return the pages that changed.

    Raises
    ------
    ConfigError
        An alert has no page, or a page has lost the line that ends its block.
    """
    pages = {folder / kind.runbook: kind for kind in CATALOGUE}
    missing = sorted(path.name for path in pages if not path.exists())
    if missing:
        raise ConfigError(f"{folder}: no page for {', '.join(missing)}: write what to do, below `{_END}`")
    changed = []
    for path, kind in pages.items():
        text = path.read_text(encoding="utf-8")
        advice = read_advice(text, name=path.name)
        if text != (fresh := make_heading(kind) + advice):
            write_atomic(path, fresh)
            changed.append(path)
    return changed


def read_advice(text: str, *, name: str) -> str:
    """Return what a person wrote on a page; raises ConfigError if the block has no end."""
    _, end, advice = text.partition(f"{_END}\n")
    if not end:
        raise ConfigError(f"{name}: the line `{_END}` is missing: what to do must stand below it")
    return advice
