"""The page's section on robustness, from docs/measured/robustness.json."""

from typing import Any

from tables import figure, read_measured, table

Record = dict[str, Any]

SHOWN = {"accuracy": "accuracy", "sick_vs_normal": "sick/normal AUROC"}
CLASSES = {
    "recall_Normal": "Normal called Normal",
    "recall_Pneumonia": "Pneumonia called so",
    "recall_Tuberculosis": "Tuberculosis called so",
}
SEVERITIES = range(1, 6)


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    record = read_measured("robustness")
    if record is None:
        return []
    first, *others = record["models"]
    return [
        "## What makes the model fail?",
        "",
        f"`{record['command']}`, commit `{record['commit']}`: `hilum robustness` of `{first['name']}`,"
        f" weights `{first['weights_sha256'][:16]}`, on {record['method']['films']} films of the"
        f" {record['method']['split']} split in {record['seconds'] / 60:.0f} minutes. Worst first; a fall"
        " counts by the end of its 95 % interval that is nearer to nothing, and none is corrected for how"
        " many were looked at.",
        "",
        *(f"- **{finding['severity']}**: {finding['sentence']}" for finding in record["findings"]),
        "",
        *_corruptions(first),
        *(line for other in others for line in _corruptions(other)),
        *_attacks(record["models"]),
        *_external(record["models"]),
        *_groups(first),
    ]


def _corruptions(model: Record) -> list[str]:
    clean = ", ".join(f"{title} {figure(model['clean'][name])}" for name, title in SHOWN.items())
    rows = [
        [corruption["title"], *(_falls(level) for level in corruption["levels"])]
        for corruption in model["corruptions"].values()
    ]
    return [
        f"`{model['name']}`, clean: {clean}. Fall of accuracy / of sick/normal AUROC by corruption and"
        " severity; bold where the interval lies above 0.",
        "",
        *table(["corruption", *(f"severity {severity}" for severity in SEVERITIES)], rows),
    ]


def _falls(level: Record) -> str:
    return " / ".join(_fall(level["drops"][name]) for name in SHOWN)


def _fall(drop: Record) -> str:
    if drop["value"] is None:
        return "n/a"
    text = f"{drop['value'] + 0.0:.2f}".replace("-0.00", "0.00")
    return f"**{text}**" if drop.get("low", 0.0) > 0 else text


def _attacks(models: list[Record]) -> list[str]:
    rows = [
        [
            model["name"],
            level["attack"],
            f"{level['epsilon']:g}",
            *(figure(level["figures"][name]) for name in SHOWN),
            figure(level["drops"]["accuracy"]),
        ]
        for model in models
        if model["attacks"]
        for level in model["attacks"]["levels"]
    ]
    if not rows:
        return []
    attacked = max(model["attacks"]["films"] for model in models if model["attacks"])
    return [
        "Attacks (Adversarial Robustness Toolbox) by one who knows the weights and the true class; epsilon is"
        f" the largest change of a pixel, of 255 grey levels. {attacked} films.",
        "",
        *table(["model", "attack", "epsilon", *SHOWN.values(), "fall of accuracy"], rows),
    ]


def _external(models: list[Record]) -> list[str]:
    names = {"sick_vs_normal": SHOWN["sick_vs_normal"], **CLASSES}
    rows = [
        [
            model["name"],
            f"{site['name']} ({site['films']})",
            title,
            figure(site["figures"][name]),
            figure(site["drops"][name]),
        ]
        for model in models
        for site in model["external"]
        for name, title in names.items()
    ]
    if not rows:
        return []
    return [
        "At sites the model has never seen, and the fall from the test split (intervals: each set resampled"
        " by patient). Answers here are the most probable class, before any commissioning.",
        "",
        *table(["model", "site (films)", "figure", "there", "fall"], rows),
    ]


def _groups(model: Record) -> list[str]:
    rows = [
        [
            group["group"],
            str(group["films"]),
            *(figure(group["figures"][name]) for name in (*SHOWN, *CLASSES)),
        ]
        for group in model["groups"]
    ]
    unknown = ", ".join(model["unknown_columns"])
    told = f" The films do not tell {unknown}: no claim is made for them." if unknown else ""
    return [
        f"Inside groups of films of the test split.{told}",
        "",
        *table(["group", "films", *SHOWN.values(), *CLASSES.values()], rows),
    ]
