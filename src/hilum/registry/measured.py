"""A released model as its own evaluations show it: figures with intervals, safely looked up.

An undefined figure, one that is missing and one that is no finite number are all None: a gate that asks for
it refuses, and never lets a NaN through a comparison. Knows nothing about limits.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.registry.bundle import AGAINST_PREFIX, Bundle

DISEASES = tuple(name for name in CLASS_NAMES if name != Finding.NORMAL)
HEADLINE_FIGURES: dict[str, tuple[str, ...]] = {
    "macro AUROC": ("discrimination", "macro", "auroc"),
    "macro F1": ("discrimination", "macro", "f1"),
    "accuracy": ("discrimination", "accuracy"),
    **{f"{name} sensitivity": ("discrimination", "classes", name, "recall") for name in DISEASES},
    "ECE": ("calibration", "after", "ece"),
}
"""Figures that a changelog tells, by their place in an evaluation."""


LATER = ", measured again"
"""Ends the label of an evaluation that was made after the release."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value in its interval; without one both bounds are None."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredModel:
    """What gates look at.

    `evaluations` maps label to evaluation.json in the order of the bundle: the first one gave the temperature
    and the operating points. `files` are the names in the bundle's folder.
    """

    name: str
    facts: Mapping[str, Any]
    evaluations: Mapping[str, Mapping[str, Any]]
    files: frozenset[str]

    @property
    def first(self) -> Mapping[str, Any] | None:
        """The evaluation that the operating points come from."""
        return next(iter(self.evaluations.values()), None)

    def to_summary(self) -> dict[str, Any]:
        """Return the data version and the headline figures, for the history."""
        provenance = self.facts.get("provenance") or {}
        figures: dict[str, dict[str, list[float | None]]] = {}
        for label, evaluation in self.evaluations.items():
            found = {name: find_figure(evaluation, *place) for name, place in HEADLINE_FIGURES.items()}
            figures[label] = {
                name: [figure.value, figure.low, figure.high] for name, figure in found.items() if figure
            }
        return {
            "data": provenance.get("data"),
            "train_films": provenance.get("train_films"),
            "weights_sha256": self.facts.get("weights_sha256"),
            "figures": figures,
            "films": {label: list(films_of(one)) for label, one in self.evaluations.items()},
        }


def read_measured(bundle: Bundle) -> MeasuredModel:
    """Read the evaluations of a verified bundle.

    Raises
    ------
    CheckpointError
        If one that bundle.json names is missing or unreadable.
    """
    files = frozenset(path.name for path in bundle.folder.iterdir())
    evaluations = {
        label: _read_evaluation(bundle, files, f"evaluation-{label}.json")
        for label in bundle.facts.get("evaluations", ())
    }
    return MeasuredModel(bundle.name, bundle.facts, evaluations, files)


def add_later_figures(current: MeasuredModel, candidate: Bundle) -> MeasuredModel:
    """Return the current version with what was measured of it beside a candidate, on the candidate's films.

    A bundle cannot be added to, so a candidate carries them (`against` in bundle.json); those of another
    version than the current one are left alone.

    Raises
    ------
    CheckpointError
        If one that bundle.json names is missing or unreadable.
    """
    told = look_up(candidate.facts, "against")
    if look_up(told, "weights_sha256") != current.facts.get("weights_sha256"):
        return current
    files = frozenset(path.name for path in candidate.folder.iterdir())
    later = {
        f"{label}{LATER}": _read_evaluation(candidate, files, f"{AGAINST_PREFIX}{label}.json")
        for label in list_rows(told, "evaluations")
    }
    return MeasuredModel(current.name, current.facts, {**current.evaluations, **later}, current.files)


def _read_evaluation(bundle: Bundle, files: frozenset[str], file: str) -> Mapping[str, Any]:
    try:
        if file not in files:  # never a path: a label is not to be trusted before it names a file here
            raise FileNotFoundError
        return {**json.loads((bundle.folder / file).read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{bundle.name}: the evaluation {file!r} cannot be read.") from error


def films_of(evaluation: Mapping[str, Any]) -> tuple[str | int | None, ...]:
    """Return what tells the films of an evaluation: data, split, number; None for what is not known."""
    told = (
        look_up(evaluation, "provenance", "data_sha256"),
        look_up(evaluation, "provenance", "split"),
        look_up(evaluation, "method", "films"),
    )
    return tuple(one if isinstance(one, str | int) else None for one in told)


def look_up(content: object, *place: str) -> Any:
    """Return what lies at a place of nested mappings; None where there is nothing."""
    for key in place:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def list_rows(content: object, *place: str) -> list[Any]:
    """Return the list at a place of an evaluation; an empty one where there is none."""
    rows = look_up(content, *place)
    return rows if isinstance(rows, list) else []


def find_figure(content: object, *place: str) -> Figure | None:
    """Return the figure at a place of an evaluation; None when it is undefined there."""
    measure = look_up(content, *place)
    value = find_number(measure, "value")
    if value is None:
        return None
    return Figure(value, find_number(measure, "low"), find_number(measure, "high"))


def find_number(content: object, *place: str) -> float | None:
    """Return the finite number at a place of an evaluation; None when there is none."""
    value = look_up(content, *place)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def find_count(content: object, *place: str) -> int | None:
    """Return the whole number at a place of an evaluation; None when there is none."""
    value = look_up(content, *place)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
