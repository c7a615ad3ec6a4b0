"""Planted faults found, none invented: precision and recall of each kind of finding over 40 phantom sets.

8 sets are clean, in 13 one kind is planted alone, in the others every second kind together. A film named by a
finding counts, so the right code on the wrong film is a miss and a false alarm. Seeds differ from those that
thresholds were looked at with; phantoms, faults and audit have one author, so films of a hospital will be
harder. Only the checks that need no probe are run. Finished sets are kept in --work and not made again.

    python benchmarks/planted_faults.py --work FOLDER [--processes 2]
"""

import argparse
import json
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from commit import current_commit

OUT = Path(__file__).resolve().parents[1] / "docs" / "measured" / "planted-faults.json"
SETS = 40
CLEAN_SETS = 8
FILMS = 48
SIDE_PX = 128
FIRST_SEED = 20_000  # 9,000 served to set the check of fine detail
PLANTED = 3  # films of a kind in a set that has it
FAULT_OF_CODE = {
    "unreadable": "corrupt",
    "undersized": "undersized",
    "extreme-aspect": "extreme_aspect",
    "blank": "blank",
    "saturated": "saturated",
    "colour": "colour",
    "inverted": "inverted",
    "rotated": "rotated",
    "not-a-chest": "not_chest",
    "lateral-suspected": None,
    "exact-duplicate": "duplicate_in_split",
    "exact-duplicate-other-label": "duplicate_other_label",
    "exact-duplicate-across-splits": "duplicate_across_splits",
    "near-duplicate-across-splits": "duplicate_across_splits",
    "near-duplicate-other-label": None,
    "near-duplicate": None,
    "patient-across-splits": "patient_across_splits",
    "tables-disagree": None,
}
KINDS = tuple(dict.fromkeys(kind for kind in FAULT_OF_CODE.values() if kind))
ALONE = len(KINDS)


def kinds_of(number: int) -> tuple[str, ...]:
    """Return what is planted in set `number`: nothing, one kind, or every third kind together."""
    if number < CLEAN_SETS:
        return ()
    if number < CLEAN_SETS + ALONE:
        return (KINDS[number - CLEAN_SETS],)
    return tuple(kind for place, kind in enumerate(KINDS) if (place + number) % 2 == 0)


def measure_set(number: int, work: Path) -> dict[str, Any]:
    """Draw, audit and compare one set; the answer is kept in the work folder."""
    kept = work / f"set-{number:02d}.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text()))
    from hilum.audit.run import run_audit
    from hilum.config.load import load_config
    from hilum.data.phantoms import PhantomFaults, draw_phantoms

    start = time.perf_counter()
    folder = work / f"set-{number:02d}"
    os.environ["HILUM_CACHE"] = str(folder / "pixels")
    kinds = kinds_of(number)
    faults = PhantomFaults(**dict.fromkeys(kinds, PLANTED))  # type: ignore[arg-type]
    draw_phantoms(folder / "films", count=FILMS, seed=FIRST_SEED + number, side_px=SIDE_PX, faults=faults)
    config = load_config(overrides=["preprocessing.image_size=128"])
    audit = run_audit(folder / "films", folder / "audit", config=config, deep=False)
    planted = json.loads((folder / "films" / "phantoms.json").read_text())["faults"]["planted"]
    rows = {
        code: compare(code, planted, [finding for finding in audit.findings if finding.code == code])
        for code in FAULT_OF_CODE
    }
    record = {"kinds": kinds, "rows": rows, "films": audit.inventory.films}
    record["seconds"] = time.perf_counter() - start
    kept.write_text(json.dumps(record))
    shutil.rmtree(folder)
    return record


def compare(code: str, planted: dict[str, list[Any]], findings: list[Any]) -> dict[str, int]:
    """Count films: planted, found of them, and named without reason. A copy's original is no false alarm."""
    expected, excused = expected_films(code, planted)
    named = {path for finding in findings for path in finding.films}
    return {
        "planted": len(expected),
        "found": len(expected & named),
        "false_alarms": len(named - expected - excused) + sum(not finding.films for finding in findings),
    }


def expected_films(code: str, planted: dict[str, list[Any]]) -> tuple[set[str], set[str]]:
    """Return the films that a finding must name, and those that it may."""
    fault = FAULT_OF_CODE[code]
    entries = planted.get(fault, []) if fault else []
    if fault == "duplicate_across_splits":
        entries = [entry for entry in entries if entry["is_brightened"] == code.startswith("near")]
    expected = {entry["path"] if isinstance(entry, dict) else entry for entry in entries}
    excused = {entry["original"] for entry in entries if isinstance(entry, dict) and "original" in entry}
    if fault == "patient_across_splits":
        # all films of the patient are named: follow-ups and copies of the original are no false alarms
        for copies in ("duplicate_in_split", "duplicate_other_label"):
            excused |= {entry["path"] for entry in planted.get(copies, []) if entry["original"] in excused}
        excused |= {follow_up(path, step) for path in set(excused) for step in (-3, 3)}
    return expected, excused


def follow_up(path: str, step: int) -> str:
    """Return the film drawn before or after a film in its class, which may show the same patient."""
    folder, _, name = path.rpartition("/")
    number = name.removeprefix("phantom_").removesuffix(".png")
    return f"{folder}/phantom_{int(number) + step:05d}.png" if number.isdigit() else path


def main() -> None:
    """Measure every set and write docs/measured/planted-faults.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.processes) as pool:
        sets = list(pool.map(partial(measure_set, work=options.work), range(SETS)))
    rows = []
    for code in FAULT_OF_CODE:
        counts = [one["rows"][code] for one in sets]
        planted, found, false = (
            sum(row[key] for row in counts) for key in ("planted", "found", "false_alarms")
        )
        rows.append(
            {
                "finding": code,
                "sets_with_it": sum(row["planted"] > 0 for row in counts),
                "planted": planted,
                "found": found,
                "false_alarms": false,
                "recall": found / planted if planted else None,
                "precision": found / (found + false) if found + false else None,
            }
        )
    record = {
        "command": "python benchmarks/planted_faults.py --work FOLDER",
        "commit": current_commit(),
        "sets": SETS,
        "clean_sets": CLEAN_SETS,
        "clean_sets_with_a_finding": sum(
            any(row["false_alarms"] for row in one["rows"].values()) for one in sets[:CLEAN_SETS]
        ),
        "films": sum(one["films"] for one in sets),
        "seconds_of_all_sets": sum(one["seconds"] for one in sets),
        "rows": rows,
    }
    OUT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
