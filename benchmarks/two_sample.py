"""Do the drift measures say what they claim? PSI and KL against scipy; false positives and power, simulated.

    python benchmarks/two_sample.py DATA [--runs 2000] [--psi-runs 20000] [--power-runs 40] [--answers FILE]

Chance: the two-sample test on Gaussian and heavy-tailed coordinates and on real embeddings (validation and
test films, split at random), and the PSI rule at the number of films that it asks for. Power: real test films
made mildly worse, against the released model's reference, by size of the window.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import rel_entr
from scipy.stats import binomtest, entropy

from commit import current_commit
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import DRIFT_ALPHA, DRIFT_PSI, EMBEDDING_ALPHA, EMBEDDING_WINDOW_FILMS
from hilum.evaluation.embedding_space import unpack_coordinates
from hilum.evaluation.reference_profile import ReferenceProfile
from hilum.inference.engine import Engine
from hilum.monitoring.divergence import (
    films_needed,
    group_cells,
    kl_divergence,
    population_stability_index,
    regroup,
    to_distribution,
)
from hilum.monitoring.drift import match_mix
from hilum.monitoring.drill_films import FilmPool, read_films
from hilum.monitoring.film_changes import SCANNER, FilmChange, blur_to
from hilum.monitoring.two_sample import compare_samples
from hilum.registry.bundle import find_released

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "two-sample.json"
LEVELS = (0.05, 0.01, 0.001)
WINDOWS = (25, 50, 100, 200, 400)
CHANGES: tuple[FilmChange | None, ...] = (None, blur_to(1), blur_to(2), blur_to(3), SCANNER)
NEW, OLD, WIDTH = 100, 200, 16
SEED = 31
Sampler = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--psi-runs", type=int, default=20_000)
    parser.add_argument("--power-runs", type=int, default=40)
    parser.add_argument(
        "--answers", type=Path, help="kept by hilum drill, so that films are not scored again"
    )
    arguments = parser.parse_args()
    started = time.process_time()
    engine = Engine.open(find_released())
    try:
        reference = engine.reference
        assert reference is not None
        films = read_films(arguments.data)
        pool = FilmPool(films, engine, reference, made_of="test films")
        if arguments.answers:
            pool.remember(arguments.answers)
        seen = {change.name if change else "unchanged": embed(pool, change) for change in CHANGES}
    finally:
        engine.close()
    print("embeddings", round(time.process_time() - started), flush=True)
    record = {
        "command": f"python benchmarks/two_sample.py DATA --runs {arguments.runs}"
        f" --psi-runs {arguments.psi_runs} --power-runs {arguments.power_runs}",
        "commit": current_commit(),
        "model": pool.model_version,
        "test_films": len(films),
        "against_scipy": compare_with_scipy(),
        "psi": psi_by_chance(reference, arguments.psi_runs),
        "false_positives": false_positives(seen["unchanged"], reference, arguments.runs),
        "window": EMBEDDING_WINDOW_FILMS,
        "level": EMBEDDING_ALPHA,
        "power_runs": arguments.power_runs,
        "power": {
            name: power(coordinates, calls, reference, arguments.power_runs)
            for name, (coordinates, calls) in seen.items()
        },
        "cpu_seconds": round(time.process_time() - started, 1),
    }
    MEASURED.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def embed(pool: FilmPool, change: FilmChange | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates (N, D) and calls (N,) of the films that are answered."""
    answers = [film for film in pool.answers(range(len(pool.films)), change) if film.refusal is None]
    coordinates = [unpack_coordinates(str(film.facts["embedding"])) for film in answers]
    calls = [CLASS_NAMES.index(str(film.prediction)) for film in answers]
    return np.array(coordinates, np.float32), np.array(calls, np.int64)


