"""Group E: versions change as fast as they can under load, and no request notices."""

import contextlib
import sqlite3
import time
from pathlib import Path

from hilum.registry.store import ModelStore
from tests.harness.models import make_bundle, make_registry
from tests.harness.processes import wait_until
from tests.harness.server import Server
from tests.harness.workers import ask, connections_to_each

from .sabotaged import sabotaged
from .service import Load, measure_capacity, named_model, serving, tell
from .trial import Finding, trial

WORKERS, SWAPS, SWAP_S, LAST_CHECKS = 2, 120, 60.0, 3
SWITCHED_S = 5.0
GROWTH_BYTES = 64 * 1024 * 1024


@trial(
    "E4",
    f"{SWAPS} promotions in {SWAP_S:.0f} s with {WORKERS} workers at half the load that they can take while"
    " nothing changes",
    target="0 failed requests; each answer's version was production at some time in the"
    f" {SWITCHED_S:.0f} s before"
    f" its request or until its end; both workers on the new version <= {SWITCHED_S:.0f} s after"
    " promote returns",
    sabotage="the old version is closed before the new one is open",
    alone=True,
)
def swap_under_load(folder: Path, broken: bool) -> Finding:
    """Promote in turn, then look at each worker."""
    root = folder / "registry"
    made = [make_bundle(root, f"1.{minor}.0", offset=minor / 4) for minor in range(3)]
    store = make_registry(root, *made, production=made[-1].name)
    swaps, slowest = SWAPS if not broken else 10, 0.0
    since: list[tuple[float, str]] = [(0.0, made[-1].name)]
    with (
        sabotaged("closed-first" if broken else None),
        serving(folder, "--registry", str(root), workers=WORKERS) as server,
    ):
        capacity = measure_capacity(server)
        before = server.pss_bytes()
        with Load(server, rate_per_s=max(1.0, capacity / 2)) as load:
            began = time.monotonic()
            for turn in range(swaps):
                name = made[turn % len(made)].name
                if store.production() != name:
                    _promote(store, name)
                    since.append((time.monotonic(), name))
                time.sleep(max(0.0, began + (turn + 1) * SWAP_S / SWAPS - time.monotonic()))
            for turn in range(LAST_CHECKS):
                last = made[turn % len(made)].name
                if store.production() == last:
                    continue
                _promote(store, last)
                since.append((time.monotonic(), last))
                promoted = time.monotonic()
                wait_until(lambda last=last: _all_on(server, last), timeout_s=6 * SWITCHED_S, every_s=0.2)
                slowest = max(slowest, time.monotonic() - promoted)
        followed = _count_changes(server)
        growth = server.pss_bytes() - before
    strange = [outcome for outcome in load.outcomes if outcome.status == 200 and not _was_active(
        named_model(outcome), outcome.due_s, outcome.done_s, since)]  # fmt: skip
    return Finding(
        len(since) - 1,
        not load.failed and not strange and slowest <= SWITCHED_S and growth <= GROWTH_BYTES,
        f"{len(load.failed)} of {len(load.outcomes)} requests failed {tell(load.failed)};"
        f" {len(strange)} answers by a"
        f" version that was not active; {len(since) - 1} promotions, {followed} of them opened"
        " by the workers; both"
        f" on the last one after {slowest:.1f} s; {capacity:.0f} films a second at full load;"
        f" {growth / 2**20:+.0f} MiB",
    )


def _promote(store: ModelStore, name: str) -> None:
    assert store.promote(name, by="tests", reason="swap", override="no evaluation of a stub").promoted


def _all_on(server: Server, name: str) -> bool:
    """Ask each worker which version it has."""
    request = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    with connections_to_each(server, 1) as connections:
        return all(name.encode() in ask(one, request)[0].body for (one,) in connections.values())


def _count_changes(server: Server) -> int:
    with contextlib.closing(
        sqlite3.connect(f"file:{server.data / 'journal.sqlite'}?mode=ro", uri=True)
    ) as file:
        found: int = file.execute("SELECT count(*) FROM journal WHERE code = 'model-active'").fetchone()[0]
    return found


def _was_active(name: str, asked: float, done: float, since: list[tuple[float, str]]) -> bool:
    """Say whether a version was production between a moment before a request and its end."""
    ends = [at for at, _ in since[1:]] + [float("inf")]
    return any(
        one == name and at <= done and end >= asked - SWITCHED_S
        for (at, one), end in zip(since, ends, strict=True)
    )
