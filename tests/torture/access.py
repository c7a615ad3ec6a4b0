"""Group I: what a comparison of secrets tells, and when a key that was rotated or revoked ends.

A comparison is timed with digests that agree in their first bytes with the one that is stored. Digests are
drawn anew by the hundred, and each is copied to the same place before it is compared: what caches make of the
addresses of one digest is more than what a comparison in C that stops early would gain.
"""

import math
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hilum.journal import chain
from tests.harness.keys import issue
from tests.harness.server import Server
from tests.harness.workers import connections_to_each
from tests.reliability.conftest import GENEROUS, start
from tests.reliability.test_access import CREDENTIALS, Seen, bytes_not_refused, watch

from .sabotaged import break_here, sabotaged
from .service import serving
from .trial import Finding, trial

SEED = 22
BYTES, DIGESTS, COMPARISONS, SAMPLES, MAX_T = 32, 500, 20_000, 3, 4.5
KEPT_SHARE = 0.9
"""Of the times: the slowest tenth is what else the machine did, and hides everything."""
LETTERS = "0123456789abcdef"
ROTATIONS, WORKERS, OVERLAP_S, NEAR_S = 8, 2, 2.88, 1.0
FEWEST_ASKED = 10


@trial(
    "I2",
    f"{COMPARISONS:,} comparisons of digests that agree in their first 0 to {BYTES - 1} bytes, each,"
    f" {SAMPLES} times; a credential of each of 256 bytes in each of {len(CREDENTIALS)} headers",
    target=f"Welch's |t| < {MAX_T} of each against that of 0 bytes, of all times and of the fastest nine"
    " tenths; every byte is answered 401, or 400 where HTTP forbids it",
    sabotage="digests are compared with ==",
    alone=True,
)
def compare(folder: Path, broken: bool) -> Finding:
    """Time comparisons in this process; ask a service for the bytes."""
    if broken:
        break_here("plain-comparison")
    found = [_greatest_t(chain.is_same, seed) for seed in range(SAMPLES)]
    whole, trimmed, spread = min(found)  # something else may run for a while beside one of them
    not_refused: dict[int, list[int]] = {}
    if not broken:
        server = start(folder / "data", environment=GENEROUS)
        try:
            for header in CREDENTIALS:
                not_refused |= bytes_not_refused(server, header)
        finally:
            server.end()
    return Finding(
        SAMPLES * BYTES * COMPARISONS,
        whole < MAX_T and trimmed < MAX_T and not not_refused,
        f"|t| at most {whole:.1f} of all times, {trimmed:.1f} of the fastest {100 * KEPT_SHARE:.0f} %, whose"
        f" means are at most {spread:.2f} ns apart; {len(not_refused)} of 256 bytes answered otherwise",
    )


def _greatest_t(compare_two: Callable[[str, str], bool], seed: int) -> tuple[float, float, float]:
    """Return the greatest |t| of all times and of the fastest, and how far apart the means of these are."""
    took = _time_comparisons(compare_two, random.Random(SEED + seed))
    longest = sorted(one for times in took for one in times)[int(KEPT_SHARE * BYTES * len(took[0]))]
    fast = [[one for one in times if one <= longest] for times in took]
    means = [statistics.fmean(times) for times in fast]
    whole, trimmed = (max(abs(_welch(one, each[0])) for one in each[1:]) for each in (took, fast))
    return whole, trimmed, max(means) - min(means)


