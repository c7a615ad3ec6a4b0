"""Commands of monitoring: monitor check, report, baseline, rules.

What is not given on the command line comes from the settings of the service (`hilum serve --show-settings`).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from hilum.evaluation.reference_profile import ReferenceProfile
    from hilum.monitoring.monitor import Monitor

EXIT_OVER = 1

APP = typer.Typer(name="monitor", help="Watch a model in use.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="Folder of the service's data.")]
Url = Annotated[str | None, typer.Option(help="sqlite:///FILE or postgresql://USER@HOST/NAME.")]
Registry = Annotated[Path | None, typer.Option(help="Registry whose production version is watched.")]
Model = Annotated[Path | None, typer.Option(help="One bundle; the shipped one by default.")]
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day, YYYY-MM-DD.")]


class _Watched(NamedTuple):
    monitor: "Monitor"
    name: str
    shipped: "ReferenceProfile | None"
    reference: "ReferenceProfile | None"


@APP.command()
def check(
    data: Data = None,
    url: Url = None,
    registry: Registry = None,
    model: Model = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every signal as JSON.")] = False,
) -> None:
    """Look at every signal once; exit 1 when one is over its threshold."""
    from hilum.monitoring.report import signal_record

    with _open(data, url, registry, model) as watched:
        assessment = watched.monitor.look(watched.name, watched.reference).assessment
    if as_json:
        print(json.dumps([signal_record(signal) for signal in assessment.signals], indent=1, allow_nan=False))
    else:
        for signal in assessment.signals:
            print(f"{signal.state:10}  {signal.name:22}  {signal.sentence}")
        for sentence in assessment.conclusions:
            print(sentence)
    if assessment.over:
        raise typer.Exit(EXIT_OVER)


@APP.command()
def report(
    data: Data = None,
    url: Url = None,
    registry: Registry = None,
    model: Model = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Days on the curves.")] = 90,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("reports/monitoring"),
) -> None:
    """Write what the signals say, the alerts and the curves as one page, and as JSON."""
    from hilum.monitoring.report import make_report, write_report

    with _open(data, url, registry, model) as watched:
        made = make_report(watched.monitor, watched.name, watched.reference, days=days)
    over = ", ".join(signal.name for signal in made.assessment.over) or "nothing"
    print(f"over: {over}\nreport: {write_report(made, out)}")


@APP.command()
def baseline(
    since: Day,
    until: Day,
    by: Annotated[str, typer.Option(help="Who vouches for the period.")],
    data: Data = None,
    url: Url = None,
    registry: Registry = None,
    model: Model = None,
) -> None:
    """Hold films and calls against a period of this site that somebody vouches for."""
    from hilum.domain.errors import ConfigError
    from hilum.monitoring.baseline import set_baseline

    with _open(data, url, registry, model) as watched:
        if watched.shipped is None:
            raise ConfigError(f"{watched.name}: has no reference profile; register it again.")
        first, last = (day.replace(tzinfo=UTC) for day in (since, until))
        journal = watched.monitor.journal
        made = set_baseline(journal, watched.shipped, watched.name, since=first, until=last, by=by)
    print(f"{watched.name} is held against {made.made_of}")


@APP.command()
def rules(
    out: Annotated[Path, typer.Option(help="Folder of the deployment.")] = Path("deploy"),
    receivers: Annotated[
        Path | None, typer.Option(help="YAML: each receiver of Alertmanager with its settings.")
    ] = None,
    runbooks: Annotated[
        Path | None, typer.Option(help="Folder of the runbooks; the head of each is brought up to date.")
    ] = None,
) -> None:
    """Write the alerts for Prometheus with their tests, Alertmanager's routes and Grafana's dashboard."""
    from hilum.monitoring.deploy_files import write_deploy_files
    from hilum.monitoring.runbooks import write_headings

    for path in write_deploy_files(out, receivers):
        print(path)
    if runbooks is not None:
        for path in write_headings(runbooks):
            print(path)


@contextmanager
def _open(
    data: Path | None, url: str | None, registry: Path | None, model: Path | None
) -> Iterator[_Watched]:
    """Open the journal of a service and find the model it uses, by the settings of the environment."""
    from hilum.evaluation.reference_profile import read_reference
    from hilum.journal.journal import Journal
    from hilum.journal.storage import Storage
    from hilum.monitoring.baseline import find_reference
    from hilum.monitoring.monitor import Monitor
    from hilum.registry.bundle import find_released, read_bundle
    from hilum.registry.store import ModelStore
    from hilum.serving.secret_files import load_secrets
    from hilum.serving.settings import read_settings

    settings = read_settings(data=data, journal_url=url, registry=registry, model=model)
    settings.check_files()
    folder = settings.model or find_released()
    if settings.registry is not None:
        folder = ModelStore(settings.registry).resolve("production")
    bundle = read_bundle(folder)
    shipped = read_reference(folder, weights_sha256=str(bundle.facts["weights_sha256"]))
    Storage.open(settings.database_url, must_exist=True).close()  # before a secret is made at a wrong place
    journal = Journal.open(
        settings.database_url,
        chain_key=load_secrets(settings).chain_key,
        checkpoints=settings.checkpoints,
        must_exist=True,
    )
    try:
        has_site = settings.site is not None
        reference = find_reference(journal.storage, bundle.name, shipped, has_site=has_site)
        yield _Watched(Monitor(journal), bundle.name, shipped, reference)
    finally:
        journal.close()
