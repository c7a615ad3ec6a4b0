"""Write docs/results.md from what was measured: the shipped model's evaluations and docs/measured/*.json.

No figure in that page is typed by hand. `--check` compares instead of writing and exits 1 on a difference.

    python benchmarks/results.py [--check]
"""

import argparse
import json
import sys
from pathlib import Path

from hilum.domain.findings import CLASS_NAMES
from hilum.registry.bundle import find_released, read_bundle
from sections import SECTIONS
from tables import Record, figure, read_measured, table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results.md"


def headline_lines(report: Record) -> list[str]:
    """Return the findings of a report, worst first as it lists them."""
    lines = [f"- **{item['severity']}**: {item['text']}" for item in report["headlines"]]
    return [*lines, ""]


def class_table(report: Record) -> list[str]:
    """Return the report's Tables 13 and 14."""
    scores = report["discrimination"]
    rows = []
    for row in [*scores["classes"].values(), scores["macro"], scores["weighted"]]:
        figures = [figure(row[name]) for name in ("precision", "recall", "specificity", "f1", "auroc")]
        rows.append([row["name"], *figures, str(row["support"])])
    return table(["class", "precision", "sensitivity", "specificity", "F1", "AUROC", "films"], rows)


def confusion_table(report: Record) -> list[str]:
    """Return the report's Figure 2 in numbers."""
    confusion = report["discrimination"]["confusion"]
    rows = [[f"true {name}", *map(str, row)] for name, row in zip(CLASS_NAMES, confusion, strict=True)]
    return table(["", *(f"called {name}" for name in CLASS_NAMES)], rows)


def source_table(report: Record) -> list[str]:
    """Return one row per source."""
    rows = []
    for group in report["subgroups"]:
        if group["column"] != "source":
            continue
        scores = group["discrimination"]
        rows.append(
            [
                group["value"],
                str(group["films"]),
                figure(scores["accuracy"]),
                figure(scores["sick_vs_normal"]),
                figure(group["calibration"]["ece"]),
            ]
        )
    return table(["source", "films", "accuracy", "AUROC, sick against normal", "ECE"], rows)


def scenario_table(report: Record) -> list[str]:
    """Return the report's Table 15 with what each scenario gives, and WHO's target."""
    rows = [
        [
            row["scenario"],
            row["disease"],
            "most probable" if row["cutoff"] is None else f"{row['cutoff']:.2f}",
            figure(row["sensitivity"]),
            figure(row["specificity"]),
        ]
        for row in report["scenarios"]
    ]
    for target in report["who_target"].values():
        cutoff = "none" if target["cutoff"] is None else f"{target['cutoff']:.3f}"
        rows.append(
            [
                f"90/70: {target['verdict']}",
                target["disease"],
                cutoff,
                figure(target["sensitivity"]),
                figure(target["specificity"]),
            ]
        )
    return table(["scenario", "disease", "cut-off", "sensitivity", "specificity"], rows)


def attention_table(report: Record) -> list[str]:
    """Return where the maps look, beside what the report's Table 26 says."""
    keys = ["mean_inside_lungs", "mean_upper", "mean_middle", "mean_lower"]
    rows = [
        [
            f"called {name}",
            str(row["films"]),
            *("n/a" if row[key] is None else f"{row[key]:.2f}" for key in keys),
            str(row["agrees_with_table_26"]),
        ]
        for name, row in report["attention"].items()
    ]
    return table(["maps", "films", "inside lungs", "upper", "middle", "lower", "as Table 26 says"], rows)


def split_section(title: str, report: Record) -> list[str]:
    """Return everything about one split."""
    calibration, temperature = report["calibration"], report["temperature"]["value"]
    method = report["method"]
    return [
        f"## {title}",
        "",
        f"{method['films']} films of {method['patients']} patients. Accuracy"
        f" {figure(report['discrimination']['accuracy'])}, macro AUROC"
        f" {figure(report['discrimination']['macro']['auroc'])}.",
        "",
        *headline_lines(report),
        *class_table(report),
        *confusion_table(report),
        *source_table(report),
        f"Temperature {temperature:.3f}, fitted on {method['validation_films']} validation films. ECE"
        f" {figure(calibration['before']['ece'])} before, {figure(calibration['after']['ece'])} after; Brier"
        f" {figure(calibration['before']['brier'])} before, {figure(calibration['after']['brier'])} after.",
        "",
        *scenario_table(report),
        *promises_tables(report),
        *attention_table(report),
    ]


