"""Group R: a worker that dies is replaced, an end drops no request, children end with their parent."""

import os
import random
import signal
import threading
import time
from pathlib import Path

from tests.harness.films import real_png
from tests.harness.open_load import Outcome
from tests.harness.processes import is_alive, tree, wait_until
from tests.harness.server import Server, run
from tests.reliability.test_survival import records_of

from .sabotaged import sabotaged
from .service import Load, measure_capacity, serving, tell
from .trial import Finding, trial

WORKERS, LOAD_S, EVERY_S = 2, 60.0, 6.0
LOAD_SHARE = 1 / 3
RESPAWNED_S, EXIT_S, ORPHANS_S = 10.0, 30.0, 5.0
STOPS, PARENT_KILLS, STANDSTILLS = 10, 5, 6
STANDSTILL_S, STANDSTILL_SHARE = 5.0, 1 / 5
CLIENTS, SENT_S = 8, 0.015  # a request that began so long before the signal had been sent in full
SEED = 9


@trial(
    "R1",
    f"SIGKILL of one of {WORKERS} workers, chosen by the dice, every {EVERY_S:.0f} s for"
    f" {LOAD_S:.0f} s at a third of the load that the service can take: a dead worker takes half of"
    " it away, and its successor's start more",
    target="no more requests fail than were in flight at the kills; each worker replaced within"
    f" {RESPAWNED_S:.0f} s; every answer in the journal once, the journal verifies",
    sabotage="an answer leaves before its record is written",
    alone=True,
    control_misses="records",
)
def kill_workers(folder: Path, broken: bool) -> Finding:
    """Kill, and note how many requests were under way."""
    dice = random.Random(SEED)
    acknowledged: list[str] = []
    under_way = replaced = kills = 0
    slowest = 0.0

    def note(outcome: Outcome) -> None:
        if outcome.status == 200 and outcome.answer is not None:
            acknowledged.append(str(outcome.answer.header("x-request-id")))

    with (
        sabotaged("answer-before-record" if broken else None),
        serving(folder, workers=WORKERS) as server,
    ):
        capacity = measure_capacity(server)
        seconds = LOAD_S if not broken else 20.0
        with Load(
            server, rate_per_s=max(1.0, capacity * LOAD_SHARE), seconds=seconds, on_answer=note
        ) as load:
            until = time.monotonic() + seconds - RESPAWNED_S / 2
            while time.monotonic() + EVERY_S < until:
                time.sleep(dice.uniform(0.3, EVERY_S))
                old = server.workers()
                if len(old) < WORKERS:
                    continue
                victim = dice.choice(old)
                began = time.monotonic()
                under_way += _connections(server, victim)
                os.kill(victim, signal.SIGKILL)
                kills += 1
                back = wait_until(
                    lambda victim=victim: len(server.workers()) == WORKERS and not is_alive(victim),
                    timeout_s=3 * RESPAWNED_S,
                    every_s=0.1,
                )
                replaced += back
                slowest = max(slowest, time.monotonic() - began)
        records = [one for one in records_of(server) if one["kind"] == "predict"]
        is_whole = server.get("/audit/verify", role="auditor").json()["ok"]
        server.stop()
        checked = run("audit-log", "verify", "--data", str(server.data)).returncode == 0
    found = [one["request_id"] for one in records]
    lost = len(set(acknowledged) - set(found))
    twice = len(found) - len(set(found)) + len(records) - len({one["seq"] for one in records})
    met = {
        "requests": len(load.failed) <= under_way,
        "records": lost == twice == 0 and is_whole and checked,
        "replaced": replaced == kills > 0 and slowest <= RESPAWNED_S,
    }
    return Finding(
        kills,
        all(met.values()),
        f"{len(load.failed)} of {len(load.outcomes)} requests failed ({tell(load.failed)}),"
        f" {under_way} were in"
        f" flight at {kills} kills; {replaced} replaced, the slowest after {slowest:.1f} s; {lost} of"
        f" {len(acknowledged)} answers not in the journal, {twice} twice, journal"
        f" {'whole' if is_whole and checked else 'BROKEN'}; {capacity:.0f} films a second at full load",
        missed=tuple(name for name, is_met in met.items() if not is_met),
    )


def _connections(server: Server, worker: int) -> int:
    """Count connections that a worker has taken."""
    import psutil

    try:
        found = psutil.Process(worker).net_connections(kind="tcp")
    except psutil.Error:
        return 0
    waiting = sum(
        1 for one in found if one.status == psutil.CONN_ESTABLISHED and one.laddr.port == server.port
    )
    return waiting + 1  # and one that the kernel has given it and it has not taken


