"""Writes an evaluation: JSON for machines, one page for people, figures. Each file is whole or absent."""

import json
from pathlib import Path

from hilum.evaluation.evaluate import Evaluation
from hilum.evaluation.figures import draw_figures, to_png
from hilum.evaluation.page import render_page
from hilum.evaluation.record import to_record
from hilum.evaluation.terminal import render_text
from hilum.files import write_atomic

__all__ = ["render_text", "write_report"]


def write_report(evaluation: Evaluation, out_dir: Path) -> None:
    """Write evaluation.json, evaluation.html and figures/*.png into a folder, each complete or not at all."""
    figures = {name: to_png(figure) for name, figure in draw_figures(evaluation).items()}
    for name, png in figures.items():
        write_atomic(out_dir / "figures" / f"{name}.png", png, durable=True)
    record = json.dumps(to_record(evaluation), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(out_dir / "evaluation.html", render_page(evaluation, figures), durable=True)
    # Last, so that its existence proves the rest.
    write_atomic(out_dir / "evaluation.json", record + "\n", durable=True)
