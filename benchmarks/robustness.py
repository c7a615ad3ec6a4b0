"""The robustness of the shipped model on real films, by `hilum robustness`: test split and unseen site.

Runs the command as a user does, and keeps counts and figures, never a file name. Can be interrupted: what is
scored is kept in --work. All films take tens of minutes on two idle cores; --films takes a sample.

    python benchmarks/robustness.py DATA --work robustness [--compare OTHER_MODEL] [--films N]
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from commit import current_commit

OUT = Path(__file__).resolve().parents[1] / "docs" / "measured" / "robustness.json"
KEPT = ("accuracy", "macro_auroc", "sick_vs_normal")

Record = dict[str, Any]


def main() -> None:
    """Measure and write docs/measured/robustness.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("robustness"))
    parser.add_argument("--model", type=Path, help="bundle or checkpoint; the shipped model by default")
    parser.add_argument("--compare", type=Path, help="a second model for the same table")
    parser.add_argument("--external", type=Path, action="append", default=[], help="films of another site")
    parser.add_argument("--films", type=int, help="size of a stratified sample")
    parser.add_argument("--attacked", type=int, default=96, help="films that are attacked")
    arguments = parser.parse_args()
    options = ["--attacked", str(arguments.attacked)]
    options += ["--model", str(arguments.model)] if arguments.model else []
    options += ["--compare", str(arguments.compare)] if arguments.compare else []
    options += [word for path in arguments.external for word in ("--external", str(path))]
    options += ["--films", str(arguments.films)] if arguments.films else []
    command = [sys.executable, "-m", "hilum", "robustness", "--data", str(arguments.data)]
    started = time.monotonic()
    done = subprocess.run([*command, "--out", str(arguments.work), *options], check=False)
    if done.returncode not in {0, 1}:  # 1: a finding blocks, and the report is there
        sys.exit("the robustness test ended with an error")
    record = json.loads((arguments.work / "robustness.json").read_text(encoding="utf-8"))
    sample = f" --films {arguments.films}" if arguments.films else ""
    measured = {
        "command": f"python benchmarks/robustness.py DATA{sample}",
        "commit": current_commit(),
        "seconds": round(time.monotonic() - started),
        "method": record["method"],
        "findings": [{name: item[name] for name in ("severity", "sentence")} for item in record["findings"]],
        "models": [condense(model) for model in record["models"]],
    }
    OUT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


def condense(model: Record) -> Record:
    """Return what the page prints of one model's report."""
    return {
        "name": model["name"],
        "weights_sha256": model["weights_sha256"],
        "input_px": model["input_px"],
        "clean": {name: short(model["clean"][name]) for name in KEPT},
        "corruptions": {
            name: {
                "title": corruption["title"],
                "levels": [condense_level(level) for level in corruption["levels"]],
            }
            for name, corruption in model["corruptions"].items()
        },
        "attacks": model["attacks"]
        and {
            "films": model["attacks"]["films"],
            "clean": {name: short(model["attacks"]["clean"][name]) for name in KEPT},
            "levels": [condense_level(level) for level in model["attacks"]["levels"]],
        },
        "external": [
            {
                "name": site["name"],
                "films": site["films"],
                "figures": {name: short(figure) for name, figure in site["figures"].items()},
                "drops": {name: short(figure) for name, figure in site["drops"].items()},
            }
            for site in model["external"]
        ],
        "groups": [
            {
                "group": f"{group['column'].replace('_', ' ')}: {group['value']}",
                "films": group["films"],
                "figures": {name: short(figure) for name, figure in group["figures"].items()},
            }
            for group in model["groups"]
        ],
        "unknown_columns": model["unknown_columns"],
    }


def condense_level(level: Record) -> Record:
    """Return one corruption or attack at one strength, without the figures per class."""
    named = {key: level[key] for key in ("severity", "setting", "attack", "epsilon") if key in level}
    return {
        **named,
        "figures": {name: short(level["figures"][name]) for name in KEPT},
        "drops": {name: short(level["drops"][name]) for name in KEPT},
        "flipped": round(level["flipped"]["value"], 4),
        "probability_change": round(level["probability_change"]["value"], 4),
    }


def short(figure: Record) -> Record:
    """Return a figure with its interval, rounded, or its reason."""
    if figure["value"] is None:
        return {"value": None, "reason": figure["reason"]}
    return {key: round(figure[key], 4) for key in ("value", "low", "high") if figure.get(key) is not None}


if __name__ == "__main__":
    main()
