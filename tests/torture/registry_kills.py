"""Group E: a writer dies at each system call, two write at once; readers find whole versions."""

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

from hilum.domain.errors import CheckpointError, HilumError
from hilum.registry import alias as alias_module
from hilum.registry import store as store_module
from hilum.registry.alias import alias_file, read_alias
from hilum.registry.history import HISTORY_FILE, History
from hilum.registry.store import ModelStore
from tests.harness import models
from tests.harness.films import real_png
from tests.harness.processes import wait_until
from tests.harness.server import Server
from tests.registry.make_bundles import make_bundle, make_evaluation
from tests.registry.test_crash import check_mended, check_readers

from .service import restore, serving
from .traced import CALLS, find_points, kill_at
from .trial import Finding, trial

CHANGES = ("write", "fsync", "rename", "unlink", "unlinkat", "rmdir", "mkdir")
PROMOTERS, READERS = 2, 4
CONTEST_S = 45.0
SWITCHED_S = 10.0
MOST_MISSED = 0.02  # of the calls, whose number is not always the same
_BROKEN = (AssertionError, HilumError, OSError, ValueError)
Work = Callable[[], object]


@trial(
    "E1",
    "SIGKILL at every system call (openat, write, fsync, rename, unlink, rmdir, mkdir, flock,"
    " close) of promote,"
    " rollback, prune and register, read by a fresh process, and at every call that changes the disk under a"
    " running server",
    target="0 broken registries, a whole version, old or new, every time; the server answers every time",
    sabotage="the alias is written in place",
)
def kill_at_every_call(folder: Path, broken: bool) -> Finding:
    """Each operation once whole, to list its calls; then once for each call."""
    _export_nothing()
    if broken:
        alias_module.write_durably = _write_in_place
    points, missed, wrong, left, calls = 0, 0, [], 0, {}
    for operation in ("promote", "rollback", "prune", "register") if not broken else ("promote",):
        root, untouched = folder / "registry", folder / "untouched"
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(untouched, ignore_errors=True)
        names = [make_bundle(root, f"1.{minor}.0") for minor in range(4)]
        for name in names[:3]:
            ModelStore(root).promote(name, by="ada", reason="newer")
        shutil.copytree(root, untouched)
        work = _works(root, names)[operation]
        found = find_points(work, folder / "calls", CALLS if not broken else CHANGES)
        calls[operation] = len(found)
        allowed = {names[2], {"promote": names[3], "rollback": names[1]}.get(operation, names[2])}
        for call, number in found:
            restore(root, untouched)
            if not kill_at(work, call, number):
                missed += 1  # it made fewer such calls than when they were counted, and came to its end
                continue
            points += 1
            try:
                check_readers(root, allowed)
                check_mended(root, allowed)
            except _BROKEN as error:
                wrong.append(
                    f"{operation} killed at {call} {number}: {type(error).__name__}: {str(error)[:200]}"
                )
            left += sum(1 for path in root.iterdir() if path.name.startswith(".") and path.is_dir())
    told = ", ".join(f"{name} {count}" for name, count in calls.items())
    if broken:
        return Finding(points, not wrong, f"{len(wrong)} of {points} broken: {wrong[:1]}")
    asked, unanswered = _under_a_server(folder / "served")
    return Finding(
        points + asked,
        not wrong and not unanswered and points > 0 and missed <= points * MOST_MISSED,
        f"{len(wrong)} of {points} broken ({told}){': ' + '; '.join(wrong[:3]) if wrong else ''};"
        f" {missed} ended before the call; under a running server {len(unanswered)} of {asked}"
        f"{': ' + unanswered[0] if unanswered else ''}; {left} half-made releases left for the hour after"
        " which they are cleared",
    )


def _works(root: Path, names: list[str]) -> dict[str, Work]:
    def register() -> None:
        _register(root)

    return {
        "promote": lambda: ModelStore(root).promote(names[3], by="child", reason="next"),
        "rollback": lambda: ModelStore(root).rollback(by="child", reason="back"),
        "prune": lambda: ModelStore(root).prune(1, by="child", reason="room"),
        "register": register,
    }


