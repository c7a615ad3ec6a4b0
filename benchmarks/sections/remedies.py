"""The page's section on remedies against shortcuts, from docs/measured/remedies.json."""

from typing import Any

from tables import figure, read_measured, table

Record = dict[str, Any]


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    record = read_measured("remedies")
    if record is None:
        return []
    sources = sorted(record["rows"][0]["folds"])
    header = [
        "remedy",
        *(f"{source}, left out" for source in sources),
        "external",
        "external: finds / spares",
    ]
    return [
        "## What each remedy moves at a site left out",
        "",
        "AUROC of sick against normal at a source whose films were in no training batch, then at the external"
        " site, which was looked at for this table only; the choice was made on the sources left out. In each"
        " cell: the model as trained; then adapted to the site's unlabelled films. The last column is the"
        " adapted model's sensitivity and specificity at even odds, a cut-off that needs no labels.",
        "",
        *table(header, [_row(row, sources) for row in record["rows"]]),
        f"At most {record['films_per_group'] or 'all'} films of each class, source and split, to fit the"
        " time; so the intervals are wide and single rows differ by chance. No row is the shipped model.",
        "",
        f"All rows: {', '.join(f'`{setting}`' for setting in record['base'])}; a row adds its own settings"
        " (`benchmarks/remedies.py`). Made by `python benchmarks/remedies.py DATA --collect`, commits"
        f" {', '.join(sorted({'`' + row['commit'] + '`' for row in record['rows']}))}.",
        "",
    ]


def _row(row: Record, sources: list[str]) -> list[str]:
    external = row["external"]["adapted"]
    return [
        row["remedy"],
        *(_cell(row["folds"][source]) for source in sources),
        _cell(row["external"]),
        f"{figure(external['sensitivity'])} / {figure(external['specificity'])}",
    ]


def _cell(site: Record) -> str:
    return f"{figure(site['plain']['auroc'])}; {figure(site['adapted']['auroc'])}"
