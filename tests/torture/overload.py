"""Group G: with ten times more films than it can answer, a service answers what it can and refuses the rest.

The films are real ones and so is the model. Capacity is measured first, by clients that wait for their
answers; then requests leave on a schedule, whatever comes back. The load is made on the same machine, and
takes its share of it.
"""

import asyncio
import itertools
import re
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

import uvloop

import hilum.released
from tests.harness.films import real_png
from tests.harness.keys import issue
from tests.harness.multipart import one_file
from tests.harness.open_load import Outcome, open_load, raw_request, send_once
from tests.harness.processes import tree_pss_bytes, wait_until
from tests.harness.server import Server
from tests.reliability.conftest import GENEROUS, start

from .trial import Finding, trial

KEYS = 24
CLOSED_CLIENTS, CLOSED_S = 8, 10.0
TWICE_S, TENFOLD_S, STORM_S, FAIR_S = 20.0, 40.0, 20.0, 20.0
SIDE_PX = 256
MAX_GAUGE = 10  # eight wait, two are scored
ACCEPTED_P95_S, LIVE_P99_S = 0.5, 0.1
GOODPUT_SHARE, STORM_SHARE, FAIR_SHARE = 0.9, 0.8, 1.5
GROWTH_BYTES = 64 * 1024 * 1024
RECOVERY_S = 5.0
RETRY_AFTER_S = range(1, 11)
TIMEOUT_S = 20.0
GAUGE = re.compile(rb"^hilum_films_in_work(?:\{[^}]*\})? ([0-9.]+)", re.MULTILINE)


def released_model() -> Path:
    """Return the bundle that is shipped."""
    (folder,) = (
        path for path in Path(hilum.released.__file__).parent.iterdir() if path.name.startswith("tf_")
    )
    return folder


@contextmanager
def serving(folder: Path, *, broken: bool) -> Iterator[Server]:
    """Start a service of the shipped model; with `broken` it takes whatever comes."""
    environment = GENEROUS | ({"HILUM_VARIANT": "unbounded-queue"} if broken else {})
    server = start(folder / "data", ("--model", str(released_model())), environment)
    try:
        yield server
    finally:
        server.end()


def film_requests(server: Server, keys: Sequence[str]) -> Iterator[bytes]:
    """Yield requests for one film for ever, each with the next key."""
    kind, body = one_file(real_png(SIDE_PX))
    ready = [
        raw_request(
            "POST", "/predict", headers={"Content-Type": kind, "Authorization": f"Bearer {key}"}, body=body
        )
        for key in keys
    ]
    assert server.is_running
    return itertools.cycle(ready)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share does not exceed; infinite when there is none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("inf")


async def _closed(
    address: tuple[str, int], requests: Iterator[bytes], clients: int, seconds: float
) -> list[float]:
    taken: list[float] = []
    end = time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            answer = await send_once(address, next(requests), TIMEOUT_S)
            if answer is not None and answer.status == 200:
                taken.append(time.monotonic() - began)

    await asyncio.gather(*(client() for _ in range(clients)))
    return taken


def closed_load(server: Server, requests: Iterator[bytes], *, clients: int, seconds: float) -> list[float]:
    """Let clients that wait for their answers ask for a time; return how long each answer 200 took."""
    return uvloop.run(_closed(server.address, requests, clients, seconds))


def measure_capacity(server: Server, requests: Iterator[bytes]) -> float:
    """Return films answered a second, after a second of warming up."""
    closed_load(server, requests, clients=CLOSED_CLIENTS, seconds=1.0)
    return len(closed_load(server, requests, clients=CLOSED_CLIENTS, seconds=CLOSED_S)) / CLOSED_S


def watch_live(address: tuple[str, int], seconds: float) -> list[float]:
    """Ask every 100 ms whether it lives; run this in a process of its own."""
    request = raw_request("GET", "/health/live", headers={})
    outcomes = open_load(address, [request] * int(seconds * 10), rate_per_s=10)
    return [outcome.latency_s if outcome.status == 200 else float("inf") for outcome in outcomes]


def ask_slowly(address: tuple[str, int], requests: list[bytes], rate: float) -> list[Outcome]:
    """Ask at a rate, in a process of its own: what it waits is the service's doing and not the load's."""
    return open_load(address, requests, rate_per_s=rate)


