"""The page's section on how adaptation to a site was chosen, from docs/measured/adaptation.json."""

from typing import Any

from tables import read_measured, table

Record = dict[str, Any]


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    record = read_measured("adaptation")
    if record is None:
        return []
    rows = [
        [
            f"{share:g}",
            *(f"{record['means'][f'{share:g}, {components}']:.3f}" for components in record["components"]),
        ]
        for share in record["shares"]
    ]
    named = ["the network's own", *(f"{number} components" for number in record["components"][1:])]
    return [
        "### How to adapt, on sources left out",
        "",
        f"`{record['command']}`, commit `{record['commit']}`: mean AUROC of sick against normal over"
        f" {len(record['rows'])} networks of the table above, each on the source it was trained without"
        f" ({', '.join(record['sources_not_judged_by'])} left aside: without it the networks rank"
        " its children at chance whatever is done). Rows: weight of the site's own normalisation"
        " statistics; columns: the score. hilum takes 0.5 and 4, chosen on five earlier networks.",
        "",
        *table(["share", *named], rows),
    ]