def promises_tables(report: Record) -> list[str]:
    """Return the referral rules and the coverage of the prediction sets; nothing of an older report."""
    promises = report.get("promises")
    if promises is None:
        return []
    rules = [
        [
            f"{kept['rule']['disease']}, at most {100 * kept['rule']['max_miss_rate']:.1f} %",
            f"{kept['rule']['films']} films"
            + ("" if kept["rule"]["is_as_asked"] else f", {kept['rule']['films_needed']} for what was asked"),
            f"{kept['missed']} of {kept['films']}",
            f"{100 * kept['referred'] / kept['all_films']:.0f} %",
        ]
        for kept in promises["rules"]
    ]
    coverage = [
        [
            name,
            str(promises["sets"]["cuts"][name]["films"]),
            f"{row['covered']} of {row['films']}",
            f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %",
            "no films"
            if not row["films"]
            else f"{100 * row['covered'] / row['films']:.1f} %, "
            + ("within" if row["low"] <= row["covered"] / row["films"] <= row["high"] else "OUTSIDE"),
        ]
        for name, row in promises["coverage"].items()
    ]
    promised = 100 * (1 - promises["sets"]["miss_rate"])
    return [
        "Referral: to miss at most so much of a disease (95 % confidence), fitted on validation.",
        "",
        *table(["promise", "fitted on", "missed here", "films that go to a reader"], rules),
        f"Prediction sets that hold the true class of {promised:.0f} % of each class,"
        f" {promises['mean_set_size']:.2f} classes on average.",
        "",
        *table(
            ["class", "fitted on films", "covered here", "band for exchangeable films", "verdict"], coverage
        ),
    ]


def bench_section(bench: Record) -> list[str]:
    """Return training speed beside the plain loop."""
    rows = [
        [
            row["figure"],
            f"{row['first']:.1f}",
            f"{row['second']:.1f}",
            f"{row['ratio']:.2f}",
            f"{row['lowest']:.2f}",
        ]
        for row in bench["against_plain_loop"]
    ]
    loader = bench["loader_against_network"]
    return [
        "## Training speed",
        "",
        f"`make bench DATA=...` at {bench['commit']}: {bench['cores']} cores, torch {bench['torch']},"
        f" {bench['films']} real films, {bench['rounds']} rounds in turn with the peer, a plain PyTorch loop"
        " (timm, torchvision transforms, PIL decoding in every epoch, two loader processes, float32).",
        "",
        *table(["images/s", "hilum", "plain loop", "ratio (median)", "lowest ratio"], rows),
        f"The loader alone makes {loader['first']:.0f} images/s, the frozen network alone takes"
        f" {loader['second']:.0f}: the loader is not the bottleneck. Decoding once into the cache runs at"
        f" {bench['decode_once_images_per_second']:.0f} images/s and is not counted above.",
        "",
    ]


def survival_section(survival: Record) -> list[str]:
    """Return determinism and resume."""
    same = len({survival["first"], survival["second"], survival["killed"]}) == 1
    return [
        "## Determinism and resume",
        "",
        f"`python benchmarks/survival.py` at {survival['commit']}: SHA-256 of the best model's weights.",
        "",
        *table(
            ["run", "weights"],
            [[name, f"`{survival[name]}`"] for name in ("first", "second", "killed")],
        ),
        f"{'All three are equal' if same else 'THEY DIFFER'}. {', '.join(survival['moments'])}.",
        "",
    ]


def bad_input_section(rows: list[Record]) -> list[str]:
    """Return what is said about each kind of bad input."""
    cells = [[row["input"], str(row["exit"]), row["message"].replace("|", "\\|")] for row in rows]
    return [
        "## Bad input",
        "",
        "`python benchmarks/bad_input.py`: what the command line says, one line each, and its exit code.",
        "",
        *table(["input", "exit", "message"], cells),
    ]


def write_page() -> str:
    """Return the page."""
    bundle = read_bundle(find_released())
    reports = {
        label: json.loads((bundle.folder / f"evaluation-{label}.json").read_text(encoding="utf-8"))
        for label in bundle.facts["evaluations"]
    }
    made = read_measured("release")
    lines = [
        "# What was measured",
        "",
        "Written by `python benchmarks/results.py` from the evaluations inside the shipped model and from"
        " `docs/measured/`; nothing here is typed by hand. Intervals are 95 %, bootstrap by patient.",
        "",
        f"Model: `{bundle.name}`, weights `{bundle.facts['weights_sha256'][:16]}`.",
        f"Made at commit {made['commit']} with",
        "",
        "```",
        *made["commands"],
        "```",
        "",
        made["how_chosen"],
        "",
    ]
    titles = {
        "external": "The unseen site first: sakha_tb, never in training",
        "elsewhere": "Adults of published cases all over the world, never in training",
        "test": "Test split",
    }
    for label in sorted(reports, key=list(titles).index):
        lines += split_section(titles[label], reports[label])
    for section in SECTIONS:
        lines += section()
    measured_here = (
        ("bench-training", bench_section),
        ("survival", survival_section),
        ("bad-input", bad_input_section),
    )
    for name, write_section in measured_here:
        record = read_measured(name)
        if record is not None:
            lines += write_section(record)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    page = write_page()
    if parser.parse_args().check:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == page else f"{PAGE.name} is not what was measured")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
