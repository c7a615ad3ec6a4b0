"""The peer of audit.py: what a user would run instead, cleanvision's default issues and imagehash pairs.

Runs in an environment of its own; prints seconds and counts as JSON, no file names.
"""

import itertools
import json
import os
import sys
import time
from pathlib import Path

import imagehash
from cleanvision import Imagelab
from PIL import Image

MAX_BITS = 6


def main() -> None:
    """Scan the folder named on the command line."""
    data = Path(sys.argv[1])
    answer = sys.stdout
    sys.stdout = sys.stderr  # cleanvision reports as it goes
    start = time.perf_counter()
    lab = Imagelab(data_path=str(data))
    lab.find_issues(n_jobs=os.cpu_count())
    seconds = time.perf_counter() - start
    summary = {row["issue_type"]: int(row["num_images"]) for _, row in lab.issue_summary.iterrows()}

    start = time.perf_counter()
    paths = sorted(path for path in data.rglob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg"})
    hashes = []
    for path in paths:
        with Image.open(path) as image:
            hashes.append(imagehash.phash(image))
    hashing = time.perf_counter() - start
    start = time.perf_counter()
    pairs = sum(first - second <= MAX_BITS for first, second in itertools.combinations(hashes, 2))
    record = {
        "cleanvision": {"seconds": seconds, "films": len(lab.issues), "issues": summary},
        "imagehash": {
            "films": len(paths),
            "seconds_hashing": hashing,
            "seconds_comparing": time.perf_counter() - start,
            "pairs_within_6_bits": int(pairs),
        },
    }
    print(json.dumps(record), file=answer)


if __name__ == "__main__":
    main()
