"""Commands of use: predict."""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.notice import NOTICE

if TYPE_CHECKING:
    from hilum.inference.predict import Prediction

_STDIN = "-"
Write = Callable[["Prediction", dict[str, Any], Path | None], None]


def predict(
    paths: Annotated[list[str], typer.Argument(help="Films, folders, or - for a list of paths on stdin.")],
    model: Annotated[
        Path | None, typer.Option(help="Checkpoint or bundle; the shipped model by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
    explain: Annotated[Path | None, typer.Option(help="Folder for heatmap overlays.")] = None,
) -> None:
    """Classify films; a film that cannot be used is reported with its reason and sets exit code 1."""
    from hilum.explain.overlay import save_overlay
    from hilum.inference.predict import find_films, predict_films
    from hilum.registry.bundle import load_model

    scorer, facts = load_model(model)
    if not facts["is_calibrated"]:
        print(
            f"hilum: {facts['name']} is a bare checkpoint: its probabilities are not calibrated",
            file=sys.stderr,
        )
    print(f"hilum: {facts['name']}. {NOTICE}", file=sys.stderr)
    for failure in facts.get("known_failures", ()):
        print(f"hilum: known to fail, {failure}", file=sys.stderr)
    write = _write_json if as_json else _make_csv_writer() if as_csv else _write_text
    films = find_films(_expand(paths))
    unused = 0
    for film in predict_films(films, scorer.score, side_px=scorer.side_px, temperature=facts["temperature"]):
        overlay = None
        if explain is not None and film.cam is not None and film.probabilities is not None:
            title = f"{film.decision} {film.probabilities[str(film.decision)]:.0%}"
            overlay = save_overlay(Path(film.path), film.cam, folder=explain, title=title)
        write(film, facts, overlay)
        unused += film.decision is None
    if unused:
        print(f"hilum: {unused} film(s) could not be used, see their reason", file=sys.stderr)
        raise typer.Exit(1)


def _expand(arguments: list[str]) -> Iterator[Path]:
    for argument in arguments:
        if argument == _STDIN:
            yield from (Path(line) for line in map(str.strip, sys.stdin) if line)
        else:
            yield Path(argument)


def _write_text(film: "Prediction", facts: dict[str, Any], overlay: Path | None) -> None:
    del facts
    if film.probabilities is None:
        print(f"{film.path}: not classified. {film.reason}")
        return
    scores = ", ".join(f"{name} {value:.1%}" for name, value in film.probabilities.items())
    print(f"{film.path}: {film.decision} ({scores})" + (f" heatmap {overlay}" if overlay else ""))


def _write_json(film: "Prediction", facts: dict[str, Any], overlay: Path | None) -> None:
    answer = {
        "path": film.path,
        "probabilities": film.probabilities,
        "decision": film.decision,
        "scenarios": film.scenarios(),
        "reason": film.reason,
        "overlay": str(overlay) if overlay else None,
        "model": facts["name"],
        "temperature": facts["temperature"],
        "is_calibrated": facts["is_calibrated"],
        "notice": NOTICE,
    }
    print(json.dumps(answer), flush=True)


def _make_csv_writer() -> Write:
    rows = csv.writer(sys.stdout)
    rows.writerow(["path", *CLASS_NAMES, "decision", "reason"])

    def write(film: "Prediction", facts: dict[str, Any], overlay: Path | None) -> None:
        del facts, overlay
        probabilities = film.probabilities or {}
        scores = [f"{probabilities[name]:.6f}" if name in probabilities else "" for name in CLASS_NAMES]
        rows.writerow([film.path, *scores, film.decision or "", film.reason])
        sys.stdout.flush()

    return write


COMMANDS = (predict,)
