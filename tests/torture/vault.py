"""Group M: a case of the vault opens as it was kept, at its own place and under its own key, or not."""

import os
import random
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hilum.domain.errors import VaultRefused
from hilum.journal import vault as vault_module
from hilum.journal.vault import Vault
from hilum.journal.vault_keys import VaultKeys

from .tracing import run_traced
from .trial import Finding, trial

SEED = 13
FLIPS, CUTS = 10_000, 1_000
CASES, SWAPS = 1_000, 20_000
ROTATED = 4
CALLS = (
    "openat",
    "read",
    "write",
    "fsync",
    "rename",
    "close",
    "fchmod",
    "newfstatat",
    "getdents64",
    "unlink",
)
MOST_CALLS = 200
OLD = VaultKeys("a", {"a": b"a" * 32})
BOTH = VaultKeys("b", {"a": b"a" * 32, "b": b"b" * 32})
NEW = VaultKeys("b", {"b": b"b" * 32})


def _ids(count: int) -> list[str]:
    dice = random.Random(SEED)
    return [str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(count)]


def _opens(vault: Vault, record_id: str, kind: str) -> bool:
    try:
        vault.get(record_id, kind)
    except VaultRefused:
        return False
    return True


class _Unauthenticated:
    """AES-GCM of somebody who thinks that the tag is padding."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._key, self._whole = key, AESGCM(key)

    def encrypt(self, *arguments: Any) -> bytes:
        return self._whole.encrypt(*arguments)

    def decrypt(self, nonce: bytes, sealed: bytes, _: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        counter = nonce + (2).to_bytes(4, "big")
        return Cipher(algorithms.AES(self._key), modes.CTR(counter)).decryptor().update(sealed[:-16])


@trial(
    "M1",
    f"files of the vault with one flipped bit, {FLIPS:,} times, and cut at random, {CUTS:,} times",
    target="100 % refused",
    sabotage="the tag of AES-GCM is not looked at",
)
def damaged_cases(folder: Path, broken: bool) -> Finding:
    """Damage, open, restore."""
    if broken:
        vault_module.AESGCM = _Unauthenticated  # type: ignore[attr-defined, misc]
    dice = random.Random(SEED)
    vault = Vault(folder / "vault", OLD)
    record_ids = _ids(50)
    for record_id in record_ids:
        vault.put(record_id, "film", dice.randbytes(dice.randrange(1, 3_000)))
    opened, first = 0, ""
    for number in range(FLIPS + CUTS):
        record_id = dice.choice(record_ids)
        path = folder / "vault" / f"{record_id}.film.case"
        whole = path.read_bytes()
        damaged = bytearray(whole)
        if number < FLIPS:
            at = dice.randrange(len(whole))
            damaged[at] ^= 1 << dice.randrange(8)
        else:
            at = dice.randrange(len(whole))
            del damaged[at:]
        path.write_bytes(damaged)
        if _opens(vault, record_id, "film"):
            opened += 1
            first = first or f"; first: case {number}, byte {at}"
        path.write_bytes(whole)
    intact = sum(_opens(vault, record_id, "film") for record_id in record_ids)
    return Finding(
        FLIPS + CUTS,
        opened == 0 and intact == len(record_ids),
        f"{opened} of {FLIPS + CUTS:,} opened{first}; {intact} of {len(record_ids)} intact ones open",
    )


@trial(
    "M2",
    f"ciphertexts of {CASES:,} cases of two kinds at the place of another, {SWAPS:,} random pairs",
    target="none opens",
    sabotage="a ciphertext is not bound to its place",
)
def exchanged_cases(folder: Path, broken: bool) -> Finding:
    """Put the file of one case at the place of another."""
    if broken:
        vault_module._bind = lambda *_: b"anywhere"  # type: ignore[attr-defined]
    vault = Vault(folder / "vault", OLD)
    places = [(record_id, kind) for record_id in _ids(CASES // 2) for kind in ("film", "report")]
    for number, place in enumerate(places):
        vault.put(*place, b"case %d" % number)
    files = {place: (folder / "vault" / "{}.{}.case".format(*place)).read_bytes() for place in places}
    dice = random.Random(SEED)
    opened = 0
    for _ in range(SWAPS):
        place, other = dice.sample(places, 2)
        path = folder / "vault" / "{}.{}.case".format(*place)
        path.write_bytes(files[other])
        opened += _opens(vault, *place)
        path.write_bytes(files[place])
    intact = sum(_opens(vault, *place) for place in places)
    return Finding(
        SWAPS,
        opened == 0 and intact == len(places),
        f"{opened} of {SWAPS:,} opened; {intact} of {len(places)} at their own places open",
    )


@trial(
    "M3",
    f"SIGKILL at every {', '.join(CALLS)} of a process that brings {ROTATED} cases under a new key",
    target="every case opens with both keys; a rerun ends with the new key alone, and the old one is refused",
    sabotage="files are written in place",
)
def killed_rotation(folder: Path, broken: bool) -> Finding:
    """Kill a rotation at each call, then finish it."""
    if broken:
        vault_module.write_private = lambda path, data: path.write_bytes(data)  # type: ignore[attr-defined]
    kills = bad = 0
    first = ""
    for call in CALLS:
        for number in range(1, MOST_CALLS) if not (broken and bad) else ():
            place = folder / f"{call}{number}"
            vault = Vault(place, OLD)
            for record_id in _ids(ROTATED):
                vault.put(record_id, "film", record_id.encode())
            inject = f"{call}:signal=SIGKILL:when={number}"
            ended = run_traced(folder, inject, lambda _, place=place: _rotate(place))
            if not os.WIFSIGNALED(ended.status):
                break
            assert os.WTERMSIG(ended.status) == signal.SIGKILL
            kills += 1
            if not _is_finished_well(place):
                bad += 1
                first = first or f"; first at {call} {number}"
    return Finding(
        kills, bad == 0 and kills > len(CALLS), f"{bad} of {kills} vaults lost a case or a key{first}"
    )


def _rotate(place: Path) -> None:
    Vault(place, BOTH).rewrap()


def _is_finished_well(place: Path) -> bool:
    def all_open(keys: VaultKeys) -> bool:
        vault = Vault(place, keys)
        return all(vault.get(record_id, "film") == record_id.encode() for record_id in _ids(ROTATED))

    steps: tuple[Callable[[], bool], ...] = (
        lambda: all_open(BOTH),
        lambda: _rotate(place) is None,
        lambda: all_open(NEW),
    )
    try:
        if not all(step() for step in steps):
            return False
    except VaultRefused:
        return False
    try:
        Vault(place, OLD)
    except VaultRefused:
        return not list(place.glob(".*"))
    return False
