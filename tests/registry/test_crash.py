"""A writer of the registry is killed at any moment; readers see a whole version and the next writer mends."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from hilum.domain.errors import CheckpointError, RunFolderBusy
from hilum.domain.thresholds import HALF_MADE_RELEASE_S
from hilum.registry.alias import alias_file, read_alias, replay
from hilum.registry.changelog import CHANGELOG_FILE, render_changelog
from hilum.registry.history import HISTORY_FILE, Event, History
from hilum.registry.lock import hold_lock
from hilum.registry.prune import start_prune
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle

HALF_MADE = re.compile(r"\.net_v[0-9._]+\.\d+")
KILLS = 60
SEED = 20261124
ROUNDS = 30


def check_readers(root: Path, allowed: set[str]) -> None:
    """A fresh reader resolves a whole version, the old or the new one."""
    assert json.loads(alias_file(root).read_bytes())["name"] in allowed, "whole without the history's help"
    store = ModelStore(root)
    assert store.resolve("production").name in allowed


def check_mended(root: Path, allowed: set[str]) -> None:
    """After the next change nothing of the crash is left, and alias, history and changelog agree."""
    store = ModelStore(root)
    store.prune(10_000, by="next", reason="mends what is left")
    assert store.production() in allowed
    assert store.verify_history() == []
    told = replay(store.history())
    alias = read_alias(root, History(root / HISTORY_FILE))
    assert told is not None
    assert alias is not None
    assert (alias.name, alias.previous) == (told.name, told.previous)
    assert not [model.reason for model in store.list() if not model.ok]
    assert (root / CHANGELOG_FILE).read_text() == render_changelog(store.history())
    left = {".tmp", ".pruned", "pending.json"}
    whole = [path for path in root.iterdir() if not HALF_MADE.fullmatch(path.name)]
    found = [path for top in whole for path in (top, *top.rglob("*"))]
    assert not [path for path in found if any(word in path.name for word in left)]


def work_for_ever(root: Path, say: int, first: int) -> None:
    """Release, promote, roll back and prune, telling before and after each step what is production."""
    store = ModelStore(root)
    number = first
    while True:
        old = store.production()
        new = make_bundle(root, f"1.{number}.0")
        os.write(say, f"{old} {new}\n".encode())
        store.promote(new, by="child", reason="next")
        os.write(say, f"{new}\n".encode())
        if number % 3 == 0 and old is not None:
            os.write(say, f"{new} {old}\n".encode())
            store.rollback(by="child", reason="back")
            os.write(say, f"{old}\n".encode())
        store.prune(1, by="child", reason="room")
        number += 1


def test_killed_at_random_moments_of_promote_rollback_and_prune(tmp_path: Path):
    root = tmp_path / "registry"
    ModelStore(root).promote(make_bundle(root, "0.9.0"), by="ada", reason="first")
    moments = random.Random(SEED)
    for kill in range(KILLS):
        hear, say = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(hear)
                work_for_ever(root, say, first=1 + kill * 1000)
            finally:
                os._exit(1)
        os.close(say)
        with os.fdopen(hear) as told:
            lines = [told.readline()]  # the work has begun
            time.sleep(moments.uniform(0.0, 0.06))
            os.kill(child, signal.SIGKILL)
            assert os.waitpid(child, 0)[1] == signal.SIGKILL, "the child ended by itself"
            lines += told.readlines()
        allowed = set(lines[-1].split())
        check_readers(root, allowed)
        check_mended(root, allowed)


OPERATIONS = {
    "promote": "store.promote(names[3], by='child', reason='next')",
    "rollback": "store.rollback(by='child', reason='back')",
    "prune": "store.prune(1, by='child', reason='room')",
}
PROGRAM = """
import os, sys
from pathlib import Path
from hilum.registry.lock import hold_lock
from hilum.registry.store import ModelStore
store, names = ModelStore(Path(sys.argv[1])), sys.argv[2].split()
os.access("start-of-the-work", os.F_OK)
{operation}
"""
CHANGES = ("rename", "fsync", "unlink", "unlinkat", "rmdir", "flock", "write")


def start(root: Path, names: list[str], operation: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-f", "-qq", "-e", "signal=none", *options, sys.executable, "-B", "-c"]
    command += [PROGRAM.format(operation=OPERATIONS[operation]), str(root), " ".join(names)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def find_points(log: Path) -> list[tuple[str, int]]:
    """Calls after the start of the work, by name and number since the process began.

    Opening is left out: killed there is killed before the first write to the new file.
    """
    counts = dict.fromkeys(CHANGES, 0)
    points: list[tuple[str, int]] = []
    started = False
    for line in log.read_text().splitlines():
        call, _, arguments = line.split(None, 1)[1].partition("(")
        if call in counts:
            counts[call] += 1
            points += [(call, counts[call])] if started else []
        started = started or "start-of-the-work" in arguments
    return points


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_every_call_that_changes_the_disk(tmp_path: Path, operation: str):
    root = tmp_path / "registry"
    names = [make_bundle(root, f"1.{minor}.0") for minor in range(4)]
    store = ModelStore(root)
    for name in names[:3]:
        store.promote(name, by="ada", reason="newer")
    new = {"promote": names[3], "rollback": names[1], "prune": names[2]}[operation]
    untouched = tmp_path / "untouched"
    shutil.copytree(root, untouched)
    calls, log = ",".join((*CHANGES, "access")), tmp_path / "calls"
    done = start(root, names, operation, "-e", f"trace={calls}", "-o", str(log))
    assert done.returncode == 0, done.stderr
    points = find_points(log)
    assert {"rename", "fsync", "write"} <= {call for call, _ in points}
    for call, count in points:
        shutil.rmtree(root)
        shutil.copytree(untouched, root)
        done = start(root, names, operation, "-e", f"inject={call}:signal=SIGKILL:when={count}")
        assert done.returncode == -signal.SIGKILL, (call, count, done.stderr)
        check_readers(root, {names[2], new})
        check_mended(root, {names[2], new})


FAILURES = [
    *(("write", count, "ENOSPC") for count in range(1, 4)),
    *(("fsync", count, "EIO") for count in range(1, 6)),
    *(("rename", count, "EROFS") for count in range(1, 3)),
]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_full_or_failing_disk_refuses_or_promotes_and_says_which(tmp_path: Path):
    root = tmp_path / "registry"
    names = [make_bundle(root, f"1.{minor}.0") for minor in range(4)]
    store = ModelStore(root)
    for name in names[:3]:
        store.promote(name, by="ada", reason="newer")
    untouched = tmp_path / "untouched"
    shutil.copytree(root, untouched)
    told = set()
    for call, count, failure in FAILURES:
        shutil.rmtree(root)
        shutil.copytree(untouched, root)
        done = start(root, names, "promote", "-e", f"inject={call}:error={failure}:when={count}")
        promoted = ModelStore(root).production() == names[3]
        assert promoted or done.returncode == 1, (call, count, done.stderr)
        # the folder's fsync is the one call after the move whose failure leaves it open
        assert done.returncode == 0 or not promoted or (call, count) == ("fsync", 2), (call, count)
        if promoted and done.returncode == 0:
            assert "the next change completes it" in done.stderr
        told.add(done.returncode)
        check_readers(root, {names[2], names[3]})
        check_mended(root, {names[2], names[3]})
    assert told == {0, 1}


IN_PLACE = """
import hilum.registry.alias as alias
def write_in_place(path, content):
    with path.open("wb", buffering=0) as file:
        file.write(content[:20])
        file.write(content[20:])
