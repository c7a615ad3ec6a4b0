"""Commands of a site: commission."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.domain.findings import Finding

if TYPE_CHECKING:
    from hilum.registry.commission import CommissionedSite


def commission(
    site: Annotated[Path, typer.Argument(help="Folder of the site's films, or CSV: path,label,patient_id.")],
    name: Annotated[str, typer.Option(help="What the site is called.")],
    disease: Annotated[
        list[Finding], typer.Option(help="In question at the site, repeatable; one in a TB programme.")
    ],
    model: Annotated[Path | None, typer.Option(help="Bundle or checkpoint; the shipped one if none.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; sites/NAME by default.")] = None,
    adapt: Annotated[bool, typer.Option(help="Take normalisation statistics from the films.")] = True,
    let_through: Annotated[
        list[str] | None,
        typer.Option(help="Reason code whose limit is widened to the site's films, after looking at them."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The profile as JSON.")] = False,
) -> None:
    """Make a site profile of 100 to 500 local films; labels may be empty, and are then not used."""
    from datetime import date

    from hilum.registry.commission import commission_site
    from hilum.registry.scorers import load_model

    if Finding.NORMAL in disease:
        raise typer.BadParameter("Normal is no disease; name Tuberculosis, Pneumonia or both.")
    scorer, facts = load_model(model)
    folder = out or Path("sites") / name
    diseases = [str(one) for one in disease]
    made = commission_site(
        scorer, facts, site, folder, name=name, diseases=diseases, adapt=adapt,
        let_through=let_through or (), today=date.today(),
    )  # fmt: skip
    print(json.dumps(made.facts, indent=1, allow_nan=False)) if as_json else _print_text(made)


def _print_text(made: "CommissionedSite") -> None:
    from hilum.evaluation.measure import format_percent, format_score

    judged, gate = made.judged, made.facts["gate"]
    facts = made.facts
    read = f"{facts['films_used']} films, {facts['films_excluded']} left out"
    print(f"{facts['site']} with {facts['model']}: {read}")
    if gate is not None:
        _print_gate(gate)
    if judged is not None:
        print(
            f"{judged.films} with a reference result, {judged.sick} sick: AUROC {format_score(judged.auroc)}"
        )
        for title, point in (("cut-off without labels", judged.label_free), ("local cut-off", judged.local)):
            if point is not None:
                print(
                    f"{title} {point.cutoff:+.2f}: sensitivity {format_percent(point.sensitivity)},"
                    f" specificity {format_percent(point.specificity)}"
                )
        print(f"WHO 90/70: {judged.verdict}: {judged.reason}")
        if judged.referral is not None:
            print(judged.referral.to_sentence())
    for sentence in made.facts["unsupported"]:
        print(f"not supported: {sentence}")
    print(f"profile: {made.folder}")


def _print_gate(gate: Mapping[str, Any]) -> None:
    from hilum.domain.thresholds import GATE_LET_THROUGH_SHARE

    for title, key in (("input gate", "refused"), ("with the widened limits", "refused_here")):
        codes = {code: count for code, count in gate[key].items() if code != "any"}
        by_code = ", ".join(f"{code} {count}" for code, count in sorted(codes.items()))
        rejected = f"{gate[key]['any']} of {gate['films']} films rejected"
        print(f"{title}: {rejected}" + (f" ({by_code})" if codes else ""))
        if not gate["widened"]:
            break
    if gate["refused_here"]["any"] > (1 - GATE_LET_THROUGH_SHARE) * gate["films"]:
        print(
            "look at the rejected films (hilum predict FILMS --site PROFILE names them); if they are upright"
            " frontal chest films, commission again with --let-through CODE"
        )


COMMANDS = (commission,)
