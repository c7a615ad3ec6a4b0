"""Group S: a service that runs for long is afterwards as large, and as fast, as after its first minutes.

Seven parts in ten of what it can do, of every kind of request that there is, and another version of the model
each minute. HILUM_SOAK_S sets the seconds, 600 by default.
"""

import itertools
import os
import random
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.harness.films import real_dicom, real_jpeg, real_png
from tests.harness.models import make_bundle, make_registry
from tests.harness.multipart import many_files, one_file
from tests.harness.open_load import Outcome, open_load, raw_request
from tests.harness.processes import open_files, thread_count, tree, tree_pss_bytes
from tests.harness.server import Server
from tests.reliability.conftest import GENEROUS, start

from .overload import measure_capacity, quantile
from .results import sabotaged
from .trial import Finding, trial

SEED = 19
SOAK_S = float(os.environ.get("HILUM_SOAK_S", "600"))
BROKEN_S = 60.0
LOAD_SHARE, SETTLING_SHARE = 0.7, 0.2
SWAP_S, SAMPLE_S = 60.0, 1.0
SIDE_PX = 256
MIX = {"good": 70, "dicom": 10, "bad": 10, "explain": 5, "batch": 5}
SLOPE_BYTES, PER_REQUESTS = 1024 * 1024, 10_000
GROWTH_BYTES = 32 * 1024 * 1024
SLACK = 2
SLOWER = 1.1


@dataclass(frozen=True)
class Sample:
    """How large the tree of processes was."""

    at_s: float
    pss: int
    files: int
    threads: int
    processes: int
    temporary: int


class Scales:
    """Weighs a service each second, and changes its version each minute."""

    def __init__(self, server: Server, store: object, names: list[str]) -> None:
        self._server, self._store, self._names = server, store, names
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.samples: list[Sample] = []
        self.swaps = 0

    def __enter__(self) -> "Scales":
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pid = self._server.pid
        while not self._stop.wait(SAMPLE_S):
            at = time.monotonic() - self._began
            try:
                left = [path for path in self._server.temporary.rglob("*") if path.is_file()]
                weighed = (
                    tree_pss_bytes(pid),
                    len(open_files(pid)),
                    thread_count(pid),
                    len(tree(pid)),
                    len(left),
                )
                self.samples.append(Sample(at, *weighed))
            except OSError:  # a file or process that ended while it was looked at: the next second will do
                continue
            if at > (self.swaps + 1) * min(SWAP_S, SOAK_S / 3):
                name = self._names[self.swaps % len(self._names)]  # the last of them is in use at first
                self.swaps += 1
                self._store.promote(name, by="soak", reason="swap", override="no evaluation of a stub")  # type: ignore[attr-defined]


def theil_sen(points: list[tuple[float, float]]) -> float:
    """Return the median of the slopes between any two points: one that outliers do not move."""
    slopes = [
        (second[1] - first[1]) / (second[0] - first[0])
        for first, second in itertools.combinations(points, 2)
        if second[0] > first[0]
    ]
    return statistics.median(slopes) if slopes else float("inf")


def _requests(server: Server) -> dict[str, tuple[bytes, frozenset[int]]]:
    """Return a request of each kind, and the statuses that it may have."""

    def make(path: str, kind: str, body: bytes) -> bytes:
        return raw_request(
            "POST", path, headers={"Content-Type": kind, **server.authorization("clinician")}, body=body
        )

    good, dicom = real_png(SIDE_PX), real_dicom(SIDE_PX)
    answered, refused = frozenset({200}), frozenset({415, 422})
    return {
        "good": (make("/predict", *one_file(good)), answered),
        "dicom": (make("/predict", *one_file(dicom)), answered),
        "bad": (make("/predict", *one_file(good[:-2_000])), refused),
        "explain": (make("/predict/explain", *one_file(good)), answered),
        "batch": (make("/predict/batch", *many_files(good, real_jpeg(SIDE_PX), b"no film", dicom)), answered),
    }


