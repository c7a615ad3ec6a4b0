"""CHANGELOG.md of a registry, written from its history: one section a release, the newest first.

The format is Keep a Changelog. Every release names its data and the figures that moved against the release
before it. The file is a picture of the history: it is written anew, in one step, and edits to it are lost.
Knows nothing about bundles.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hilum.registry.durable import write_durably
from hilum.registry.history import Event
from hilum.registry.versions import parse_name

CHANGELOG_FILE = "CHANGELOG.md"
_HEAD = """# Changelog of the models

Written by hilum from `history.jsonl`; edits are lost. The format is Keep a Changelog; what a version number
means is in `hilum.registry.versions`. Figures stand with their 95 % intervals.
"""
_MOVED = 0.0005  # figures are told with three decimals
_SECTIONS = ("Added", "Changed", "Removed")


def write_changelog(root: Path, events: Sequence[Event]) -> None:
    """Write CHANGELOG.md of a registry where the history says something new."""
    file, content = root / CHANGELOG_FILE, render_changelog(events).encode()
    if not file.exists() or file.read_bytes() != content:
        write_durably(file, content)


def render_changelog(events: Sequence[Event]) -> str:
    """Return the changelog of a history."""
    releases: dict[str, dict[str, list[str]]] = {}
    before: Event | None = None
    for event in events:
        for name, section, line in _describe(event, before):
            parts = releases.setdefault(name, {section: [] for section in _SECTIONS})
            parts[section].append(line)
        before = event if event.kind == "register" else before
    return "\n".join([_HEAD, *(_render(name, parts) for name, parts in reversed(releases.items()))])


def _render(name: str, parts: Mapping[str, list[str]]) -> str:
    told = parse_name(name)
    lines = [f"## [{told.version_text}] {name} - {told.released.isoformat()}", ""]
    for section in _SECTIONS:
        if parts[section]:
            lines += [f"### {section}", "", *(f"- {line}" for line in parts[section]), ""]
    return "\n".join(lines)


def _describe(event: Event, before: Event | None) -> list[tuple[str, str, str]]:
    """Return (bundle, section, line) for an event; `before` is the release before it."""
    who = f"{event.at}, {_escape(event.by)}: {_escape(event.reason)}"
    instead = f" in place of `{event.previous}`" if event.previous else ""
    match event.kind:
        case "register":
            return [
                (event.name, "Added", f"Registered ({who}). {_describe_data(event.details)}"),
                *((event.name, "Added", line) for line in _describe_figures(event, before)),
            ]
        case "promote":
            line = f"Promoted to production{instead} ({who})."
            if event.override:
                refused = " ".join(event.details.get("refusals", ()))
                line += (
                    f" **A refusal was overruled**: {_escape(event.override)}. Refused: {_escape(refused)}"
                )
            return [(event.name, "Changed", line)]
        case "rollback":
            return [(event.name, "Changed", f"Production again{instead} by rollback ({who}).")]
        case "prune":
            return [
                (name, "Removed", f"Removed from the registry ({who}).") for name in event.details["names"]
            ]
        case _:  # a refusal changed nothing
            return []


def _describe_data(details: Mapping[str, Any]) -> str:
    films = details.get("train_films") or {}
    counts = ", ".join(f"{count:,} {name}" for name, count in films.items())
    return f"Data `{str(details.get('data') or 'unknown')[:12]}`" + (f": {counts}." if counts else ".")


def _describe_figures(event: Event, before: Event | None) -> list[str]:
    """Return one line for each evaluation: what moved since the release before, on the same films."""
    lines = []
    films, films_before = event.details.get("films", {}), (before.details if before else {}).get("films", {})
    earlier = before.details.get("figures", {}) if before else {}
    for label, figures in event.details.get("figures", {}).items():
        old = earlier.get(label)
        if old is None or films.get(label) != films_before.get(label) or None in films.get(label, ()):
            told = ", ".join(f"{name} {_format(figure)}" for name, figure in figures.items())
            lines.append(f"Measured on {_escape(label)}: {told or 'no figures'}.")
            continue
        moved = [
            f"{name} {_format(old[name])} to {_format(figure)}"
            for name, figure in figures.items()
            if name in old and abs(figure[0] - old[name][0]) >= _MOVED
        ]
        assert before is not None, "figures to compare with are those of a release"
        told = ", ".join(moved) or "nothing"
        lines.append(f"Moved on {_escape(label)} since `{before.name}`: {told}.")
    return lines


def _format(figure: Sequence[float | None]) -> str:
    value, low, high = figure
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is written."""
    for sign in "\\`*_[]<>":
        text = text.replace(sign, f"\\{sign}")
    return text
