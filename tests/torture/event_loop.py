"""Group X: whatever the service is busy with, its event loop gets to the next thing in time."""

import base64
import hashlib
import random
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

from hilum.domain.thresholds import MAX_FILE_BYTES
from hilum.registry.bundle import find_released
from hilum.registry.store import ModelStore
from tests.harness.films import real_dicom, real_png
from tests.harness.loop_lag import LOOP_LAG, read_lags
from tests.harness.models import make_bundle, make_registry
from tests.harness.multipart import one_file
from tests.harness.processes import wait_until
from tests.harness.server import Server

from .sabotaged import sabotaged
from .service import serving
from .trial import Finding, trial

ROUNDS, PREDICTS, EXPLAINS = 5, 20, 5
LAG_P99_S = 0.05
SWITCHED_S = 30.0
SEED = 24


@trial(
    "X1",
    f"{ROUNDS} times {PREDICTS} films, {EXPLAINS} maps, a film of {MAX_FILE_BYTES >> 20} MiB whose"
    " Content-Digest is"
    " checked, and a promotion of the real model, all at once; a probe in the event loop wakes every 10 ms",
    target=f"it wakes at most {LAG_P99_S * 1000:.0f} ms late, p99; every film and map answered, each"
    " promotion taken up",
    sabotage="films are decoded and judged in the event loop",
    alone=True,
    control_misses="lag",
)
def watch_loop(folder: Path, broken: bool) -> Finding:
    """Start everything at once, round by round; read how late the probe was meanwhile."""
    root, lags = folder / "registry", folder / "lags"
    stub = make_bundle(root)
    shutil.copytree(find_released(), root / find_released().name)
    real = root / find_released().name
    store = make_registry(root, stub, real, production=real.name)
    rounds = ROUNDS if not broken else 2
    statuses: Counter[str] = Counter()
    late: list[float] = []
    slowest = 0.0
    with (
        sabotaged("films-in-the-loop" if broken else None),
        serving(folder, "--registry", str(root), environment={LOOP_LAG: str(lags)}) as server,
    ):
        server.predict(real_png(512))
        for turn in range(rounds):
            began = time.monotonic()
            wanted = (stub, real)[turn % 2].name
            _all_at_once(server, store, wanted, statuses)
            is_on = wait_until(lambda name=wanted: _in_use(server) == name, timeout_s=SWITCHED_S)
            statuses["promotion"] += is_on
            ended = time.monotonic()
            slowest = max(slowest, ended - began)
            time.sleep(0.6)  # until the probe has written
            late += read_lags(lags, since=began, until=ended)
    late.sort()
    p99 = late[int(0.99 * (len(late) - 1))] if late else float("inf")
    expected = {"predict 200": rounds * PREDICTS, "explain 200": rounds * EXPLAINS, "promotion": rounds}
    answered = all(statuses[name] == count for name, count in expected.items())
    refused = {name for name in statuses if name.startswith("large")}
    told = ", ".join(f"{count} {name}" for name, count in sorted(statuses.items()))
    met = {"lag": p99 <= LAG_P99_S, "answers": answered, "large film": refused == {"large 422"}}
    return Finding(
        len(late),
        all(met.values()),
        f"p50 {late[len(late) // 2] * 1000:.1f}, p99 {p99 * 1000:.1f}, worst {late[-1] * 1000:.0f} ms late of"
        f" {len(late)} wakings; {told}; rounds of at most {slowest:.1f} s",
        missed=tuple(name for name, is_met in met.items() if not is_met),
    )


def _all_at_once(server: Server, store: ModelStore, wanted: str, statuses: "Counter[str]") -> None:
    films = [real_png(1024), real_dicom(1024)]
    lock = threading.Lock()

    def note(name: str) -> None:
        with lock:
            statuses[name] += 1

    def predict(count: int, path: str) -> None:
        for number in range(count):
            answer = server.predict(films[number % 2], path=path, timeout_s=60)
            note(f"{Path(path).name} {answer.status}")

    def large() -> None:
        """No film: it is hashed whole, found good, and then refused for what it is."""
        film = b"\x89PNG\r\n\x1a\n" + random.Random(SEED).randbytes(MAX_FILE_BYTES - 8)
        kind, body = one_file(film)
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers = {"Content-Type": kind, "Content-Digest": f"sha-256=:{digest}:"}
        answer = server.request(
            "POST", "/predict", role="clinician", body=body, headers=headers, timeout_s=60
        )
        note(f"large {answer.status}")

    def promote() -> None:
        if store.production() != wanted:
            assert store.promote(
                wanted, by="tests", reason="next", override="no evaluation of a stub"
            ).promoted

    work = [threading.Thread(target=predict, args=(PREDICTS // 4, "/predict")) for _ in range(4)]
    work += [threading.Thread(target=predict, args=(EXPLAINS, "/predict/explain"))]
    work += [threading.Thread(target=one) for one in (large, promote)]
    for one in work:
        one.start()
    for one in work:
        one.join()


def _in_use(server: Server) -> str:
    return str(server.get("/health").json()["model"])