class Sampler:
    """Memory of the tree, and the gauge of films in work, while a load runs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.gauges: list[float] = []
        self.first_bytes = self.most_bytes = tree_pss_bytes(server.pid)

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self.most_bytes = max(self.most_bytes, tree_pss_bytes(self._server.pid))
            try:
                found = GAUGE.search(self._server.get("/metrics", role="admin").body)
            except OSError:
                continue
            if found:
                self.gauges.append(float(found[1]))

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def growth_bytes(self) -> int:
        return self.most_bytes - self.first_bytes


@dataclass(frozen=True)
class Load:
    """What came of an open load."""

    outcomes: list[Outcome]
    seconds: float
    live_s: list[float]
    gauge: float
    growth_bytes: int

    @property
    def accepted_s(self) -> list[float]:
        return [outcome.latency_s for outcome in self.outcomes if outcome.status == 200]

    @property
    def goodput(self) -> float:
        return len(self.accepted_s) / self.seconds

    @property
    def refused(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.status == 503]

    @property
    def bad_refusals(self) -> int:
        def is_good(outcome: Outcome) -> bool:
            assert outcome.answer is not None
            told = outcome.answer.header("retry-after") or ""
            return told.isdecimal() and int(told) in RETRY_AFTER_S and b'"overload"' in outcome.answer.body

        return sum(not is_good(outcome) for outcome in self.refused)

    @property
    def others(self) -> Counter[str]:
        """Everything that is neither an answer nor a refusal: resets, time-outs, other statuses."""
        return Counter(
            outcome.failure or str(outcome.status)
            for outcome in self.outcomes
            if outcome.status not in {200, 503}
        )

    def misses(self, capacity: float) -> list[str]:
        """Name the targets that were missed."""
        found = {
            "gauge": self.gauge > MAX_GAUGE,
            "accepted p95": quantile(self.accepted_s, 0.95) > ACCEPTED_P95_S,
            "goodput": self.goodput < GOODPUT_SHARE * capacity,
            "refusals": self.bad_refusals > 0 or not self.refused,
            "others": bool(self.others),
            "live p99": quantile(self.live_s, 0.99) > LIVE_P99_S,
            "memory": self.growth_bytes > GROWTH_BYTES,
        }
        return [name for name, is_missed in found.items() if is_missed]

    def __str__(self) -> str:
        refusals = [outcome.latency_s for outcome in self.refused]
        told = f", p95 {quantile(refusals, 0.95) * 1000:.0f} ms" if refusals else ""
        others = f", others {dict(self.others)}" if self.others else ""
        return (
            f"{len(self.outcomes)} sent, {len(self.accepted_s)} answered ({self.goodput:.1f}/s,"
            f" p95 {quantile(self.accepted_s, 0.95) * 1000:.0f} ms), {len(self.refused)} refused{told},"
            f" {self.bad_refusals} of them wrongly{others}; at most {self.gauge:.0f} films in work,"
            f" live p99 {quantile(self.live_s, 0.99) * 1000:.0f} ms,"
            f" memory +{self.growth_bytes / 2**20:.0f} MiB; the load itself late by p95"
            f" {quantile([one.sent_s - one.due_s for one in self.outcomes], 0.95) * 1000:.0f} ms"
        )


def pour(server: Server, requests: Iterator[bytes], pool: Pool, *, rate: float, seconds: float) -> Load:
    """Send at a rate for a time, and watch."""
    live = pool.apply_async(watch_live, (server.address, seconds))
    with Sampler(server) as sampler:
        outcomes = open_load(
            server.address,
            list(itertools.islice(requests, int(rate * seconds))),
            rate_per_s=rate,
            timeout_s=TIMEOUT_S,
        )
    gauge = max(sampler.gauges, default=float("inf"))
    return Load(outcomes, seconds, live.get(), gauge, sampler.growth_bytes)


def recovery_s(server: Server, requests: Iterator[bytes], base_p95_s: float) -> float:
    """Return the seconds until five answers in a row are as fast as before the load; infinite if never."""
    began = time.monotonic()

    def is_calm() -> bool:
        taken = closed_load(server, requests, clients=1, seconds=0.5)
        return len(taken) > 1 and statistics.median(taken) <= base_p95_s

    return time.monotonic() - began if wait_until(is_calm, timeout_s=30) else float("inf")


def many_keys(server: Server, count: int) -> list[str]:
    """Issue keys."""
    return [issue(server, "clinician", label=f"ward {number}")[1] for number in range(count)]


@trial(
    "G1",
    f"films of {KEYS} keys at twice the capacity for {TWICE_S:.0f} s and at ten times for {TENFOLD_S:.0f} s,"
    " real model, one worker",
    target=f"both: at most {MAX_GAUGE} films in work, answers p95 <= 500 ms and >= 0.9 of the capacity,"
    " refusals 503 overload with Retry-After 1 to 10 s, nothing else; live p99 <= 100 ms, memory +64 MiB, p95"
    " back in 5 s",
    sabotage="any number of films may wait",
    alone=True,
    control_misses="gauge at 4x",
)
def too_many_films(folder: Path, broken: bool) -> Finding:
    """Measure the capacity, pour twice and ten times of it."""
    with get_context("spawn").Pool(1) as pool, serving(folder, broken=broken) as server:
        requests = film_requests(server, many_keys(server, KEYS))
        base = quantile(closed_load(server, requests, clients=1, seconds=3), 0.95)
        capacity = measure_capacity(server, requests)
        told, missed, count = [f"capacity {capacity:.1f}/s"], [], 0
        for times, seconds in ((2, TWICE_S), (10, TENFOLD_S)) if not broken else ((4, 10.0),):
            load = pour(server, requests, pool, rate=times * capacity, seconds=seconds)
            back = recovery_s(server, requests, base)
            missed += [f"{name} at {times}x" for name in load.misses(capacity)]
            missed += [f"recovery after {times}x"] if back > RECOVERY_S else []
            told.append(f"{times}x: {load}, calm again after {back:.1f} s")
            count += len(load.outcomes)
    words = "; ".join(told) + (f"; MISSED: {', '.join(missed)}" if missed else "")
    return Finding(count, not missed, words, missed=tuple(missed))


@trial(
    "G2",
    f"clients that come back at once when refused, ten for each film in work, for {STORM_S:.0f} s",
    target="answers >= 0.8 of the capacity, nothing but answers and refusals",
    sabotage="any number of films may wait, and clients wait 500 ms at most",
    alone=True,
)
def retry_storm(folder: Path, broken: bool) -> Finding:
    """Clients that never wait."""
    clients, patience_s = 10 * MAX_GAUGE, TIMEOUT_S if not broken else 0.5
    with serving(folder, broken=broken) as server:
        requests = film_requests(server, many_keys(server, KEYS))
        capacity = measure_capacity(server, requests)
        came: Counter[str] = Counter()

        async def storm() -> None:
            end = time.monotonic() + STORM_S

            async def client() -> None:
                while time.monotonic() < end:
                    try:
                        answer = await send_once(server.address, next(requests), patience_s)
                        came[str(answer.status) if answer else "closed"] += 1
                    except (OSError, TimeoutError) as error:
                        came[type(error).__name__] += 1

            await asyncio.gather(*(client() for _ in range(clients)))

        uvloop.run(storm())
    goodput = came["200"] / STORM_S
    others = {name: number for name, number in came.items() if name not in {"200", "503"}}
    return Finding(
        came.total(),
        goodput >= STORM_SHARE * capacity and not others,
        f"capacity {capacity:.1f}/s; {clients} clients got {goodput:.1f}/s answered, {came['503']} refusals,"
        f" others {others or 'none'}",
    )


@trial(
    "G3",
    f"one key asks for ten times the capacity for {FAIR_S:.0f} s while another asks for one film a second",
    target="the other key's answers p95 <= 1.5 x what they are in quiet, and none is refused",
    sabotage="any number of films may wait",
    alone=True,
)
def fairness(folder: Path, broken: bool) -> Finding:
    """A greedy key and a modest one."""
    with get_context("spawn").Pool(1) as pool, serving(folder, broken=broken) as server:
        greedy, modest = many_keys(server, 2)
        requests, few = film_requests(server, [greedy]), film_requests(server, [modest])
        capacity = measure_capacity(server, requests)
        rate = 1.0
        quiet = pool.apply(ask_slowly, (server.address, list(itertools.islice(few, 20)), rate * 2))
        base = quantile([outcome.latency_s for outcome in quiet if outcome.status == 200], 0.95)
        times = 10 if not broken else 3
        many = list(itertools.islice(requests, int(times * capacity * FAIR_S)))
        slow = list(itertools.islice(few, int((FAIR_S - 2) * rate)))
        asked_meanwhile = pool.apply_async(ask_slowly, (server.address, slow, rate))
        open_load(server.address, many, rate_per_s=times * capacity)
        asked = asked_meanwhile.get()
    answered = [outcome.latency_s for outcome in asked if outcome.status == 200]
    p95 = quantile(answered, 0.95)
    return Finding(
        len(asked) + len(many),
        p95 <= FAIR_SHARE * base and len(answered) == len(asked),
        f"{len(answered)} of {len(asked)} of the modest key answered, p95 {p95 * 1000:.0f} ms"
        f" (quiet {base * 1000:.0f} ms)",
    )
