"""Group A: whatever is sent as a film, an answer or a refusal comes, and nothing dies, hangs or swells."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hilum.domain.errors import DecoderFailed, InputError
from hilum.inference.decoding import DecodedFilm, DecodePool
from tests.harness.bombs import BOMBS, HARMLESS
from tests.harness.dicom_cases import semantic_cases, syntax_cases
from tests.harness.films import SIDE_PX, many_encodings
from tests.harness.mutate import closed_jpeg, flipped, spliced, truncated
from tests.harness.processes import pss_bytes
from tests.harness.raster_cases import raster_cases
from tests.harness.server import Server
from tests.reliability.conftest import GENEROUS, start

from .trial import Finding, trial

SEED = 11
CUT_STEP = 5
FLIPS_EACH = 2_000
BOMB_ROUNDS = 20
HTTP_REQUESTS = 25_000
CLIENTS = 4
SLOW_S = 5.0
GROWTH_BYTES = 16 * 1024 * 1024
FORMATS = ("PNG", "JPEG", "DICOM")


class Tally:
    """What came of many films in the decoding processes."""

    def __init__(self, pool: DecodePool) -> None:
        self.pool = pool
        self.refused = self.accepted = self.changed = self.slow = self.failed = 0
        self.first = ""
        self._lock = threading.Lock()

    def send(self, data: bytes, name: str, whole: np.ndarray | None) -> None:
        """Decode one; with `whole`, accepted pixels must be those."""
        began = time.monotonic()
        try:
            found: DecodedFilm | None = self.pool.decode(data)
        except InputError:
            found = None
        except DecoderFailed as error:
            with self._lock:
                self.failed += 1
                self.first = self.first or f"{name}: {error}"
            return
        slow = time.monotonic() - began > SLOW_S
        with self._lock:
            self.slow += slow
            if found is None:
                self.refused += 1
                return
            self.accepted += 1
            if whole is not None and not np.array_equal(found.pixels, whole):
                self.changed += 1
                self.first = self.first or name

    @property
    def count(self) -> int:
        return self.refused + self.accepted + self.failed

    def __str__(self) -> str:
        first = f" (first: {self.first})" if self.first else ""
        return (
            f"{self.refused} refused, {self.accepted} accepted, {self.changed} of them with other"
            f" pixels{first}; {self.pool.deaths} decoders died, {self.slow} took over"
            f" {SLOW_S:.0f} s, {self.failed} failed"
        )


def _send_all(tally: Tally, cases: Iterator[tuple[bytes, str, np.ndarray | None]]) -> None:
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                case = next(cases, None)
            if case is None:
                return
            tally.send(*case)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work) for _ in range(2)]:
            done.result()


def _use_pillow_alone() -> None:
    """Sabotage the decoding processes: JPEG is read by Pillow, which forgives."""
    from tests.harness.server import ROOT, STARTUP

    os.environ["HILUM_SABOTAGE"] = "pillow-jpeg"
    os.environ["PYTHONPATH"] = f"{STARTUP}{os.pathsep}{ROOT}"


@trial(
    "A1",
    f"films of eleven encodings cut at every {CUT_STEP}th byte, into the decoding processes; JPEG cuts also"
    " closed by an end marker",
    target="0 deaths, 0 over 5 s, 0 other exceptions, 0 accepted with other pixels than the whole film's",
    sabotage="JPEG is decoded by Pillow alone",
)
def cut_films(folder: Path, broken: bool) -> Finding:
    """Cut, decode, compare."""
    del folder
    if broken:
        _use_pillow_alone()
    pool = DecodePool(side_px=SIDE_PX, workers=2, formats=FORMATS)
    pool.wait_ready()

    def cases() -> Iterator[tuple[bytes, str, np.ndarray | None]]:
        for name, data in many_encodings().items():
            if broken and "jpeg baseline" not in name:
                continue
            whole = pool.decode(data).pixels
            for length, cut in truncated(data, every=CUT_STEP):
                yield cut, f"{name} cut to {length}", whole
                if name == "jpeg baseline":
                    yield cut + b"\xff\xd9", f"{name} cut to {length} and closed", whole

    tally = Tally(pool)
    _send_all(tally, cases())
    passed = tally.changed == tally.slow == tally.failed == pool.deaths == 0 and tally.count > 40_000
    pool.close()
    return Finding(tally.count, passed, str(tally))


@trial(
    "A3",
    f"films of eleven encodings with 1 to 8 flipped bits, {FLIPS_EACH:,} of each, and splices of two, into"
    " the decoding processes",
    target="0 deaths, 0 over 5 s, 0 other exceptions",
    sabotage="somebody kills the decoding processes",
)
def flip_bits(folder: Path, broken: bool) -> Finding:
    """Flip, decode."""
    del folder
    pool = DecodePool(side_px=SIDE_PX, workers=2, formats=FORMATS)
    pool.wait_ready()

    def cases() -> Iterator[tuple[bytes, str, np.ndarray | None]]:
        samples = many_encodings()
        each = FLIPS_EACH if not broken else 50
        for name, data in samples.items():
            for number, damaged in flipped(data, count=each, seed=SEED):
                yield damaged, f"{name} flip {number}", None
            for other, second in samples.items():
                yield spliced(data, second, 0.5), f"{name} spliced with {other}", None

    tally = Tally(pool)
    if broken:
        killer = threading.Timer(0.5, lambda: [os.kill(pid, 9) for pid in pool.process_ids()])
        killer.start()
    _send_all(tally, cases())
    passed = tally.slow == tally.failed == pool.deaths == 0
    pool.close()
    return Finding(tally.count, passed, str(tally))


@trial(
    "A4",
    f"{len(BOMBS)} kinds of decompression bombs and headers that promise too much, {BOMB_ROUNDS} times each",
    target="each refused (or harmless) within 2 s; the parent grows by at most 16 MiB, and reads on",
    sabotage="the parent keeps what it was sent",
    alone=True,
)
def explode(folder: Path, broken: bool) -> Finding:
    """Send bombs, watch time and memory."""
    del folder
    pool = DecodePool(side_px=SIDE_PX, workers=2, formats=FORMATS)
    pool.wait_ready()
    good = many_encodings()["png 8"]
    pool.decode(good)
    kept: list[bytes] = []
    slowest, accepted, count = 0.0, [], 0
    made = {name: make() for name, make in BOMBS.items()}
    base = pss_bytes(os.getpid())
    for _ in range(BOMB_ROUNDS if not broken else 3):
        for name, data in made.items():
            began = time.monotonic()
            try:
                pool.decode(data)
                accepted += [] if name in HARMLESS else [name]
            except (InputError, DecoderFailed):
                pass
            slowest = max(slowest, time.monotonic() - began)
            count += 1
            if broken:
                kept.append(bytes(bytearray(8 * 1024 * 1024)))
    growth = pss_bytes(os.getpid()) - base
    pool.decode(good)
    pool.close()
    return Finding(
        count,
        not accepted and slowest <= 2.0 and growth <= GROWTH_BYTES,
        f"{len(set(accepted))} kinds accepted, slowest {slowest:.2f} s,"
        f" parent grew by {growth / 2**20:.1f} MiB",
    )


def _hostile(dice: random.Random) -> Iterator[bytes]:
    """Yield hostile films for ever: tables of cases first, then mutations of samples."""
    for _, data, _ in (*semantic_cases(), *syntax_cases(), *raster_cases()):
        yield data
    samples = list(many_encodings().values())
    jpeg = samples[2]
    while True:
        data = dice.choice(samples)
        kind = dice.randrange(5)
        if kind == 0:
            yield data[: dice.randrange(len(data))]
        elif kind == 1:
            yield next(iter(flipped(data, count=1, seed=dice.randrange(1 << 30))))[1]
        elif kind == 2:
            yield spliced(data, dice.choice(samples), dice.random())
        elif kind == 3:
            yield closed_jpeg(jpeg, dice.randrange(10, 100))
        else:
            yield dice.randbytes(dice.randrange(1, 4096))


@trial(
    "A12",
    "hostile films over HTTP, by four clients: tables of DICOM and raster cases, cuts, flips, splices, noise",
    target="0 answers 5xx but 503 overload, 0 workers replaced, every refusal is problem+json, no file"
    " written outside the data folder",
    sabotage="a film that cannot be decoded is an error of the service",
)
def ask_the_service(folder: Path, broken: bool) -> Finding:
    """Send them to a real service."""
    if broken:
        os.environ["HILUM_SABOTAGE"] = "unmapped-errors"
    server = start(folder / "data", environment=GENEROUS)
    try:
        return _ask(server, folder, HTTP_REQUESTS if not broken else 400)
    finally:
        server.end()


def _ask(server: Server, folder: Path, requests: int) -> Finding:
    films = _hostile(random.Random(SEED))
    lock = threading.Lock()
    statuses: Counter[str] = Counter()
    bare = 0
    before = {path for path in folder.rglob("*") if path.is_file()}
    pid = server.pid
    kinds = ("/predict", "/predict/explain")

    def work(each: int) -> int:
        without = 0
        for number in range(each):
            with lock:
                data = next(films)
            answer = server.predict(data, path=kinds[number % 2], timeout_s=60)
            with lock:
                statuses[f"{answer.status} {answer.code or ''}".strip()] += 1
            without += answer.status >= 400 and answer.code is None
        return without

    with ThreadPoolExecutor(CLIENTS) as pool:
        bare = sum(pool.map(work, [requests // CLIENTS] * CLIENTS))
    bad = sum(
        number for status, number in statuses.items() if status.startswith("5") and status != "503 overload"
    )
    written = {path for path in folder.rglob("*") if path.is_file()} - before
    outside = [path for path in written if (folder / "data") not in path.parents]
    is_same = server.is_running and server.pid == pid
    told = ", ".join(f"{status}: {number}" for status, number in statuses.most_common(8))
    return Finding(
        sum(statuses.values()),
        bad == 0 and bare == 0 and is_same and not outside,
        f"{bad} answers 5xx, {bare} refusals without problem+json, {len(outside)} files outside; {told}",
    )