@trial(
    "R2",
    f"SIGTERM under load, {STOPS} times, with 1 worker and with {WORKERS} in turn",
    target=f"every request that was sent before is answered, exit code 0 within {EXIT_S:.0f} s",
    sabotage="SIGTERM ends the process at once",
    alone=True,
)
def stop_under_load(folder: Path, broken: bool) -> Finding:
    """Start, load, stop."""
    cut = answered = 0
    codes: list[int | None] = []
    slowest = 0.0
    stops = STOPS if not broken else 2
    dice = random.Random(SEED)
    with sabotaged("cut-off" if broken else None):
        for workers in (1, WORKERS) if not broken else (1,):
            with serving(folder / str(workers), workers=workers) as server:
                for number in range(stops // (2 if not broken else 1)):
                    if number:
                        server.start()
                    server.predict(real_png(256))
                    done, lost, code, taken = _stop_once(server, dice.uniform(0.2, 1.5))
                    answered, cut = answered + done, cut + lost
                    codes.append(code)
                    slowest = max(slowest, taken)
    bad = [code for code in codes if code != 0]
    return Finding(
        len(codes),
        cut == 0 and not bad and slowest <= EXIT_S and answered >= len(codes),
        f"{cut} of {answered + cut} requests under way not answered, {len(bad)} exit codes other"
        f" than 0{bad[:3]},"
        f" slowest exit after {slowest:.1f} s",
    )


def _stop_once(server: Server, after_s: float) -> tuple[int, int, int | None, float]:
    """Ask with a few clients, stop; return answers under way, those lost, exit code, and seconds."""
    stopped_at: list[float] = []
    answered = lost = 0
    lock = threading.Lock()

    def ask() -> None:
        nonlocal answered, lost
        while not stopped_at:
            began = time.monotonic()
            try:
                status = server.predict(real_png(256)).status
            except OSError:
                status = 0
            with lock:
                is_under_way = bool(stopped_at) and began < stopped_at[0] - SENT_S
                answered += is_under_way and status == 200
                lost += is_under_way and status != 200

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(after_s)
    stopped_at.append(time.monotonic())
    assert server.process is not None
    server.process.terminate()
    code: int | None
    try:
        code = server.process.wait(EXIT_S + 10)
    except Exception:
        code = None
        server.kill()
    taken = time.monotonic() - stopped_at[0]
    for client in clients:
        client.join()
    return answered, lost, code, taken


@trial(
    "R5",
    f"SIGKILL of the process that started {WORKERS} workers, {PARENT_KILLS} times",
    target=f"every process of the tree has ended within {ORPHANS_S:.0f} s",
    sabotage="a worker does not look whether its parent lives",
    alone=True,
)
def kill_parents(folder: Path, broken: bool) -> Finding:
    """Kill the first process alone."""
    slowest, left, processes = 0.0, 0, 0
    kills = PARENT_KILLS if not broken else 1
    with sabotaged("orphans" if broken else None), serving(folder, workers=WORKERS) as server:
        for number in range(kills):
            if number:
                server.start()
            server.predict(real_png(256))
            children = [pid for pid in tree(server.pid) if pid != server.pid]
            processes += len(children)
            began = time.monotonic()
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            wait_until(lambda: not any(map(is_alive, children)), timeout_s=ORPHANS_S)  # noqa: B023 - asked now
            slowest = max(slowest, time.monotonic() - began)
            for pid in filter(is_alive, children):
                left += 1
                os.kill(pid, signal.SIGKILL)
    return Finding(
        kills,
        left == 0 and slowest <= ORPHANS_S and processes >= kills * WORKERS,
        f"{left} of {processes} children alive after {ORPHANS_S:.0f} s, the last ended after {slowest:.1f} s",
    )


@trial(
    "R3",
    f"SIGSTOP of one of {WORKERS} workers, {STANDSTILLS} times, at a fifth of the load that the service can"
    " take",
    target=f"no more requests fail than the worker had, each within {STANDSTILL_S:.0f} s; another worker in"
    f" its place within {RESPAWNED_S:.0f} s; the journal verifies",
    sabotage="nobody asks a worker whether it still answers",
    alone=True,
)
def let_workers_stand(folder: Path, broken: bool) -> Finding:
    """Stop a worker where it stands, and see who notices."""
    dice = random.Random(SEED)
    held = replaced = 0
    slowest = 0.0
    times = STANDSTILLS if not broken else 1
    with sabotaged("silent-workers" if broken else None), serving(folder, workers=WORKERS) as server:
        rate = max(1.0, measure_capacity(server) * STANDSTILL_SHARE)
        with Load(server, rate_per_s=rate) as load:
            for _ in range(times):
                time.sleep(dice.uniform(0.5, 2.0))
                victim = dice.choice(server.workers())
                began = time.monotonic()
                os.kill(victim, signal.SIGSTOP)
                held += _connections(server, victim)
                replaced += wait_until(
                    lambda victim=victim: len(server.workers()) == WORKERS and not is_alive(victim),
                    timeout_s=RESPAWNED_S,
                    every_s=0.1,
                )
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(STANDSTILL_S)  # the new one starts
                if is_alive(victim):
                    os.kill(victim, signal.SIGCONT)
        is_whole = server.get("/audit/verify", role="auditor").json()["ok"]
    longest = max((outcome.latency_s for outcome in load.failed), default=0.0)
    return Finding(
        times,
        len(load.failed) <= held and longest <= STANDSTILL_S and replaced == times and is_whole,
        f"{len(load.failed)} of {len(load.outcomes)} requests failed ({tell(load.failed)}), the slowest after"
        f" {longest:.1f} s; the workers had {held}; {replaced} of {times} replaced, the slowest after"
        f" {slowest:.1f} s; journal {'whole' if is_whole else 'BROKEN'}",
    )
