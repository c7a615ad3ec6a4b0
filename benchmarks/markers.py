"""How surely the letter test finds a letter tied to a class, how often it cries wolf, what films it needs.

Phantom sets are drawn with a letter 10 % more frequent on tuberculosis, and clean; each set is tested twice,
with the letters that were found in the pixels and with those known to be there: the difference is what
finding letters costs, the rest is chance. Then many sets are made of those findings by drawing films again,
to see other sizes and rarer letters. Drawn sets are kept in --work: the benchmark can be stopped and gone on.

    python benchmarks/markers.py [--work markers] [--sets 10] [--films 1000]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from commit import current_commit
from hilum.audit.markers import PLACES, compare_letters, letters_by_place
from hilum.audit.record import Severity
from hilum.data.phantom.exposure import MARKER_SHARE, sample_exposure
from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.film import draw_film
from hilum.domain.findings import CLASS_NAMES, Finding

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "markers.json"
DIFFERENCE = 0.10
SIDE_PX = 128
SIZES = (600, 1000, 2000)
BASES = (0.05, 0.15, 0.5)
REDRAWN_SETS = 30
REDRAWN_SHUFFLES = 500
FIRST_SEED = 100
TOP_LEFT = 1 + PLACES.index("top left")


def main() -> None:
    """Draw, test, redraw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("markers"))
    parser.add_argument("--sets", type=int, default=10, help="planted, and as many clean")
    parser.add_argument("--films", type=int, default=1000, help="per set")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, list[pd.DataFrame]] = {"planted": [], "clean": []}
    for number in range(arguments.sets):
        file = arguments.work / f"{arguments.films}-{number:02d}.parquet"
        if not file.exists():
            draw_pair(file, seed=FIRST_SEED + number, films=arguments.films)
        both = pd.read_parquet(file)
        for name, tables in drawn.items():
            tables.append(both[both["set"] == name].reset_index(drop=True))
        print(f"{number + 1} of {arguments.sets} pairs of sets", flush=True)
    everything = pd.concat([table for tables in drawn.values() for table in tables], ignore_index=True)
    found, there = everything["found_0"].to_numpy(), everything["marker"].to_numpy()
    record = {
        "films_per_set": arguments.films,
        "prevalence_difference": DIFFERENCE,
        "side_px": SIDE_PX,
        "letters": {"sensitivity": float(found[there].mean()), "false_alarms": float(found[~there].mean())},
        "drawn": {name: count_answers(tables, found=True) for name, tables in drawn.items()},
        "drawn_with_known_letters": {
            name: count_answers(tables, found=False) for name, tables in drawn.items()
        },
        "redrawn": [],
        "command": "python benchmarks/markers.py",
        "commit": current_commit(),
    }
    MEASURED.write_text(json.dumps(record, indent=1) + "\n")  # what there is, should the rest be stopped
    record["redrawn"] = redraw(everything)
    MEASURED.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def draw_pair(file: Path, *, seed: int, films: int) -> None:
    """Draw a planted and a clean set and keep their rows with the letters found and known.

    A film whose letter the fault does not change is the same film in both, and drawn once.
    """
    drawn: dict[tuple[int, bool], dict[str, object]] = {}
    rows = []
    for name, faults in {"planted": PhantomFaults(Finding.TUBERCULOSIS, DIFFERENCE), "clean": None}.items():
        for index in range(films):
            key = (index, has_letter(index, seed=seed, faults=faults or PhantomFaults()))
            if key not in drawn:
                film = draw_film(index, seed=seed, side_px=SIDE_PX, faults=faults)
                assert film.facts["marker"] == key[1], "the letter is drawn as foreseen"
                row = {field: film.row[field] for field in ("path", "label", "source", "patient_id")}
                letters = letters_by_place(film.pixels[None])[0]
                found = {f"found_{place}": bool(there) for place, there in enumerate(letters)}
                drawn[key] = {**row, "marker": key[1], **found}
            rows.append({"set": name, **drawn[key]})
    pd.DataFrame(rows).to_parquet(file)


def has_letter(index: int, *, seed: int, faults: PhantomFaults) -> bool:
    """Return whether film `index` gets a letter, without drawing it."""
    rng = np.random.default_rng([seed, index, 1])
    rng.random()  # the site
    share = faults.marker_share(tuple(Finding)[index % len(Finding)], MARKER_SHARE)
    return sample_exposure(rng, is_second_site=False, marker_share=share).has_marker


def count_answers(tables: list[pd.DataFrame], *, found: bool) -> dict[str, int]:
    """Count sets by the test's answer."""
    answers = [answer(table, letters_of(table) if found else known_letters(table)) for table in tables]
    return {name: answers.count(name) for name in ("warning", "note", "quiet")} | {"sets": len(tables)}


def answer(table: pd.DataFrame, letters: np.ndarray, *, seed: int = 0, shuffles: int = 5_000) -> str:
    """Return how the test answers: warning (or blocker), note or quiet."""
    _, findings = compare_letters(table, letters, seed=seed, shuffles=shuffles)
    if not findings:
        return "quiet"
    return "note" if findings[0].severity is Severity.NOTE else "warning"


def letters_of(table: pd.DataFrame) -> np.ndarray:
    """Return the letters found, bool (N, 9)."""
    return table[[f"found_{place}" for place in range(9)]].to_numpy()


def known_letters(table: pd.DataFrame) -> np.ndarray:
    """Return the letters drawn, bool (N, 9): they all lie in the top left."""
    letters = np.zeros((len(table), 9), bool)
    letters[:, 0] = letters[:, TOP_LEFT] = table["marker"]
    return letters


def redraw(everything: pd.DataFrame) -> list[dict[str, float]]:
    """Make sets of other sizes and rarer letters of the films drawn, one film a patient, and test them."""
    found = letters_of(everything)
    with_letter, without = (found[everything["marker"].to_numpy() == is_there] for is_there in (True, False))
    rows = []
    for base in BASES:
        for size in SIZES:
            generator = np.random.default_rng([size, round(100 * base)])
            labels = np.asarray(CLASS_NAMES)[np.arange(size) % len(CLASS_NAMES)]
            names = [str(number) for number in range(size)]
            table = pd.DataFrame({"label": labels, "source": "phantom", "patient_id": names, "path": names})
            answers: dict[float, list[str]] = {DIFFERENCE: [], 0.0: []}
            for number in range(REDRAWN_SETS):
                for difference, said in answers.items():
                    shift = np.where(labels == Finding.TUBERCULOSIS, difference / 2, -difference / 2)
                    has = generator.random(size) < base + shift
                    letters = np.where(
                        has[:, None],
                        with_letter[generator.integers(len(with_letter), size=size)],
                        without[generator.integers(len(without), size=size)],
                    )
                    said.append(answer(table, letters, seed=number, shuffles=REDRAWN_SHUFFLES))
            row = {"share_with_letter": base, "films": size, "sets": REDRAWN_SETS}
            for name, difference in (("planted", DIFFERENCE), ("clean", 0.0)):
                row[f"{name}_warning"] = answers[difference].count("warning")
                row[f"{name}_note"] = answers[difference].count("note")
            rows.append(row)
            print(row, flush=True)
    return rows


if __name__ == "__main__":
    main()
