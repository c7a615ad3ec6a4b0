"""Commands of trust: robustness, safeguard."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hilum.robustness.model_test import Measures


def robustness(
    data: Annotated[Path, typer.Option("--data", help="Folder of films or CSV.")],
    model: Annotated[
        Path | None, typer.Option(help="Checkpoint or bundle; the shipped model by default.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, val, test or external.")] = "test",
    external: Annotated[
        list[Path] | None, typer.Option(help="Films of another site, folder or CSV; repeatable.")
    ] = None,
    compare: Annotated[Path | None, typer.Option(help="A second model, for the same tables.")] = None,
    films: Annotated[int | None, typer.Option(min=1, help="Test a stratified sample of each set.")] = None,
    attacked: Annotated[int, typer.Option(min=0, help="Films that are attacked; 0 attacks none.")] = 96,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("reports/robustness"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Corrupt, attack and move the films of a model until it fails; exit code 1 when a finding blocks."""
    from hilum.audit.record import has_blocker
    from hilum.registry.scorers import load_model
    from hilum.robustness.model_test import Plan
    from hilum.robustness.run import PAGE_FILE, RESULT_FILE, run_robustness

    models = [load_model(path) for path in ([model, compare] if compare else [model])]
    plan = Plan(split, films, attacked, tuple(external or ()))
    result = run_robustness(models, data, out, plan=plan, measures=evaluation_measures())
    if as_json:
        print((out / RESULT_FILE).read_text(encoding="utf-8"))
    else:
        for finding in result.findings:
            print(f"{finding.severity}: {finding.sentence}")
        print(f"report: {out / PAGE_FILE}")
    if has_blocker(result.findings):
        raise typer.Exit(1)


def evaluation_measures() -> "Measures":
    """Return how the evaluation measures changes, for the robustness test, which cannot import it."""
    from hilum.evaluation.change import measure_change, measure_elsewhere, measure_groups
    from hilum.evaluation.inputs import read_scored_films
    from hilum.evaluation.record import to_plain
    from hilum.robustness.model_test import Measures

    return Measures(
        change=lambda clean, changed: to_plain(  # type: ignore[arg-type,return-value]
            measure_change(read_scored_films(clean), read_scored_films(changed))
        ),
        elsewhere=lambda here, there: to_plain(  # type: ignore[arg-type,return-value]
            measure_elsewhere(read_scored_films(here), read_scored_films(there))
        ),
        groups=lambda table: to_plain(measure_groups(read_scored_films(table))),  # type: ignore[arg-type,return-value]
    )


def safeguard(
    data: Annotated[Path, typer.Option("--data", help="The data set that the model was trained on.")],
    model: Annotated[Path, typer.Option(help="Checkpoint or bundle.")] = Path("models/best_model.pt"),
    out: Annotated[Path, typer.Option(help="Folder of the record.")] = Path("reports/safeguards"),
    right_films: Annotated[
        Path | None,
        typer.Option(
            help="Further upright frontal films that the gate must accept: folder, or CSV of paths."
        ),
    ] = None,
) -> None:
    """Fit a model's input gate and test its maps, for hilum register --safeguards."""
    from hilum.registry.safeguards import run_safeguards
    from hilum.registry.scorers import load_model

    scorer, _ = load_model(model)
    print(f"safeguards: {run_safeguards(scorer, data, out, right_films=right_films)}")


COMMANDS = (robustness, safeguard)
