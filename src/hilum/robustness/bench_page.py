"""The page of the bench of generalisation: Markdown, so that it reads in a terminal, a diff and a browser."""

from typing import Any

from hilum.robustness.leave_one_out import LeaveOneOut

PAGE_FILE = "leave_one_out.md"


def render_bench(result: LeaveOneOut) -> str:
    """Return the page: left-out sources first, for they choose a recipe; external sites last."""
    lines = ["# Generalisation", "", "## Sources left out of training: what a recipe is chosen by", ""]
    lines += _site_table(result.folds)
    areas = [fold["plain"]["auroc"]["value"] for fold in result.folds.values()]
    known = [area for area in areas if area is not None]
    if known:
        lines += ["", f"Mean AUROC of sick against normal: {sum(known) / len(known):.3f}."]
    validation = result.whole["validation"]
    lines += [
        "",
        f"## Trained on all sources: {validation['films']} validation films",
        "",
        f"Accuracy {_figure(validation['accuracy'])}, macro AUROC {_figure(validation['macro_auroc'])},"
        f" AUROC of sick against normal {_figure(validation['sick_vs_normal'])}.",
        "",
        "| the same films | accuracy | fall of accuracy | answers that change |",
        "| --- | --- | --- | --- |",
    ]
    for name, change in result.whole["counterfactuals"].items():
        lines.append(
            f"| {name} | {_figure(change['figures']['accuracy'])} | {_figure(change['drops']['accuracy'])} |"
            f" {_figure(change['flipped'])} |"
        )
    lines += ["", "## External sites: looked at, never chosen by", ""]
    if result.whole["external"]:
        lines += _site_table(result.whole["external"])
        looks = (f"{name} by {site['look']} model(s)" for name, site in result.whole["external"].items())
        lines += ["", f"Looked at so far from this folder of runs: {', '.join(looks)}."]
    else:
        lines.append("None was given (--external).")
    return "\n".join(lines) + "\n"


def _site_table(sites: dict[str, Any]) -> list[str]:
    lines = [
        "| site | films | sick | AUROC, sick against normal | at even odds: sensitivity, specificity"
        " | at validation's cut-off: sensitivity, specificity | ECE"
        " | adapted to its unlabelled films: AUROC |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, site in sites.items():
        plain, carried = site["plain"], site["plain"]["carried_over"]
        lines.append(
            f"| {name} | {plain['films']} | {plain['sick']} | {_figure(plain['auroc'])} |"
            f" {_figure(plain['sensitivity'])}, {_figure(plain['specificity'])} |"
            f" {_figure(carried['sensitivity'])}, {_figure(carried['specificity'])} |"
            f" {_figure(carried['ece'])} | {_figure(site['adapted']['auroc'])} |"
        )
    return lines


def _figure(measure: dict[str, Any]) -> str:
    if measure["value"] is None:
        return f"n/a: {measure['reason']}"
    if measure["low"] is None:
        return f"{measure['value']:.3f}"
    return f"{measure['value']:.3f} ({measure['low']:.3f} to {measure['high']:.3f})"