def _register(root: Path) -> None:
    """Do what `hilum register` does once the network is read and exported."""
    from hilum.registry import release

    made = release.write_bundle(
        root / "no.pt", [root / "no"], root, version="2.0.0", released=date(2026, 5, 4)
    )
    ModelStore(root).record_release(made.name, by="child", reason="registered")


def _export_nothing() -> None:
    """Replace what takes seconds of computing and touches no registry."""
    import numpy as np
    import torch

    from hilum.model.checkpoint import state_sha256
    from hilum.registry import release

    state = {"weight": torch.from_numpy(np.arange(64, dtype=np.float32))}
    report = make_evaluation(state_sha256(state))
    report |= {"temperature": {"value": 1.5}, "operating_points": {}, "headlines": []}
    settings = {
        "model": {"architecture": "net"},
        "preprocessing": {"image_size": 224, "normalization": "pretrained", "color_mode": "rgb"},
    }
    checkpoint = {
        "settings": settings, "epoch": 1, "val_f1": 0.9, "provenance": {"data": "dd" * 32}, "history": {},
        "config": {"architecture": "net"}, "model_state_dict": state,
    }  # fmt: skip

    def write_graphs(facts: object, read: object, into: Path, data: object) -> dict[str, object]:
        del facts, read, data
        (into / "model.onnx").write_bytes(b"graph")
        (into / "selftest.safetensors").write_bytes(b"films")
        return {"int8": None}

    release._read_weights = lambda _: checkpoint  # type: ignore[assignment,return-value]
    release._read_evaluations = lambda *_: {"test": report}
    release._write_graphs = write_graphs  # type: ignore[assignment]
    release.write_card = lambda *_: "# card\n"
    release._copy_reference = lambda *_: None
    release._own_safeguards = lambda _: {}


def _write_in_place(path: Path, content: bytes, *, beside: Path | None = None) -> None:
    del beside
    with path.open("wb", buffering=0) as file:
        file.write(content[:20])
        file.write(content[20:])


def _under_a_server(folder: Path) -> tuple[int, list[str]]:
    """Kill writers of a registry that is served; return how often, and what went wrong."""
    root = folder / "registry"
    made = [models.make_bundle(root, f"1.{minor}.0", offset=minor / 4) for minor in range(3)]
    names = [one.name for one in made]
    store = models.make_registry(root, *made, production=names[2])
    asked, wrong = 0, []
    with serving(folder, "--registry", str(root)) as server:
        for operation, work, prepare in _served_works(root, names):
            prepare()
            points = find_points(work, folder / "calls", CHANGES)
            for call, number in points:
                store.prune(10_000, by="next", reason="mends")
                prepare()
                kill_at(work, call, number)
                asked += 1
                if complaint := _ask(server, store, set(names)):
                    wrong.append(f"{operation} killed at {call} {number}: {complaint}")
        store.prune(10_000, by="next", reason="mends")
        if not wait_until(lambda: _active(server) == store.production(), timeout_s=SWITCHED_S):
            wrong.append(f"it serves {_active(server)}, production is {store.production()}")
        if store.verify_history():
            wrong.append("the history is broken")
    return asked, wrong


def _served_works(root: Path, names: list[str]) -> Iterator[tuple[str, Work, Work]]:
    """Yield (operation, what a child does, what makes it possible again)."""

    def promote(name: str) -> None:
        store = ModelStore(root)
        if store.production() != name:
            store.promote(name, by="tests", reason="test", override="no evaluation of a stub")

    def fill() -> None:
        promote(names[2])
        if not (root / "mean_v0.1.0_20260504").exists():
            models.make_bundle(root, "0.1.0")

    def clear() -> None:
        for path in root.glob("*net_v2.0.0*"):
            shutil.rmtree(path)

    yield "promote", lambda: promote(names[1]), lambda: promote(names[2])
    yield "rollback", lambda: ModelStore(root).rollback(by="child"), lambda: promote(names[2])
    yield "prune", lambda: ModelStore(root).prune(2, by="child"), fill
    yield "register", lambda: _register(root), clear


