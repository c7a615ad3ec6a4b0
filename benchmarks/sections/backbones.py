"""The page's section on the backbones of report 4.1, from docs/measured/backbones.json."""

from typing import Any

from tables import figure, read_measured, table

Record = dict[str, Any]


def section() -> list[str]:
    """Return Markdown lines; none when nothing was measured."""
    record = read_measured("backbones")
    if record is None:
        return []
    header = [
        "backbone", "weights", "parameters, backbone", "with head", "images/s", "validation, macro AUROC",
        f"{record['left_out']}, left out: AUROC, sick against normal",
    ]  # fmt: skip
    first = record["rows"][0]
    return [
        "## The backbones of report 4.1",
        "",
        f"Each trained on the same {first['train_films']} films, {record['side_px']} px,"
        f" {record['epochs']} epochs, one thread, without the source {record['left_out']};"
        f" {first['validation']['films']} validation films of the other sources,"
        f" {first['left_out']['films']} films of {record['left_out']}. Speed: forward passes of"
        f" {record['speed_side_px']} px films, one thread, the networks in turn on a machine in other use.",
        "",
        *table(header, [_row(row) for row in record["rows"]]),
        "Where ImageNet weights were not available a network started from random ones, and its figures say"
        " nothing of what it would reach with them: compare rows of like weights alone. A sample this small"
        " ranks no two backbones whose intervals overlap. The report's 4.0M parameters (Table 6) are the"
        " backbone of EfficientNet-B0 without the head.",
        "",
        f"`{record['command']}`, torch {record['torch']}, commit `{record['commit']}`."
        f" Settings: {', '.join(f'`{setting}`' for setting in record['recipe'])}.",
        "",
    ]  # fmt: skip


def _row(row: Record) -> list[str]:
    weights = row["weights"]
    return [
        row["architecture"],
        "random" if weights["kind"] == "none" else f"{weights['kind']}, {weights['origin']}",
        f"{row['backbone_parameters'] / 1e6:.2f}M",
        f"{row['parameters'] / 1e6:.2f}M",
        f"{row['images_per_second']:.1f}",
        figure(row["validation"]["macro_auroc"]),
        figure(row["left_out"]["auroc"]),
    ]
