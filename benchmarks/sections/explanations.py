"""The page's section on whether maps may be shown, from docs/measured/explanations.json."""

from typing import Any

from tables import read_measured, table

Record = dict[str, Any]

OURS = "hilum"


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    record = read_measured("explanations")
    if record is None:
        return []
    fitted = record["validation"]
    return [
        "## Are the maps worth showing?",
        "",
        f"`{record['command']}`, commit `{record['commit']}`, weights `{record['weights_sha256'][:16]}`."
        f" {_verdict(fitted)}",
        "",
        *_beaten(record["compared"]),
        "Tested on validation films. Gains are log-odds of the called finding, area under the curve, mean"
        " over films with its interval: places are blurred out (deletion) or brought back (insertion),"
        " hottest first, against the same map moved elsewhere. A finding's maps are shown when both"
        " intervals lie above 0.",
        "",
        *table(
            ["called", "films tested", "deletion gain", "insertion gain", "maps may be shown"],
            [_tested_row(name, entry) for name, entry in fitted["findings"].items()],
        ),
        *_randomization(fitted["randomization"]),
        f"What this lets through on {record['test']['films']} test films. Disagreement with Table 26 is a"
        " note, not a reason. One map may have several reasons.",
        "",
        *table(
            ["called", "maps", "shown", "withheld for", "as Table 26 says"],
            [_shown_row(name, row) for name, row in record["test"]["shown"].items()],
        ),
        _rightness(record["test"]["right_if_shown"]),
        "",
        "Beside the grad-cam library and maps that know nothing of the network, on the same"
        f" {record['compared_films']} test films, all findings. The last column is ours minus this one,"
        " deletion and insertion together; above 0 ours is better. A library map that is equal to ours has"
        " equal gains and is not measured again.",
        "",
        *table(
            ["map", "deletion gain", "insertion gain", "hilum minus this"],
            [_compared_row(name, row["all"]) for name, row in record["compared"].items()],
        ),
        *(_likeness(name, row) for name, row in record["likeness"].items()),
        "",
        *_time(record["time"]),
    ]


def _verdict(fitted: Record) -> str:
    failed = [name for name, entry in fitted["findings"].items() if entry["passes"] is False]
    untested = [name for name, entry in fitted["findings"].items() if entry["passes"] is None]
    if not fitted["randomization"]["passes"]:
        return "All maps are withheld: they hardly depend on what the model learned."
    told = f"Withheld: every map for {' and '.join(failed)}." if failed else "No finding fails as a whole."
    return told + (f" Not tested for want of films: {' and '.join(untested)}." if untested else "")


def _beaten(compared: Record) -> list[str]:
    """Return where another map, one that knows nothing of the network included, is better than ours."""
    better = [
        f"{name} for {group} by {_mean(_turned(row['ours_minus_this']))}"
        for name, groups in compared.items()
        for group, row in groups.items()
        if name != OURS and (row["ours_minus_this"]["high"] or 0.0) < 0.0
    ]
    if not better:
        return []
    return [
        f"**Better than ours** by deletion and insertion together: {'; '.join(better)} log-odds. Where a map"
        " that knows nothing of the network does better, beating chance says little.",
        "",
    ]


def _turned(found: Record) -> Record:
    return {"mean": -found["mean"], "low": -found["high"], "high": -found["low"]}


def _tested_row(name: str, entry: Record) -> list[str]:
    if entry["passes"] is None:
        return [name, str(entry["tested"]), "n/a", "n/a", f"not tested: {entry['reason']}"]
    gains = [_mean(entry[key]) for key in ("deletion_gain", "insertion_gain")]
    return [name, str(entry["tested"]), *gains, "yes" if entry["passes"] else "no"]


def _randomization(found: Record) -> list[str]:
    if "unlearned" not in found:
        return [f"Randomisation: {found['reason']}.", ""]
    rows = [
        [stage["name"], _mean(stage["rank_correlation"]), f"{stage['structural_similarity']:.2f}"]
        for stage in found["stages"]
    ]
    rows.append(["all layers, three networks", _mean(found["unlearned"]), "n/a"])
    return [
        "Do the maps depend on what was learned? Rank correlation (absolute) and SSIM with the maps of the"
        f" same network after its weights were shuffled; with all of them lost at most {found['limit']:.2f}"
        " is allowed.",
        "",
        *table(["weights lost", "rank correlation", "SSIM"], rows),
    ]


def _shown_row(name: str, row: Record) -> list[str]:
    reasons = ", ".join(f"{code} {count}" for code, count in row["withheld_for"].items()) or "none"
    judged = row["agree_with_table_26"] + row["disagree_with_table_26"]
    agreement = f"{row['agree_with_table_26']} of {judged}" if judged else "no claim"
    return [name, str(row["films"]), str(row["shown"]), reasons, agreement]


def _rightness(groups: Record) -> str:
    told = [
        f"{row['right']} of {row['films']} calls are right where the {name} its own tests"
        for name, row in groups.items()
    ]
    return f"The model's tests aside, {' and '.join(told)}."


def _compared_row(name: str, row: Record) -> list[str]:
    difference = "" if name == OURS else _mean(row["ours_minus_this"])
    return [name, _mean(row["deletion_gain"]), _mean(row["insertion_gain"]), difference]


def _likeness(name: str, row: Record) -> str:
    return (
        f"- {name} beside ours: largest difference {row['largest_difference']:.1e} of the peak, rank"
        f" correlation {row['rank_correlation']:.2f}."
    )


def _time(record: Record) -> list[str]:
    rows = [
        [name, f"{value:.0f}", str(record["maps_per_film"].get(name, 0))]
        for name, value in record["ms_per_film"].items()
    ]
    return [
        f"Time for one film, batch of one, {record['threads']} thread(s), median of {record['rounds']} rounds"
        " in turn.",
        "",
        *table(["method", "ms per film", "maps"], rows),
    ]


def _mean(found: Record) -> str:
    if found["low"] is None:
        return f"{found['mean']:.2f}"
    return f"{found['mean']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