@trial(
    "S1",
    f"{SOAK_S:.0f} s of films, DICOM, damaged films, maps and batches at 0.7 of the capacity, another version"
    " of the model each minute",
    target="after the first fifth: memory <= 1 MiB per 10,000 requests (Theil-Sen) and <= 32 MiB in all; open"
    " files, threads, processes and temporary files +-2; p95 of the last tenth <= 1.1 x the first; 0 errors",
    sabotage=f"each film leaves 64 KiB behind ({BROKEN_S:.0f} s)",
    alone=True,
    control_misses="slope",
)
def soak(folder: Path, broken: bool) -> Finding:
    """Load, swap, weigh."""
    seconds = SOAK_S if not broken else BROKEN_S
    root = folder / "registry"
    bundles = [make_bundle(root, f"1.{minor}.0", offset=float(minor)) for minor in range(2)]
    names = [bundle.name for bundle in bundles]
    store = make_registry(root, *bundles, production=names[-1])
    with sabotaged("leaking-films", broken=broken):
        server = start(folder / "data", ("--registry", str(root)), GENEROUS)
    try:
        kinds = _requests(server)
        dice = random.Random(SEED)
        drawn = (dice.choices(list(MIX), list(MIX.values()))[0] for _ in itertools.count())
        capacity = measure_capacity(server, (kinds[kind][0] for kind in drawn))
        rate = LOAD_SHARE * capacity
        sent = [next(drawn) for _ in range(int(rate * seconds))]
        with Scales(server, store, names) as scales:
            outcomes = open_load(server.address, [kinds[kind][0] for kind in sent], rate_per_s=rate)
        wrong = Counter(
            f"{kind} {outcome.failure or outcome.status}"
            for kind, outcome in zip(sent, outcomes, strict=True)
            if outcome.status not in kinds[kind][1]
        )
    finally:
        server.end()
    return _judge(scales, outcomes, wrong, rate, seconds)


def _judge(
    scales: Scales, outcomes: list[Outcome], wrong: Counter[str], rate: float, seconds: float
) -> Finding:
    settled = [one for one in scales.samples if one.at_s >= SETTLING_SHARE * seconds]
    slope = theil_sen([(one.at_s * rate, one.pss) for one in settled]) * PER_REQUESTS
    tenth = max(1, len(settled) // 10)
    growth = statistics.median(one.pss for one in settled[-tenth:]) - statistics.median(
        one.pss for one in settled[:tenth]
    )
    drift = {
        name: abs(
            statistics.median(getattr(one, name) for one in settled[-tenth:])
            - statistics.median(getattr(one, name) for one in settled[:tenth])
        )
        for name in ("files", "threads", "processes", "temporary")
    }
    part = max(1, len(outcomes) // 10)
    after = int(SETTLING_SHARE * len(outcomes))
    first_p95 = quantile([one.latency_s for one in outcomes[after : after + part]], 0.95)
    last_p95 = quantile([one.latency_s for one in outcomes[-part:]], 0.95)
    missed = {
        "slope": slope > SLOPE_BYTES,
        "growth": growth > GROWTH_BYTES,
        "drift": any(value > SLACK for value in drift.values()),
        "p95": last_p95 > SLOWER * first_p95,
        "errors": bool(wrong),
        "swaps": scales.swaps == 0,
    }
    names = [name for name, is_missed in missed.items() if is_missed]
    return Finding(
        len(outcomes),
        not names,
        f"{rate:.0f} requests/s for {seconds:.0f} s, {scales.swaps} versions: memory {slope / 2**20:+.2f} MiB"
        f" per {PER_REQUESTS:,} requests, {growth / 2**20:+.1f} MiB in all; drift {drift}; p95"
        f" {first_p95 * 1000:.0f} then {last_p95 * 1000:.0f} ms; errors {dict(wrong) or 'none'}"
        + (f"; MISSED: {', '.join(names)}" if names else ""),
        missed=tuple(names),
    )
