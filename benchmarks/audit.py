"""Audit a real data set: tables, findings, shortcut figures, time; beside cleanvision and imagehash.

All in one run on one machine, each with every core. Writes counts and figures, never a file name. The peers
need an environment of their own, as they are not ours to depend on:

    python -m venv peers && peers/bin/pip install cleanvision imagehash
    python benchmarks/audit.py --data FOLDER --work FOLDER --peer peers/bin/python

A finished audit or peer scan in --work is not run again.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from commit import current_commit

OUT = Path(__file__).resolve().parents[1] / "docs" / "measured" / "audit.json"
NOT_PUBLISHED = ("films", "path", "paths")


def run_timed(command: list[Any], kept: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program; keep the CPU seconds of all its processes, which a busy machine does not stretch."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    times = {"cpu_seconds": cpu, "seconds": time.perf_counter() - start, "load_average": os.getloadavg()[0]}
    kept.write_text(json.dumps(times), encoding="utf-8")
    return done


def read_times(kept: Path) -> dict[str, float]:
    """Return what `run_timed` kept."""
    return dict(json.loads(kept.read_text(encoding="utf-8")))


def run_hilum(data: Path, out: Path, cache: Path, *options: str) -> dict[str, Any]:
    """Run the command line as a user does and return its record."""
    record = out / "audit.json"
    if not record.is_file():
        environment = {**os.environ, "HILUM_CACHE": str(cache)}
        command = [Path(sys.executable).with_name("hilum"), "audit", data, "--out", out, *options]
        done = run_timed(command, out.with_suffix(".times.json"), env=environment)
        if done.returncode not in {0, 1}:
            sys.exit("the audit ended with an error")
    return dict(json.loads(record.read_text(encoding="utf-8")))


def run_peer(python: Path, data: Path, kept: Path) -> dict[str, Any]:
    """Run the peers' scan and return its record."""
    if not kept.is_file():
        script = Path(__file__).parent / "peers" / "scan_films.py"
        done = run_timed([python, script, data], kept.with_suffix(".times.json"))
        kept.write_text(done.stdout.splitlines()[-1], encoding="utf-8")
    return dict(json.loads(kept.read_text(encoding="utf-8")))


def without_names(value: Any) -> Any:
    """Return a record without lists of films: file names stay with the data."""
    if isinstance(value, dict):
        return {
            name: len(part) if name in NOT_PUBLISHED and isinstance(part, list) else without_names(part)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [without_names(part) for part in value]
    return value


def publishable(record: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of an audit that are counts and figures."""
    return {
        "films": record["films"],
        "counts": record["counts"],
        "findings": [without_names(finding) for finding in record["findings"]],
        "inventory": record["inventory"],
        "quality": {name: len(paths) for name, paths in record["quality"]["films"].items()},
        "duplicates": record["duplicates"],
        "leakage": record["leakage"],
        "without_lungs": record["without_lungs"],
        "sources_told_apart": (record.get("shortcuts") or {}).get("sources"),
        "seconds": record["seconds"],
        "seconds_of": record["seconds_of"],
        "films_per_second": record["films_per_second"],
    }


def command_of(options: argparse.Namespace) -> str:
    """Return the command line that was given, without the places of this machine."""
    parts = ["python benchmarks/audit.py --data FOLDER --work FOLDER"]
    parts += ["--peer peers/bin/python"] if options.peer else []
    parts += ["--cache FOLDER"] if options.cache else []
    parts += ["--no-probes"] if options.no_probes else []
    return " ".join(parts)


def main() -> None:
    """Measure and write docs/measured/audit.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--peer", type=Path, help="Python with cleanvision and imagehash.")
    parser.add_argument("--cache", type=Path, help="Decoded films of before; made anew without one.")
    parser.add_argument(
        "--no-probes", action="store_true", help="Leave the probes out: tables and checks only."
    )
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    cache = options.cache or options.work / "pixels"
    quick = run_hilum(options.data, options.work / "quick", cache, "--quick")
    peer = None if options.peer is None else run_peer(options.peer, options.data, options.work / "peer.json")
    name = "quick" if options.no_probes else "whole"
    whole = quick if options.no_probes else run_hilum(options.data, options.work / name, cache)
    record = {
        "command": command_of(options),
        "commit": current_commit(),
        "cores": os.cpu_count(),
        "with_probes": not options.no_probes,
        "films_decoded_before": options.cache is not None,
        "quick": {
            "seconds": quick["seconds"],
            "seconds_of": quick["seconds_of"],
            "films_per_second": quick["films_per_second"],
            "process": read_times(options.work / "quick.times.json"),
        },
        "audit": {
            **publishable(whole),
            "process": read_times(options.work / f"{name}.times.json"),
        },
        "peer": peer and {**peer, "process": read_times(options.work / "peer.times.json")},
    }
    OUT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