def _ask(server: Server, store: ModelStore, allowed: set[str]) -> str | None:
    answer = server.predict(real_png(128))
    if answer.status != 200:
        return f"answered {answer.status} {answer.code}"
    model = answer.json()["model"]
    if model["name"] not in allowed or model["fallback"]:
        return f"{model['name']} answered, fallback {model['fallback']}"
    try:
        store.resolve("production")
    except HilumError as error:
        return str(error)
    return None


def _active(server: Server) -> str | None:
    found: str | None = server.get("/health").json()["model"]
    return found


@trial(
    "E3",
    f"{PROMOTERS} processes that promote without pause for {CONTEST_S:.0f} s and {READERS} that"
    " read all the while",
    target="0 torn reads, a linear history that has every promotion once",
    sabotage="nobody takes the lock",
)
def promote_at_once(folder: Path, broken: bool) -> Finding:
    """Promote and read at once, then hold the history against what was acknowledged."""
    if broken:
        store_module.hold_lock = lambda *_, **__: contextlib.nullcontext()  # type: ignore[assignment]
    root = folder / "registry"
    names = [make_bundle(root, f"1.{minor}.0") for minor in range(5)]
    ModelStore(root).promote(names[0], by="ada", reason="first")
    until = time.monotonic() + (CONTEST_S if not broken else 8)
    writers = [
        _fork(lambda number=number: _promote(root, names, number, until)) for number in range(PROMOTERS)
    ]
    readers = [_fork(lambda: _read(root, set(names), until)) for _ in range(READERS)]
    promoted = [_end(*child) for child in writers]
    read = [_end(*child) for child in readers]
    store = ModelStore(root)
    events = store.history()
    moves = [event for event in events if event.kind == "promote"]
    told = sum(int(line) for line in promoted if line.isdigit())
    torn = [line for line in read if not line.isdigit()] + [line for line in promoted if not line.isdigit()]
    alias = read_alias(root, History(root / HISTORY_FILE))
    is_linear = (
        not store.verify_history()
        and [event.seq for event in events] == list(range(1, len(events) + 1))
        and all(after.previous == before.name for before, after in pairwise(moves))
        and alias is not None
        and alias.name == moves[-1].name
    )
    reads = sum(int(line) for line in read if line.isdigit())
    return Finding(
        told,
        not torn and is_linear and told == len(moves) - 1 and reads > told,
        f"{len(torn)} processes read something torn{': ' + torn[0] if torn else ''}, {reads} reads, {told}"
        f" promotions acknowledged, {len(moves) - 1} in the history, which is"
        f" {'linear' if is_linear else 'NOT'}"
        f"{'' if is_linear else ' linear'}",
    )


def _promote(root: Path, names: list[str], number: int, until: float) -> str:
    store, done, turn = ModelStore(root), 0, number
    while time.monotonic() < until:
        turn += 1
        with contextlib.suppress(CheckpointError):  # the other one may have promoted it already
            done += store.promote(
                names[turn * (number + 1) % len(names)], by=f"child {number}", reason="mine"
            ).promoted
    return str(done)


def _read(root: Path, names: set[str], until: float) -> str:
    reads = 0
    while time.monotonic() < until:
        content = json.loads(alias_file(root).read_bytes())
        assert {content["name"], *content["previous"]} <= names, content["name"]
        assert ModelStore(root).resolve("production").name in names
        reads += 1
    return str(reads)


def _fork(work: Callable[[], str]) -> tuple[int, int]:
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                line = work()
            except Exception as error:
                line = f"{type(error).__name__}: {str(error)[:120]}"
            os.write(say, line.encode())
        finally:
            os._exit(0)
    os.close(say)
    return child, hear


def _end(child: int, hear: int) -> str:
    with os.fdopen(hear) as lines:
        line = lines.read()
    status = os.waitpid(child, 0)[1]
    return (
        line or f"ended by {signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else status}"
    )
