"""Play every fault into streams of films and fault-free years, and write what was noticed and what was not.

    python benchmarks/drills.py [--data FILMS] [--repeats 3] [--years 4] [--out FOLDER]

Phantoms without --data. One run of each kind is kept in the record; finished drills in the folder are not
played again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from commit import current_commit

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "drills.json"


def main() -> None:
    """Run `hilum drill --all` and add its record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--years", type=int, default=4)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    kind = "real" if arguments.data else "phantoms"
    out = arguments.out or Path("reports") / f"drills-{kind}"
    options = ["--repeats", str(arguments.repeats), "--years", str(arguments.years), "--out", str(out)]
    films = ["--data", str(arguments.data)] if arguments.data else []
    subprocess.run([sys.executable, "-m", "hilum", "drill", "--all", *options, *films], check=False)
    record = json.loads((out / "drills.json").read_text(encoding="utf-8"))
    for fault in record["faults"]:
        fault.pop("played", None)
    stated = " ".join(options[:4])
    run = {
        "kind": kind,
        "command": f"hilum drill --all {stated}" + (" --data FILMS" if films else ""),
        "commit": current_commit(),
        **record,
    }
    known = json.loads(MEASURED.read_text(encoding="utf-8"))["runs"] if MEASURED.is_file() else []
    runs = [one for one in known if one["kind"] != kind] + [run]
    MEASURED.write_text(json.dumps({"runs": runs}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
