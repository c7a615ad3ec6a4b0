"""Commands about films: auditing a data set, drawing phantoms."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def phantoms(
    out: Annotated[Path, typer.Argument(help="Folder to draw into.")],
    n: Annotated[int, typer.Option("--n", min=6, help="Number of films.")] = 600,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    side: Annotated[int, typer.Option(min=128, max=1024, help="Side of a film, px.")] = 320,
    marker_class: Annotated[
        str | None, typer.Option(help="Fault: a corner marker tied to this class.")
    ] = None,
    marker_difference: Annotated[
        float, typer.Option(min=0, max=1, help="Fault: by how much more often that class has the marker.")
    ] = 0.1,
    second_site: Annotated[
        float, typer.Option(min=0, max=1, help="Fault: share of films from a second site.")
    ] = 0.0,
    duplicates: Annotated[int, typer.Option(min=0, help="Fault: films repeated across splits.")] = 0,
    corrupt: Annotated[int, typer.Option(min=0, help="Fault: files that are not images.")] = 0,
    undersized: Annotated[int, typer.Option(min=0, help="Fault: films under 100 px.")] = 0,
    extreme_aspect: Annotated[int, typer.Option(min=0, help="Fault: films over 3:1.")] = 0,
) -> None:
    """Draw synthetic frontal chest films with known lesions, in the folder layout of a data set."""
    from hilum.data.phantoms import PhantomFaults, draw_phantoms
    from hilum.domain.findings import parse_finding
    from hilum.progress import progress_bar

    faults = PhantomFaults(
        marker_class=parse_finding(marker_class) if marker_class else None,
        marker_prevalence_difference=marker_difference if marker_class else 0.0,
        second_site=second_site,
        duplicate_across_splits=duplicates,
        corrupt=corrupt,
        undersized=undersized,
        extreme_aspect=extreme_aspect,
    )
    with progress_bar("drawing phantoms", total=n) as bar:

        def advance(done: int) -> None:
            bar.update(done - bar.n)

        summary = draw_phantoms(
            out,
            count=n,
            seed=seed,
            side_px=side,
            faults=faults,
            progress=advance,
        )
    for name, value in asdict(summary).items():
        print(f"{name:<10}  {value}")


def audit(
    data: Annotated[Path, typer.Argument(help="Folder of films or CSV.")],
    out: Annotated[Path, typer.Option(help="Folder for manifest, page and record.")] = Path("reports/audit"),
    patient_pattern: Annotated[
        str | None, typer.Option(help="Regular expression; its first group names the patient in a path.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the probes for shortcuts.")] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(help="CODE=REASON of a blocker that is known and accepted, repeatable; it is recorded."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say whether a data set can be trusted; exit code 1 when something makes its figures untrue."""
    from hilum.audit.record import finding_record, has_blocker
    from hilum.audit.report import render_text
    from hilum.audit.run import run_audit
    from hilum.config.load import load_config

    accepted = {code: reason for code, _, reason in (one.partition("=") for one in accept or ())}
    if not all(reason.strip() for reason in accepted.values()):
        raise typer.BadParameter("--accept needs CODE=REASON; say why the blocker is accepted.")
    result = run_audit(
        data, out, config=load_config(), patient_pattern=patient_pattern, deep=not quick, accepted=accepted
    )
    if as_json:
        print(json.dumps([finding_record(finding) for finding in result.findings], indent=2, allow_nan=False))
    else:
        print(render_text(result))
    for code in accepted:
        if not any(finding.code == code and "accepted" in finding.figures for finding in result.findings):
            print(f"hilum: --accept {code}: this audit found no such blocker", file=sys.stderr)
    raise typer.Exit(int(has_blocker(result.findings)))


COMMANDS = (audit, phantoms)
