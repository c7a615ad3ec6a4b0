"""The page's section on a site's own films, from docs/measured/commissioning.json."""

from typing import Any

from tables import figure, read_measured, table

Record = dict[str, Any]


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    record = read_measured("commissioning")
    if record is None:
        return []
    labelled = record["labelled"]
    shipped = record["as_shipped"]
    return [
        "## A site's own films",
        "",
        f"`{record['command']}`, commit `{record['commit']}`. The site is the external one:"
        f" {record['films']} films, {record['sick']} of them sick, none seen in training or in any choice."
        f" Rows by number of films are means over {record['draws']} draws, measured on the films not drawn,"
        " lowest and highest draw in brackets.",
        "",
        "Without labels: the network's normalisation is brought half way to the site's films, a score is"
        " fitted to them from the network's own answers, and a film is called sick at the report's screening"
        " cut-off (Table 15, 0.30). Share, components and score were chosen on sources left out. The site's"
        " figures at even odds were seen before the screening cut-off was taken, so they are a little"
        " optimistic.",
        "",
        *table(
            ["films without labels", "AUROC, sick against normal", "sensitivity", "specificity"],
            [
                ["none (as shipped, at even odds)", *(figure(shipped[name]) for name in _FIGURES)],
                *([f"{row['films']}, half of them sick", *_cells(row)] for row in record["unlabelled"]),
                [
                    "all, measured on the same",
                    *(figure(record["adapted_to_all"][name]) for name in _FIGURES),
                ],
                *(
                    [f"128, {100 * row['share_sick']:.0f} % of them sick", *_cells(row)]
                    for row in record["prevalence"]
                ),
            ],
        ),
        f"With {labelled['films']} labelled films, half of them sick, and a cut-off chosen on them"
        " (`hilum commission`):",
        "",
        *table(
            ["", "AUROC", "sensitivity", "specificity", "draws that reach WHO's 90/70"],
            [
                [
                    "others of the site",
                    *_cells(labelled),
                    f"{labelled['draws_that_reach_who']} of {record['draws']}",
                ]
            ],
        ),
    ]


_FIGURES = ("auroc", "sensitivity", "specificity")


def _cells(row: Record) -> list[str]:
    return [
        f"{row[name]['mean']:.2f} ({row[name]['lowest']:.2f} to {row[name]['highest']:.2f})"
        for name in _FIGURES
    ]
