"""Commands of the experiment: train, tune, evaluate, register."""

import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.files import write_atomic

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from hilum.robustness.leave_one_out import BenchMeasures

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML file; the report's values by default.")
]
DataOption = Annotated[Path, typer.Option("--data", help="Folder of films or CSV.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeatable.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def train(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder for models/ and reports/.")] = Path(),
    config: ConfigOption = None,
    settings: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run was interrupted.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier; keeps the epoch with the best validation macro F1."""
    from hilum.config.load import load_config
    from hilum.training.run import run_training

    result = run_training(load_config(config, overrides=settings or ()), data, out, resume=resume)
    facts = {
        "best_model": str(result.folder.best_model),
        "best_epoch": result.best_epoch,
        "best_val_f1": result.best_val_f1,
        "epochs": result.epochs,
        "stopping": list(result.reasons),
        "weights_sha256": result.weights_sha256,
        "curves": str(result.folder.curves),
    }
    _print_facts(facts, as_json=as_json)


def tune(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder for trials and the study's plot.")] = Path("tuning"),
    config: ConfigOption = None,
    settings: SetOption = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials that this worker adds.")] = 20,
    storage: Annotated[
        str | None,
        typer.Option(help="Shared study: a database URL or a journal file; OUT/study.log by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search the space of the report's Table 11; workers that name one storage share the study."""
    from hilum.config.load import load_config
    from hilum.training.tune import run_search

    result = run_search(
        load_config(config, overrides=settings or ()), data, out, trials=trials, storage=storage
    )
    _print_facts(result.to_facts(), as_json=as_json)


def leave_one_out(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder for the folds.")] = Path("leave-one-out"),
    config: ConfigOption = None,
    settings: SetOption = None,
    external: Annotated[
        list[Path] | None,
        typer.Option(help="Films of another site, folder or CSV; repeatable. Each look is counted."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train without each source and measure it as a new site; then with all, under counterfactuals."""
    from hilum.config.load import load_config
    from hilum.robustness.bench_page import PAGE_FILE, render_bench
    from hilum.robustness.leave_one_out import run_leave_one_out
    from hilum.training.run import run_training

    result = run_leave_one_out(
        load_config(config, overrides=settings or ()),
        data,
        out,
        train=lambda fold, table, folder: run_training(fold, table, folder, resume=True).folder.best_model,
        measures=_bench_measures(),
        external=external or (),
    )
    page = render_bench(result)
    write_atomic(out / PAGE_FILE, page)
    print(result.file.read_text(encoding="utf-8") if as_json else page)


def evaluate(
    data: DataOption,
    model: Annotated[
        list[Path] | None,
        typer.Option(help="Checkpoint or bundle; the shipped model by default. Repeated: an ensemble."),
    ] = None,
    split: Annotated[str, typer.Option(help="train, val, test or external.")] = "test",
    out: Annotated[Path | None, typer.Option(help="Folder; reports/evaluation-SPLIT by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on one split; temperature and cut-offs are fitted on validation alone."""
    from hilum.evaluation.report import render_text
    from hilum.evaluation.run import run_evaluation
    from hilum.explain.attention_summary import summarize_attention
    from hilum.registry.scorers import load_models

    scorer, facts = load_models(model or [])
    if len(model or []) > 1:
        for failure in facts["known_failures"]:
            print(f"hilum: known to fail, {failure}", file=sys.stderr)
    folder = out or Path("reports") / f"evaluation-{split}"
    result = run_evaluation(scorer, facts["name"], data, folder, split=split, attention=summarize_attention)
    if as_json:
        print((result.folder / "evaluation.json").read_text(encoding="utf-8"))
    else:
        print(render_text(result.evaluation))
        print(f"\nreport: {result.folder / 'evaluation.html'}")


def register(
    model: Annotated[Path, typer.Option(help="Checkpoint, or a bundle to release again.")] = Path(
        "models/best_model.pt"
    ),
    evaluation: Annotated[
        list[Path] | None,
        typer.Option(help="Evaluation folder, repeatable; the first gives T. A bundle may keep its own."),
    ] = None,
    safeguards: Annotated[Path | None, typer.Option(help="Folder that hilum safeguard wrote.")] = None,
    audit: Annotated[
        Path | None, typer.Option(help="Folder that hilum audit wrote; its blockers go onto the model card.")
    ] = None,
    int8: Annotated[
        Path | None, typer.Option(help="Data set whose validation films make and judge an 8-bit graph.")
    ] = None,
    version: Annotated[str, typer.Option(help="major.minor.patch")] = "0.1.0",
    not_for: Annotated[
        list[str] | None,
        typer.Option(
            help="LABEL=REASON: films of an evaluation that the model is not meant for, repeatable."
        ),
    ] = None,
    sign: Annotated[Path | None, typer.Option(help="Private key made by hilum keygen.")] = None,
    out: Annotated[Path, typer.Option(help="Registry, a folder of bundles.")] = Path("models/registry"),
) -> None:
    """Make a self-contained, checksummed bundle of a checkpoint and its evaluations."""
    from datetime import date

    from hilum.registry.release import write_bundle
    from hilum.registry.store import ModelStore

    bundle = write_bundle(
        model,
        evaluation or [],
        out,
        version=version,
        released=date.today(),
        safeguards=safeguards,
        audit=audit,
        int8_data=int8,
        private_key=sign,
        excluded_from_use=_split_reasons(not_for or []),
    )
    ModelStore(out).record_release(bundle.name, by=getpass.getuser(), reason="registered")
    if not bundle.facts.get("input_gate"):
        print("hilum: without --safeguards the bundle carries no input gate", file=sys.stderr)
    print(bundle.folder)


def _split_reasons(stated: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in stated]
    if any(not reason.strip() for _, _, reason in pairs):
        raise typer.BadParameter(
            "--not-for needs LABEL=REASON; say why the model is not meant for those films."
        )
    return {label: reason for label, _, reason in pairs}


def _bench_measures() -> "BenchMeasures":
    from hilum.cli.trust import evaluation_measures
    from hilum.evaluation.inputs import read_scored_films
    from hilum.evaluation.record import to_plain
    from hilum.evaluation.unseen_site import measure_adapted_site, measure_carried_over, measure_site
    from hilum.robustness.leave_one_out import BenchMeasures

    def measure(
        rows: "pd.DataFrame", embeddings: "NDArray[np.float32] | None", validation: "pd.DataFrame"
    ) -> dict[str, Any]:
        films = read_scored_films(rows)
        if embeddings is not None:
            return to_plain(measure_adapted_site(films, embeddings, temperature=1.0))  # type: ignore[return-value]
        carried = measure_carried_over(read_scored_films(validation), films)
        return {**to_plain(measure_site(films)), "carried_over": to_plain(carried)}  # type: ignore[dict-item]

    return BenchMeasures(site=measure, change=evaluation_measures().change)


def _print_facts(facts: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts, indent=2, allow_nan=False))
    else:
        width = max(len(name) for name in facts)
        for name, value in facts.items():
            print(f"{name:<{width}}  {value}")


COMMANDS = (train, tune, leave_one_out, evaluate, register)