def _time_comparisons(compare_two: Callable[[str, str], bool], dice: random.Random) -> list[list[int]]:
    """Time comparisons, in nanoseconds, by how many bytes agree, in an order that is drawn anew each time."""
    pairs = [pair for _ in range(DIGESTS) for pair in _draw_pairs(dice)]
    took: list[list[int]] = [[] for _ in range(BYTES)]
    clock = time.perf_counter_ns
    for _ in range(COMPARISONS // DIGESTS):
        dice.shuffle(pairs)
        for agreeing, given, stored in pairs:
            one, other = bytearray(given).decode(), bytearray(stored).decode()
            began = clock()
            compare_two(one, other)
            ended = clock()
            took[agreeing].append(ended - began)
    return took


def _draw_pairs(dice: random.Random) -> list[tuple[int, bytes, bytes]]:
    """Draw a digest, and one for each number of bytes that agrees with it so far and nowhere behind."""
    stored = "".join(dice.choices(LETTERS, k=2 * BYTES))
    other = "".join(dice.choice(LETTERS.replace(letter, "")) for letter in stored)
    return [
        (agreeing, (stored[: 2 * agreeing] + other[2 * agreeing :]).encode(), stored.encode())
        for agreeing in range(BYTES)
    ]


def _welch(one: list[int], other: list[int]) -> float:
    variance = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(variance) if variance else 0.0


@trial(
    "I4",
    f"a key rotated and its successor revoked, {ROTATIONS} times, while each of {WORKERS} workers is asked 50"
    " times a second",
    target=f"on each worker the old key ends within {NEAR_S:.0f} s of its expiry and the revoked one within"
    f" {NEAR_S:.0f} s; 0 requests of either refused before",
    sabotage="each worker remembers for a minute that a key was good",
    alone=True,
)
def rotate(folder: Path, broken: bool) -> Finding:
    """Rotate, watch, revoke, watch."""
    asked, farthest, slowest = 0, 0.0, 0.0
    faults: Counter[str] = Counter()
    with (
        sabotaged("keys-known-for-a-minute" if broken else None),
        # what ends is a key refused, which counts as a guess: 10 of a minute would be answered 429
        serving(folder, workers=WORKERS, environment={"HILUM_VARIANT": "patient-with-guesses"}) as server,
    ):
        for _ in range(ROTATIONS if not broken else 1):
            old, new, expires, revoked = _rotate_once(server)
            asked += sum(map(len, [*old, *new]))
            for seen in old:
                farthest = max(farthest, *(abs(at - expires) for at in _end_of(seen, faults)))
            for seen in new:
                slowest = max(slowest, _end_of(seen, faults)[0] - revoked)
    return Finding(
        asked,
        not faults and farthest <= NEAR_S and slowest <= NEAR_S,
        f"the old key ended at most {farthest:.2f} s from its expiry, the revoked one {slowest:.2f} s after;"
        f" {dict(faults) or 'no request refused before'}",
    )


def _rotate_once(server: Server) -> tuple[list[Seen], list[Seen], float, float]:
    """Return what each worker said to the old key and to the new one, and when each was to end."""
    old_id, old = issue(server, "clinician")
    is_over = threading.Event()
    seen_old: list[Seen] = [[] for _ in range(WORKERS)]
    seen_new: list[Seen] = [[] for _ in range(WORKERS)]
    with connections_to_each(server, 2) as connections, ThreadPoolExecutor(2 * WORKERS) as pool:
        assert len(connections) == WORKERS
        try:
            for (first, _), seen in zip(connections.values(), seen_old, strict=True):
                pool.submit(watch, first, old, seen, is_over)
            time.sleep(0.5)
            rotated = server.post_json(
                f"/admin/keys/{old_id}/rotate", {"overlap_hours": OVERLAP_S / 3600}, role="admin"
            )
            expires = time.monotonic() + OVERLAP_S
            new_id, new = rotated.json()["id"], rotated.json()["key"]
            for (_, second), seen in zip(connections.values(), seen_new, strict=True):
                pool.submit(watch, second, new, seen, is_over)
            time.sleep(OVERLAP_S + 1.5 * NEAR_S)
            server.request("DELETE", f"/admin/keys/{new_id}", role="admin")
            revoked = time.monotonic()
            time.sleep(1.5 * NEAR_S)
        finally:
            is_over.set()
    return seen_old, seen_new, expires, revoked


def _end_of(seen: Seen, faults: Counter[str]) -> tuple[float, float]:
    """Return when the last request left that was answered, and when the refusal came; note what is wrong."""
    *before, (last_asked, refused, status) = seen
    if len(before) < FEWEST_ASKED or any(status != 200 for _, _, status in before):
        faults["refused too early"] += 1
    if status == 200:
        return last_asked, refused  # to the end
    if status != 401:
        faults[f"answered {status}"] += 1
    return (before[-1][0] if before else last_asked), refused
