"""The figures of the evaluation, drawn without global state: confusion, ROC, reliability, histograms.

Every figure is a `Figure`; `to_png` makes bytes of it. Classes differ in colour and in line style, so that
a print in grey and a colour-blind reader tell them apart.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import CALIBRATION_BINS, MIN_FILMS_FOR_CLAIM
from hilum.evaluation.calibration import Calibration
from hilum.evaluation.discrimination import Discrimination
from hilum.evaluation.evaluate import Evaluation
from hilum.evaluation.inputs import BoolArray, FloatArray, ScoredFilms
from hilum.evaluation.measure import format_score
from hilum.evaluation.subgroups import Subgroup

# Okabe and Ito's palette (2008), safe for the common kinds of colour blindness.
CLASS_STYLES: Mapping[str, tuple[str, str]] = {
    Finding.NORMAL.value: ("#0072B2", "-"),
    Finding.PNEUMONIA.value: ("#D55E00", "--"),
    Finding.TUBERCULOSIS.value: ("#6A3D9A", "-."),
}
_SOURCE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#6A3D9A", "#B8860B", "#56B4E9", "#CC79A7", "#444444")
_SOURCE_STYLES = ("-", "--", "-.", ":")
MAX_PANELS = 8
"""Sources drawn; the largest. More do not fit on a page, the tables have them all."""

_SQUARE_SOURCES = (1, 3)  # with the panel of all sources: one row of two, or a square
_DOTS_PER_INCH = 130
_HALF = 0.5  # of a cell's range: from here the number is written in white
_LABEL_POINTS = 9
_PANEL_INCHES = 3.6
_HISTOGRAM_BINS = np.linspace(0, 1, 21)


def draw_figures(evaluation: Evaluation) -> dict[str, Figure]:
    """Return the figures by file stem, in the order of the page."""
    return {
        "confusion_matrix": draw_confusion(evaluation.discrimination),
        "roc_one_vs_rest": draw_roc_by_class(
            evaluation.films, evaluation.probabilities, evaluation.discrimination
        ),
        "roc_by_source": draw_roc_by_source(evaluation.films, evaluation.probabilities, evaluation.sources),
        "reliability": draw_reliability(evaluation.uncalibrated, evaluation.calibrated),
        "probability_histograms": draw_histograms(
            evaluation.films, evaluation.probabilities, evaluation.sources
        ),
    }


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes, the same bytes for the same figure."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    # No metadata: the version of matplotlib must not change the file.
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def draw_confusion(scores: Discrimination) -> Figure:
    """Draw the confusion matrix as counts and as shares of the true class, side by side."""
    counts = np.array(scores.confusion, dtype=float)
    rates = np.array([[np.nan if rate is None else rate for rate in row] for row in scores.confusion_rates])
    figure = Figure(figsize=(9.4, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _matrix(left, rates, [[f"{count:.0f}" for count in row] for row in counts], "Films")
    _matrix(
        right,
        rates,
        [["no films" if np.isnan(rate) else f"{100 * rate:.1f} %" for rate in row] for row in rates],
        "Share of the true class",
    )
    right.set_ylabel("")
    return figure


def draw_roc_by_class(films: ScoredFilms, probabilities: FloatArray, scores: Discrimination) -> Figure:
    """Draw the one-against-the-rest ROC curve of every class that has one."""
    figure = Figure(figsize=(5.8, 5.2), layout="constrained")
    axes = figure.subplots()
    _roc_frame(axes)
    for k, row in enumerate(scores.classes):
        colour, style = CLASS_STYLES[row.name]
        label = f"{row.name}: {format_score(row.auroc)}"
        _curve(axes, films.labels == k, probabilities[:, k], colour=colour, style=style, label=label)
    axes.legend(loc="lower right", fontsize=_LABEL_POINTS, title="AUROC (95 % CI)", framealpha=0.95)
    axes.set_title("Each class against the rest", loc="left")
    return figure


def draw_roc_by_source(films: ScoredFilms, probabilities: FloatArray, sources: Sequence[Subgroup]) -> Figure:
    """Draw sick against normal for all sources in one panel, then each source's classes in its own."""
    shown = sources[:MAX_PANELS]
    columns = 2 if len(shown) in _SQUARE_SOURCES else min(len(shown) + 1, 3)
    rows = -(-(len(shown) + 1) // columns)
    figure = Figure(
        figsize=(_PANEL_INCHES * columns + 0.4, (_PANEL_INCHES + 0.3) * rows), layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    normal = CLASS_NAMES.index(Finding.NORMAL)
    _roc_frame(panels[0])
    panels[0].set_title("Sick against normal, by source", loc="left", fontsize=_LABEL_POINTS + 1)
    for index, (group, axes) in enumerate(zip(shown, panels[1:], strict=False)):
        inside = films.sources == group.value
        labels, scores = films.labels[inside], probabilities[inside]
        _curve(
            panels[0],
            labels != normal,
            -scores[:, normal],
            colour=_SOURCE_COLOURS[index % len(_SOURCE_COLOURS)],
            style=_SOURCE_STYLES[index % len(_SOURCE_STYLES)],
            label=f"{group.value}: {format_score(group.discrimination.sick_vs_normal, interval=False)}",
        )
        _roc_frame(axes)
        axes.set_title(f"{group.value} (n = {group.films})", loc="left", fontsize=_LABEL_POINTS + 1)
        for k, row in enumerate(group.discrimination.classes):
            colour, style = CLASS_STYLES[row.name]
            label = f"{row.name}: {format_score(row.auroc, interval=False)}"
            _curve(axes, labels == k, scores[:, k], colour=colour, style=style, label=label)
        axes.legend(loc="lower right", fontsize=_LABEL_POINTS - 1, title="AUROC", framealpha=0.95)
    panels[0].legend(loc="lower right", fontsize=_LABEL_POINTS - 1, title="AUROC", framealpha=0.95)
    for spare in panels[len(shown) + 1 :]:
        spare.set_axis_off()
    return figure


def draw_reliability(before: Calibration, after: Calibration) -> Figure:
    """Draw reliability before and after temperature scaling, with the films behind every point."""
    figure = Figure(figsize=(9.4, 5.2), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True, height_ratios=(3, 1))
    titles = ("Before temperature scaling", "After temperature scaling")
    for column, (title, calibration) in enumerate(zip(titles, (before, after), strict=True)):
        top, bottom = grid[0][column], grid[1][column]
        filled = [point for point in calibration.bins if point.films]
        centres = [(point.low + point.high) / 2 for point in filled]
        claimed = [point.mean_probability for point in filled]
        observed = [point.observed_rate for point in filled]
        top.plot([0, 1], [0, 1], color="#777777", linewidth=1, linestyle=":", label="perfect")
        top.vlines(claimed, claimed, observed, color="#D55E00", linewidth=3, alpha=0.45, label="gap")
        top.plot(claimed, observed, color="#0072B2", marker="o", linewidth=1.6, label="model")
        sparse = [point for point in filled if point.films < MIN_FILMS_FOR_CLAIM]
        if sparse:
            top.plot(
                [point.mean_probability for point in sparse],
                [point.observed_rate for point in sparse],
                linestyle="none",
                marker="o",
                color="#0072B2",
                markerfacecolor="white",
                label=f"fewer than {MIN_FILMS_FOR_CLAIM} films",
            )
        top.set(xlim=(0, 1.02), ylim=(0, 1.02), ylabel="Share that was right")
        top.set_title(f"{title}: ECE {format_score(calibration.ece)}", loc="left", fontsize=_LABEL_POINTS + 1)
        top.legend(loc="upper left", fontsize=_LABEL_POINTS, framealpha=0.95)
        bottom.bar(
            centres,
            [point.films for point in filled],
            width=0.9 / CALIBRATION_BINS,
            color="#0072B2",
            alpha=0.7,
        )
        bottom.set(xlabel="Probability of the called class", ylabel="Films")
        _clean(top)
        _clean(bottom)
    return figure


def draw_histograms(films: ScoredFilms, probabilities: FloatArray, sources: Sequence[Subgroup]) -> Figure:
    """Draw the probability of each class (columns) in each source (rows), by the true class."""
    shown = sources[:MAX_PANELS]
    figure = Figure(figsize=(10.2, 2.1 * len(shown) + 0.9), layout="constrained")
    grid = figure.subplots(len(shown), len(CLASS_NAMES), squeeze=False, sharex=True, sharey="row")
    for row, group in enumerate(shown):
        inside = films.sources == group.value
        for k, name in enumerate(CLASS_NAMES):
            axes = grid[row][k]
            for true, true_name in enumerate(CLASS_NAMES):
                values = probabilities[inside & (films.labels == true), k]
                colour, style = CLASS_STYLES[true_name]
                if len(values):
                    bins = {"bins": _HISTOGRAM_BINS, "color": colour}
                    axes.hist(values, alpha=0.22, **bins)
                    axes.hist(values, histtype="step", linewidth=1.4, linestyle=style, **bins)
            axes.set_yscale("symlog", linthresh=1)
            axes.set_xlim(0, 1)
            _clean(axes)
            if row == 0:
                axes.set_title(f"P({name})", fontsize=_LABEL_POINTS + 1)
        grid[row][0].set_ylabel(f"{group.value}\nfilms (log)", fontsize=_LABEL_POINTS)
    handles = [
        axes.plot(
            [], [], color=CLASS_STYLES[name][0], linestyle=CLASS_STYLES[name][1], label=f"truly {name}"
        )[0]
        for name in CLASS_NAMES
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(CLASS_NAMES), fontsize=_LABEL_POINTS)
    return figure


def _matrix(axes: Axes, shares: FloatArray, texts: Sequence[Sequence[str]], title: str) -> None:
    axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(CLASS_NAMES))
    axes.set_xticks(ticks, CLASS_NAMES)
    axes.set_yticks(ticks, CLASS_NAMES, rotation=90, va="center")
    axes.set(xlabel="Called by the model", ylabel="True class")
    axes.set_title(title, loc="left", fontsize=_LABEL_POINTS + 2)
    for true in ticks:
        for called in ticks:
            colour = "white" if shares[true, called] > _HALF else "#1a1a1a"
            axes.text(called, true, texts[true][called], ha="center", va="center", color=colour, fontsize=13)
    axes.set_xticks(np.arange(-0.5, len(CLASS_NAMES)), minor=True)
    axes.set_yticks(np.arange(-0.5, len(CLASS_NAMES)), minor=True)
    axes.grid(which="minor", color="#c9d3de", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_color("#c9d3de")


def _roc_frame(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color="#777777", linewidth=1, linestyle=":")
    axes.set(xlim=(-0.01, 1.0), ylim=(0, 1.01), aspect="equal")
    axes.set_xlabel("1 - specificity (false alarms)", fontsize=_LABEL_POINTS)
    axes.set_ylabel("Sensitivity (found)", fontsize=_LABEL_POINTS)
    _clean(axes)


def _curve(
    axes: Axes, positive: BoolArray, scores: FloatArray, *, colour: str, style: str, label: str
) -> None:
    if not positive.any() or positive.all():
        lacking = "no films" if not positive.any() else "no others"
        axes.plot([], [], color=colour, linestyle=style, label=f"{label} ({lacking})")
        return
    false_alarms, found, _ = roc_curve(positive, scores, drop_intermediate=False)
    axes.plot(false_alarms, found, color=colour, linestyle=style, linewidth=1.8, label=label)


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e3e3", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=_LABEL_POINTS - 1)
