"""Writes an evaluation: JSON for machines, one page for people, figures. Each file is whole or absent."""

import json
import os
import tempfile
from pathlib import Path

from hilum.evaluation.evaluate import Evaluation
from hilum.evaluation.figures import draw_figures, to_png
from hilum.evaluation.page import render_page
from hilum.evaluation.record import to_record
from hilum.evaluation.terminal import render_text

__all__ = ["render_text", "write_report"]

_OPEN_MODE = 0o644  # a temporary file is private; a report is for others to read


def write_report(evaluation: Evaluation, out_dir: Path) -> None:
    """Write evaluation.json, evaluation.html and figures/*.png into a folder, each complete or not at all."""
    figures = {name: to_png(figure) for name, figure in draw_figures(evaluation).items()}
    folder = out_dir / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in figures.items():
        _write(folder / f"{name}.png", png)
    record = json.dumps(to_record(evaluation), indent=1, ensure_ascii=False, allow_nan=False)
    _write(out_dir / "evaluation.html", render_page(evaluation, figures).encode())
    # Last, so that its existence proves the rest.
    _write(out_dir / "evaluation.json", (record + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(_OPEN_MODE)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
