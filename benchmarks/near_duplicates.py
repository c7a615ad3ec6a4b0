"""Near pairs among many hashes: time and recall, beside imagehash on a size it can do, in one run.

Random 64-bit hashes with planted pairs at 0 to 6 bits, and crowds that a bucket search could go quadratic on.
The peer needs an environment of its own:

    python -m venv peers && peers/bin/pip install imagehash
    python benchmarks/near_duplicates.py --peer peers/bin/python
"""

import argparse
import json
import subprocess
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from commit import current_commit
from hilum.imaging.near_pairs import find_near_pairs

OUT = Path(__file__).resolve().parents[1] / "docs" / "measured" / "near-duplicates.json"
SIZES = (10_000, 100_000, 1_000_000)
PEER_SIZE = 2_000
PLANTED_SHARE = 100  # one hash in a hundred has a planted near copy
MAX_BITS = 6
SEED = 7


def plant(count: int) -> tuple[NDArray[np.uint64], list[tuple[int, int]]]:
    """Return `count` hashes and the planted pairs: equally many at each of 0 to 6 bits."""
    rng = np.random.default_rng([SEED, count])
    copies = count // PLANTED_SHARE
    base = rng.integers(0, 2**64, count - copies, dtype=np.uint64)
    near = base[:copies].copy()
    for place in range(copies):
        for bit in rng.choice(64, place % (MAX_BITS + 1), replace=False):
            near[place] ^= np.uint64(1) << np.uint64(bit)
    return np.concatenate([base, near]), [(place, count - copies + place) for place in range(copies)]


def measure(count: int) -> dict[str, object]:
    """Return time and recall of our search."""
    hashes, planted = plant(count)
    start = time.perf_counter()
    found = find_near_pairs(hashes)
    seconds = time.perf_counter() - start
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    return {
        "hashes": count,
        "seconds": seconds,
        "microseconds_per_hash": 1e6 * seconds / count,
        "planted": len(planted),
        "found": sum(pair in pairs for pair in planted),
        "other_pairs": len(pairs - set(planted)),
        "is_complete": found.is_complete,
    }


def measure_crowd(name: str, hashes: NDArray[np.uint64]) -> dict[str, object]:
    """Return time on hashes that are nearly all alike."""
    start = time.perf_counter()
    found = find_near_pairs(hashes)
    seconds = time.perf_counter() - start
    return {"crowd": name, "hashes": len(hashes), "seconds": seconds, "is_complete": found.is_complete}


def measure_peer(python: Path) -> dict[str, object]:
    """Return imagehash against every pair, and ours on the same hashes."""
    hashes, planted = plant(PEER_SIZE)
    text = "\n".join(f"{value:016x}" for value in hashes.tolist())
    script = Path(__file__).parent / "peers" / "imagehash_pairs.py"
    done = subprocess.run([python, script], input=text, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    pairs = {tuple(pair) for pair in answer["pairs"]}
    start = time.perf_counter()
    find_near_pairs(hashes)
    return {
        "peer": "imagehash, every pair",
        "hashes": PEER_SIZE,
        "seconds": answer["seconds"],
        "found": sum(pair in pairs for pair in planted),
        "planted": len(planted),
        "seconds_ours": time.perf_counter() - start,
        "days_for_a_million_at_this_rate": answer["seconds"] * (SIZES[-1] / PEER_SIZE) ** 2 / 86_400,
    }


def main() -> None:
    """Measure and write docs/measured/near-duplicates.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="Python with imagehash; left out without one.")
    options = parser.parse_args()
    rng = np.random.default_rng(SEED)
    record = {
        "command": "python benchmarks/near_duplicates.py --peer peers/bin/python",
        "commit": current_commit(),
        "rows": [measure(count) for count in SIZES],
        "crowds": [
            measure_crowd("all equal", np.zeros(1_000_000, np.uint64)),
            measure_crowd("20 bits vary", rng.integers(0, 2**20, 1_000_000, dtype=np.uint64)),
        ],
        "peer": None if options.peer is None else measure_peer(options.peer),
    }
    OUT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
