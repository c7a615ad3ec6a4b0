"""Every recipe that was tried against reading the source instead of the lungs, by `hilum leave-one-out`."""

from tables import Record, figure, read_measured, table

_MAX_FALL, _MAX_FLIPPED = 0.05, 0.08


def section() -> list[str]:
    """Return the section; nothing until recipes were measured."""
    record = read_measured("recipes")
    if record is None:
        return []
    rows: list[Record] = record["rows"]
    sources = sorted({source for row in rows for source in row["folds"]})
    sites = sorted({site for row in rows for site in row["whole"].get("external", {})})
    header = ["recipe", *(f"{source} left out" for source in sources), "validation: accuracy", "macro AUROC"]
    header += ["largest fall of accuracy", "most answers that change", *sites]
    lines = [
        "## Recipes tried towards a network that reads lungs",
        "",
        f"Collected by `python benchmarks/recipes.py` at {record['commit']}; how each was run stands below;"
        " settings and every interval are in docs/measured/recipes.json. AUROC is of sick against normal, as"
        " the network is / adapted to the films without labels. Falls and changes are the largest of the 16"
        f" counterfactuals on validation films; the aims are {_MAX_FALL} and {_MAX_FLIPPED}. Two trial runs"
        " of a script that is not kept came before these and are not in the table.",
        "",
        *table(header, [_row(row, sources, sites) for row in rows]),
    ]
    for row in rows:
        lines += [f"- **{row['name']}**: {row['what']} {row['verdict']}{_test(row)}", f"  `{row['command']}`"]
    return [*lines, ""]


def _test(row: Record) -> str:
    test = row.get("test")
    if test is None:
        return " The test split was not looked at."
    return (
        f" Test split, looked at once by `hilum evaluate`: {test['films']} films, accuracy"
        f" {figure(test['accuracy'])}, macro AUROC {figure(test['macro_auroc'])}."
    )


def _row(row: Record, sources: list[str], sites: list[str]) -> list[str]:
    whole = row["whole"]
    cells = [row["name"], *(_site(row["folds"].get(source)) for source in sources)]
    if not whole:
        return [*cells, *["not run"] * (4 + len(sites))]
    changes = whole["counterfactuals"]
    fall = max(changes, key=lambda name: changes[name]["drops"]["accuracy"]["value"])
    flip = max(changes, key=lambda name: changes[name]["flipped"]["value"])
    validation = whole["validation"]
    return [
        *cells,
        figure(validation["accuracy"]),
        figure(validation["macro_auroc"]),
        f"{changes[fall]['drops']['accuracy']['value']:.3f} ({fall})",
        f"{changes[flip]['flipped']['value']:.3f} ({flip})",
        *(_site(whole["external"].get(site)) for site in sites),
    ]


def _site(site: Record | None) -> str:
    if site is None:
        return "not run"
    return f"{figure(site['plain']['auroc'])} / {figure(site['adapted']['auroc'])}"
