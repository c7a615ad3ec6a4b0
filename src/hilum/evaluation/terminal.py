"""The evaluation as plain text for a terminal: headlines first, then the main tables."""

from hilum.evaluation.discrimination import METRICS
from hilum.evaluation.evaluate import Evaluation
from hilum.evaluation.measure import format_percent, format_score
from hilum.evaluation.record import NOTICE
from hilum.evaluation.summary import find_headlines, summarise


def render_text(evaluation: Evaluation) -> str:
    """Return the findings and the main tables as plain text for a terminal."""
    scores = evaluation.discrimination
    lines = [summarise(evaluation), ""]
    for headline in find_headlines(evaluation):
        lines.append(f"[{headline.severity.word}] {headline.text}")
        if headline.detail:
            lines.append(f"    {headline.detail}")
    rows: list[tuple[str, ...]] = [
        ("Table 13", "Precision", "Sensitivity", "Specificity", "F1", "AUROC", "Films")
    ]
    for row in (*scores.classes, scores.macro, scores.weighted):
        cells = (format_percent(getattr(row, metric), interval=False) for metric in METRICS[:-1])
        rows.append((row.name, *cells, format_score(row.auroc), str(row.support)))
    lines += ["", *_align(rows), f"Accuracy {format_percent(scores.accuracy)}, 95 % intervals in brackets"]
    rows = [("Source", "Films", "Accuracy", "Sick against normal, AUROC", "ECE")]
    rows += [
        (
            group.value,
            str(group.films),
            format_percent(group.discrimination.accuracy),
            format_score(group.discrimination.sick_vs_normal),
            format_score(group.calibration.ece),
        )
        for group in evaluation.sources
    ]
    before, after = (format_score(state.ece) for state in (evaluation.uncalibrated, evaluation.calibrated))
    lines += ["", *_align(rows), ""]
    lines += [f"Temperature {evaluation.temperature.value:.3f}: ECE {before} before, {after} after"]
    rows = [("Table 15", "Cut-off", "Class", "Sensitivity", "Specificity")]
    for point in evaluation.scenarios:
        cutoff = "most probable" if point.cutoff is None else f"{point.cutoff:g}"
        rates = (format_percent(point.sensitivity), format_percent(point.specificity))
        rows.append((point.scenario.value, cutoff, point.disease, *rates))
    for target in evaluation.targets:
        cutoff = "none" if target.cutoff is None else f"{target.cutoff:.4f}"
        rates = (format_percent(target.sensitivity), format_percent(target.specificity))
        rows.append((f"WHO bar: {target.verdict}", cutoff, target.disease, *rates))
    lines += ["", *_align(rows), "", NOTICE]
    return "\n".join(lines)


def _align(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
