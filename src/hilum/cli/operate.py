"""Commands of use: predict."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

STDIN = Path("-")


def predict(
    paths: Annotated[list[Path], typer.Argument(help="Films, folders, or - for a list of paths on stdin.")],
    model: Annotated[Path | None, typer.Option(help="Checkpoint or bundle; the shipped model by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
    explain: Annotated[Path | None, typer.Option(help="Folder for heatmap overlays.")] = None,
) -> None:
    """Classify films; a film that cannot be used is reported with its reason and sets exit code 1."""
    from hilum.explain.overlay import save_overlay
    from hilum.inference.predict import Prediction, find_films, predict_films
    from hilum.registry.bundle import load_model

    scorer, facts = load_model(model)
    if not facts["is_calibrated"]:
        print(f"hilum: {facts['name']} is a bare checkpoint: probabilities are not calibrated", file=sys.stderr)
    write = _write_json if as_json else _make_csv_writer() if as_csv else _write_text
    failed = 0
    films = find_films(_expand(paths))
    for prediction in predict_films(
        films, scorer.score, side_px=scorer.side_px, temperature=facts["temperature"]
    ):
        overlay = save_overlay(prediction, explain) if explain is not None else None
        write(prediction, facts, overlay)
        failed += prediction.decision is None
    if failed:
        print(f"hilum: {failed} film(s) could not be used", file=sys.stderr)
        raise typer.Exit(1)


COMMANDS = (predict,)
