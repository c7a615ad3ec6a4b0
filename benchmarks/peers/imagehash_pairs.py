"""The peer of near_duplicates.py: imagehash, every hash against every other, as its documentation does.

Runs in an environment of its own; reads hexadecimal hashes from stdin, prints seconds and near pairs as JSON.
"""

import itertools
import json
import sys
import time

import imagehash

MAX_BITS = 6

hashes = [imagehash.hex_to_hash(line) for line in sys.stdin.read().split()]
start = time.perf_counter()
pairs = [
    [first, second]
    for first, second in itertools.combinations(range(len(hashes)), 2)
    if hashes[first] - hashes[second] <= MAX_BITS
]
print(json.dumps({"seconds": time.perf_counter() - start, "pairs": pairs}))
