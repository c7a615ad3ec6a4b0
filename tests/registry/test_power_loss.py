"""The power fails while a registry is being changed: what was acknowledged is still there afterwards.

A small file system in a file, written back by nothing but fsync for ten minutes; the writer is killed and the
file is copied as it is, which is what a disk would hold. Needs root and loop devices, and is skipped without.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hilum.registry import durable
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle

ROUNDS = 8
SEED = 7


def can_mount() -> bool:
    return (
        os.geteuid() == 0
        and Path("/dev/loop-control").exists()
        and all(shutil.which(program) for program in ("mkfs.ext4", "mount", "umount"))
    )


pytestmark = pytest.mark.skipif(not can_mount(), reason="needs root, loop devices and ext4 tools")


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop,commit=600", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def promote_for_ever(root: Path, names: list[str], say: int) -> None:
    store = ModelStore(root)
    turn = 0
    while True:
        name = names[turn % len(names)]
        os.write(say, f"{store.production()} {name}\n".encode())
        store.promote(name, by="child", reason=f"turn {turn}")
        os.write(say, f"{name}\n".encode())
        turn += 1


def lose_power(tmp_path: Path, done_before: int, moment_s: float) -> tuple[Path, set[str], int]:
    """Lose the power during changes; return (image as the disk has it, what may be production, acks)."""
    image, after = tmp_path / "disk.img", tmp_path / "after.img"
    image.write_bytes(b"")
    os.truncate(image, 16 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    with mounted(image, tmp_path / "disk") as disk:
        root = disk / "registry"
        names = [make_bundle(root, f"1.{minor}.0") for minor in range(3)]
        ModelStore(root).promote(names[2], by="ada", reason="first")
        os.sync()
        hear, say = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                promote_for_ever(root, names, say)
            finally:
                os._exit(1)
        os.close(say)
        with os.fdopen(hear) as told:
            lines = [told.readline() for _ in range(2 * done_before)]
            time.sleep(moment_s)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            shutil.copyfile(image, after)  # before the unmount writes back what was only in memory
            lines += told.readlines()
    return after, set(lines[-1].split()) if lines else {names[2]}, len(lines) // 2


def read_after(image: Path, tmp_path: Path, allowed: set[str], acks: int) -> None:
    with mounted(image, tmp_path / "again") as disk:
        store = ModelStore(disk / "registry")
        assert store.resolve("production").name in allowed
        store.prune(10_000, by="next", reason="mends")
        promoted = [event for event in store.history() if event.by == "child"]
        assert len(promoted) in {acks, acks + 1}
        assert store.verify_history() == []


def test_what_was_acknowledged_survives_and_is_whole(tmp_path: Path):
    moments = random.Random(SEED)
    for _ in range(ROUNDS):
        image, allowed, acks = lose_power(tmp_path, moments.randint(1, 4), moments.uniform(0, 0.03))
        read_after(image, tmp_path, allowed, acks)
        assert acks >= 1, "there was something to lose"


def test_the_check_has_teeth_without_fsync_it_finds_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(durable.os, "fsync", lambda _: None)
    image, allowed, acks = lose_power(tmp_path, 3, 0.0)
    with pytest.raises(AssertionError):
        read_after(image, tmp_path, allowed, acks)
