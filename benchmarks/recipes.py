"""Collect the recipes that were tried by `hilum leave-one-out` into docs/measured/recipes.json, failures too.

Each folder of runs/ is one recipe: what the command wrote, finished or not, and `recipe.json` with `what` (a
sentence), `command`, `verdict` and, if the test split was looked at, `test`: accuracy, macro_auroc and films
of `hilum evaluate`.

    python benchmarks/recipes.py runs/
"""

import argparse
import json
from pathlib import Path

from commit import current_commit
from hilum.config.load import dump_config
from hilum.config.schema import TrainConfig
from hilum.robustness.leave_one_out import RESULT_FILE
from tables import MEASURED, Record


def main() -> None:
    """Write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, default=MEASURED / "recipes.json")
    arguments = parser.parse_args()
    rows = [collect(file.parent) for file in sorted(arguments.runs.glob(f"*/{RESULT_FILE}"))]
    record = {"commit": current_commit(), "rows": rows}
    arguments.out.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def collect(folder: Path) -> Record:
    """Return one recipe's row: what was said of it, its settings and every figure there is."""
    said = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    found = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
    settings = differences(dump_config(TrainConfig()), found["settings"])
    return {
        "name": folder.name,
        **said,
        "settings": settings,
        "folds": found["folds"],
        "whole": found["whole"],
    }


def differences(default: Record, settings: Record, prefix: str = "") -> dict[str, object]:
    """Return the settings that differ from the report's, by their dotted names."""
    changed: dict[str, object] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            changed |= differences(default[name], value, f"{prefix}{name}.")
        elif value != default[name]:
            changed[f"{prefix}{name}"] = value
    return changed


if __name__ == "__main__":
    main()