alias.write_durably = write_in_place
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_check_has_teeth_an_alias_written_in_place_is_found_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path / "registry"
    names = [make_bundle(root, f"1.{minor}.0") for minor in range(4)]
    store = ModelStore(root)
    for name in names[:3]:
        store.promote(name, by="ada", reason="newer")
    monkeypatch.setitem(OPERATIONS, "promote", IN_PLACE + OPERATIONS["promote"])
    done = start(root, names, "promote", "-e", "inject=write:signal=SIGKILL:when=2")
    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(json.JSONDecodeError):
        check_readers(root, {names[2], names[3]})
    assert ModelStore(root).production() == names[2], "the history tells what a torn alias was"


def test_two_promoters_at_once_keep_one_history(tmp_path: Path):
    root = tmp_path / "registry"
    names = [make_bundle(root, f"1.{minor}.0") for minor in range(4)]
    ModelStore(root).promote(names[0], by="ada", reason="first")
    children = []
    for number in range(2):
        child = os.fork()
        if child == 0:
            try:
                store, mine = ModelStore(root), names[1 + number]
                for turn in range(ROUNDS):
                    with contextlib.suppress(CheckpointError):  # the other one may have promoted it already
                        store.promote(mine if turn % 2 else names[3], by=f"child {number}", reason="mine")
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    reads = 0
    while children:
        assert ModelStore(root).resolve("production").name in names
        reads += 1
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended:
            assert status == 0
            children.remove(ended)
    store = ModelStore(root)
    events = store.history()
    promoted = [event for event in events if event.kind == "promote"]
    assert reads > 10
    assert store.verify_history() == []
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert {event.by for event in promoted} == {"ada", "child 0", "child 1"}
    for before, after in pairwise(promoted):
        assert after.previous == before.name


def test_a_registry_that_another_process_keeps_is_refused_in_time(tmp_path: Path):
    refused = pytest.raises(RunFolderBusy, match=r"changing this registry for 0\.05 s")
    with hold_lock(tmp_path), refused, hold_lock(tmp_path, wait_s=0.05):
        pass


def test_a_name_that_came_back_after_a_crash_does_not_stop_the_prune(tmp_path: Path):
    root = tmp_path / "registry"
    old, new = (make_bundle(root, f"1.{minor}.0") for minor in range(2))
    store = ModelStore(root)
    store.promote(new, by="ada", reason="first")
    event = Event(len(store.history()) + 1, "prune", new, "ada", "room", details={"names": [old]})
    start_prune(root, event)
    shutil.copytree(
        root / old, root / f".pruned.{old}"
    )  # the crash left half of it, and somebody put it back
    assert store.prune(0, by="next") == []
    assert not (root / old).exists()
    check_mended(root, {new})


def test_a_writer_that_waits_is_served_before_one_that_never_stops(tmp_path: Path):
    child = os.fork()
    if child == 0:
        try:
            while True:
                with hold_lock(tmp_path):
                    time.sleep(0.05)
        finally:
            os._exit(1)
    try:
        time.sleep(0.2)
        for _ in range(10):
            with hold_lock(tmp_path, wait_s=2):
                pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_a_killed_registration_left_is_cleared_an_hour_later(tmp_path: Path):
    made = make_bundle(tmp_path, "1.0.0")
    ModelStore(tmp_path).promote(made, by="ada", reason="first")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    lives, dead = (tmp_path / f".net_v2.0.0_20260504.{process}" for process in (os.getpid(), child.pid))
    fresh = tmp_path / f".net_v2.1.0_20260504.{child.pid}"
    for folder in (lives, dead, fresh):
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"half")
    long_ago = time.time() - HALF_MADE_RELEASE_S - 60
    for folder in (lives, dead):
        os.utime(folder, (long_ago, long_ago))
    ModelStore(tmp_path).prune(5, by="next")
    assert [folder.exists() for folder in (lives, dead, fresh)] == [True, False, True]
    assert ModelStore(tmp_path).production() == made
