"""The figures of the robustness report: curves over severity, curves over epsilon, and what a severity is."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hilum.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt_films

Record = Mapping[str, Any]

# Okabe and Ito's palette (2008); a second model is told by its line.
_FIGURES = {
    "accuracy": ("accuracy", "#0072B2"),
    "sick_vs_normal": ("sick/normal AUROC", "#D55E00"),
}
_STYLES = ("-", "--", "-.", ":")
_COLUMNS = 4
_DOTS_PER_INCH = 110
_POINTS = 9


def draw_figures(reports: Sequence[Record], films: NDArray[np.uint8], *, seed: int) -> dict[str, bytes]:
    """Return PNG bytes by file stem, in the order of the page.

    Parameters
    ----------
    films
        uint8 (N, side, side); one of them shows each corruption.
    """
    figures = {"corruptions": draw_corruptions(reports)}
    if any(report["attacks"] for report in reports):
        figures["attacks"] = draw_attacks(reports)
    figures["severities"] = draw_severities(films, seed=seed)
    return {name: _to_png(figure) for name, figure in figures.items()}


def draw_corruptions(reports: Sequence[Record]) -> Figure:
    """Draw one panel per corruption: figures from clean (0) to the heaviest severity, with intervals."""
    rows = -(-len(CORRUPTIONS) // _COLUMNS)
    figure = Figure(figsize=(11.0, 2.3 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (name, corruption) in zip(panels, CORRUPTIONS.items(), strict=False):
        for number, report in enumerate(reports):
            _curves(axes, report["clean"], report["corruptions"][name]["levels"], list(SEVERITIES), number)
        axes.set_title(corruption.title, fontsize=_POINTS + 1, loc="left")
        _clean(axes)
    for axes in panels[len(CORRUPTIONS) :]:
        axes.set_visible(False)
    panels[0].set(xticks=[0, *SEVERITIES], ylim=(0, 1.02))
    figure.supxlabel("Severity (0: the films as they are)", fontsize=_POINTS)
    _legend(figure, panels[0], reports)
    return figure


def draw_attacks(reports: Sequence[Record]) -> Figure:
    """Draw one panel per attack: figures by the largest change of a pixel."""
    attacked = [report for report in reports if report["attacks"]]
    names = list(dict.fromkeys(level["attack"] for level in attacked[0]["attacks"]["levels"]))
    figure = Figure(figsize=(4.0 * len(names), 3.4), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=True):
        for number, report in enumerate(attacked):
            levels = [level for level in report["attacks"]["levels"] if level["attack"] == name]
            _curves(axes, report["attacks"]["clean"], levels, [level["epsilon"] for level in levels], number)
        axes.set_title(name, fontsize=_POINTS + 1, loc="left")
        axes.set_xlabel("Largest change of a pixel (grey levels of 255)", fontsize=_POINTS)
        _clean(axes)
    panels[0].set_ylim(0, 1.02)
    _legend(figure, panels[0], attacked)
    return figure


def draw_severities(films: NDArray[np.uint8], *, seed: int) -> Figure:
    """Draw one film per corruption (rows) as it is and at every severity (columns)."""
    side = films.shape[1]
    strips = []
    for row, name in enumerate(CORRUPTIONS):
        film = films[row * len(films) // len(CORRUPTIONS)][None]
        changed = [corrupt_films(film, name, severity, seed=seed)[0] for severity in SEVERITIES]
        strips.append(np.hstack([film[0], *changed]))  # (side, 6 side)
    figure = Figure(figsize=(8.6, 1.16 * len(CORRUPTIONS)), layout="constrained")
    axes = figure.subplots()
    # One picture of all films: an axis for each of them takes half a minute to lay out.
    axes.imshow(np.vstack(strips), cmap="gray", vmin=0, vmax=255)
    titles = ("as it is", *map(str, SEVERITIES))
    axes.set_xticks((np.arange(len(titles)) + 0.5) * side, titles, fontsize=_POINTS)
    names = [corruption.title for corruption in CORRUPTIONS.values()]
    axes.set_yticks((np.arange(len(names)) + 0.5) * side, names, fontsize=_POINTS)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


def _curves(
    axes: Axes, clean: Record, levels: Sequence[Record], positions: Sequence[float], number: int
) -> None:
    for name, (_, colour) in _FIGURES.items():
        start = clean[name]["value"]
        if start is None:
            continue
        values = [start, *(_number(level["figures"][name]) for level in levels)]
        # The interval is of the fall: what the films share does not widen it.
        low = [start, *(start - _number(level["drops"][name], "high") for level in levels)]
        high = [start, *(start - _number(level["drops"][name], "low") for level in levels)]
        places = [0, *positions]
        axes.plot(places, values, color=colour, linestyle=_STYLES[number % len(_STYLES)], marker=".")
        if number == 0:
            band = np.clip([low, high], 0, 1)
            axes.fill_between(places, *band, color=colour, alpha=0.18, linewidth=0)


def _number(figure: Record, name: str = "value") -> float:
    value = figure.get(name)
    value = figure["value"] if value is None else value  # no interval: nothing changed in any resample
    return float("nan") if value is None else float(value)


def _legend(figure: Figure, axes: Axes, reports: Sequence[Record]) -> None:
    handles = [
        axes.plot(
            [], [], color=colour, linestyle=_STYLES[number % len(_STYLES)], label=f"{title}, {report['name']}"
        )[0]
        for number, report in enumerate(reports)
        for title, colour in _FIGURES.values()
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=len(_FIGURES), fontsize=_POINTS - 1, frameon=False
    )


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e3e3", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=_POINTS - 1)


def _to_png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()