def compare_with_scipy(trials: int = 1000) -> dict[str, Any]:
    """Return the largest differences from scipy on random histograms."""
    random = np.random.default_rng(SEED)
    psi, kl = [], []
    for _ in range(trials):
        cells = int(random.integers(2, 40))
        p, q = (to_distribution(random.poisson(random.gamma(1, 20, cells))) for _ in range(2))
        expected = float(rel_entr(p, q).sum() + rel_entr(q, p).sum())
        psi.append(abs(population_stability_index(p, q) - expected) / max(expected, 1e-12))
        kl.append(abs(kl_divergence(p, q) - float(entropy(p, q))) / max(expected, 1e-12))
    return {"trials": trials, "psi": max(psi), "kl": max(kl)}


def psi_by_chance(reference: ReferenceProfile, runs: int) -> dict[str, Any]:
    """Return how often films of the reference's own distribution pass the threshold, by statistic.

    Both samples are drawn, the reference as well; cells are grouped as in service.
    """
    random = np.random.default_rng(SEED)
    rows = {}
    for name, counted in reference.histograms.items():
        true, total = counted / counted.sum(), int(counted.sum())
        over = judged = 0
        needs = []
        for _ in range(runs):
            drawn = random.multinomial(total, true)
            bins = group_cells(drawn)
            needed = films_needed(int(bins.max()) + 1, total, DRIFT_PSI, DRIFT_ALPHA)
            if needed is None:
                continue
            judged += 1
            needs.append(needed)
            new = random.multinomial(needed, true)
            p, q = (to_distribution(regroup(counts, bins)) for counts in (new, drawn))
            over += population_stability_index(p, q) > DRIFT_PSI
        rows[name] = {"films_needed": int(np.median(needs)), **rate(int(over), judged)}
        print("psi", name, rows[name], flush=True)
    return {"threshold": DRIFT_PSI, "level": DRIFT_ALPHA, "rows": rows}


def false_positives(
    unchanged: tuple[np.ndarray, np.ndarray], reference: ReferenceProfile, runs: int
) -> dict[str, Any]:
    """Return how often two samples of one distribution are called different, by level."""
    assert reference.sample is not None
    both = np.concatenate([unchanged[0], reference.sample])

    def real(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        order = random.permutation(len(both))
        return both[order[:EMBEDDING_WINDOW_FILMS]], both[order[EMBEDDING_WINDOW_FILMS:][:400]]

    samplers: dict[str, Sampler] = {
        "Gaussian": lambda random: (
            random.standard_normal((NEW, WIDTH)), random.standard_normal((OLD, WIDTH))
        ),
        "heavy-tailed (Student, 1.5 degrees of freedom)": lambda random: (
            random.standard_t(1.5, (NEW, WIDTH)), random.standard_t(1.5, (OLD, WIDTH))
        ),
        "real embeddings, split at random": real,
    }  # fmt: skip
    rows = {}
    for name, sample in samplers.items():
        random = np.random.default_rng(SEED)
        found = np.array([compare_samples(*sample(random), seed=run).p for run in range(runs)])
        rows[name] = {f"{level:g}": rate(int((found <= level).sum()), runs) for level in LEVELS}
        print(name, rows[name], flush=True)
    return rows


def power(
    coordinates: np.ndarray, calls: np.ndarray, reference: ReferenceProfile, runs: int
) -> dict[str, Any]:
    """Return how often a window of films is called different from the reference, by its size."""
    assert reference.sample is not None
    assert reference.sample_calls is not None
    random = np.random.default_rng(SEED)
    rows = {}
    for films in WINDOWS:
        if films > len(coordinates):
            continue
        hits = 0
        for run in range(runs):
            chosen = random.permutation(len(coordinates))[:films]
            kept = match_mix(calls[chosen], reference.sample_calls)
            found = compare_samples(coordinates[chosen], reference.sample[kept], seed=run)
            hits += found.p < EMBEDDING_ALPHA
        rows[str(films)] = rate(hits, runs)
    print(rows, flush=True)
    return rows


def rate(events: int, trials: int) -> dict[str, Any]:
    """Return a share with its exact 95 % interval."""
    interval = binomtest(events, trials).proportion_ci(method="exact")
    return {
        "value": events / trials, "low": float(interval.low), "high": float(interval.high), "events": events,
        "trials": trials,
    }  # fmt: skip


if __name__ == "__main__":
    main()
