"""Group E: whoever reads a registry finds a whole version, the old one or the new one, whatever happens."""

import os
import random
import time
from pathlib import Path

from hilum.domain.errors import HilumError
from hilum.registry import durable
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle

from .disk import cut_power, make_disk, mounted
from .trial import Finding, trial

POWER_CUTS = 100
SEED = 7


@trial(
    "E2",
    "power cut while a process promotes versions, on an ext4 that only fsync writes back",
    target="0 broken registries; what was promoted and acknowledged stays promoted",
    sabotage="fsync does nothing",
)
def cut_the_power(folder: Path, broken: bool) -> Finding:
    """Promote, kill, and read what the disk holds."""
    if broken:
        durable.os.fsync = lambda _: None  # type: ignore[attr-defined]
    moments = random.Random(SEED)
    rounds = POWER_CUTS if not broken else 10
    bad = acknowledged = 0
    for _ in range(rounds):
        image, after = folder / "disk.img", folder / "after.img"
        make_disk(image)
        with mounted(image, folder / "disk") as disk:
            root = disk / "registry"
            names = [make_bundle(root, f"1.{minor}.0") for minor in range(3)]
            ModelStore(root).promote(names[2], by="ada", reason="first")
            os.sync()
            pause = moments.uniform(0.02, 0.2)
            lines = cut_power(
                disk,
                image,
                after,
                lambda say, root=root, names=names: _promote_for_ever(root, names, say),
                lambda _, pause=pause: time.sleep(pause),
            )
        acknowledged += sum(1 for line in lines if " " not in line)
        allowed = set(lines[-1].split()) if lines else {names[2]}
        with mounted(after, folder / "again") as disk:
            bad += not _is_whole(disk / "registry", allowed)
    return Finding(
        rounds,
        bad == 0 and acknowledged >= rounds,
        f"{bad} broken or set back, after {acknowledged} acknowledged promotions",
    )


def _promote_for_ever(root: Path, names: list[str], say: int) -> None:
    store = ModelStore(root)
    turn = 0
    while True:
        name = names[turn % len(names)]
        os.write(say, f"{store.production()} {name}\n".encode())
        store.promote(name, by="child", reason=f"turn {turn}")
        os.write(say, f"{name}\n".encode())
        turn += 1


def _is_whole(root: Path, allowed: set[str]) -> bool:
    try:
        store = ModelStore(root)
        if store.resolve("production").name not in allowed:
            return False
        store.prune(10_000, by="next", reason="mends")
        return store.verify_history() == []
    except (HilumError, OSError):
        return False
