import base64
import json
import random
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hilum.domain.errors import ConfigError, InputError, VaultRefused
from hilum.journal.vault import Vault
from hilum.journal.vault_keys import (
    VaultKeys,
    create_vault_keys,
    drop_old_vault_keys,
    read_vault_keys,
    rotate_vault_keys,
)

ROOT = Path(__file__).parents[2]
RECORD = "6f1c1b1e-3f1d-4c55-9d1d-0d6f7a3c2b10"
OTHER = "6f1c1b1e-3f1d-4c55-9d1d-0d6f7a3c2b11"
FILM = b"pixels of a film, planted " * 40
CLOSED = "vault: the case does not open; it was altered, or belongs to another place or key"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    create_vault_keys(tmp_path / "secrets" / "vault.keys")
    return tmp_path / "secrets" / "vault.keys"


@pytest.fixture
def vault(tmp_path: Path, key_file: Path) -> Vault:
    return Vault(tmp_path / "vault", read_vault_keys(key_file))


def only_case(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "vault").glob("*.case")
    return path


def test_a_case_comes_back_and_is_nowhere_in_the_clear(vault: Vault, tmp_path: Path):
    vault.put(RECORD, "film", FILM)
    assert vault.get(RECORD, "film") == FILM
    assert vault.list() == [(RECORD, "film")]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"pixels of" not in written
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "vault").iterdir()} == {"0o600"}
    assert oct((tmp_path / "vault").stat().st_mode & 0o777) == "0o700"


def test_the_same_case_never_encrypts_to_the_same_bytes(vault: Vault, tmp_path: Path):
    seen = set()
    for _ in range(50):
        vault.put(RECORD, "film", FILM)
        file = only_case(tmp_path).read_bytes()
        seen |= {file[17:29], file[77:89]}  # both nonces: after magic (8), length (1) and key id (8)
    assert len(seen) == 100


def test_a_file_is_what_the_module_says(vault: Vault, tmp_path: Path, key_file: Path):
    """Opened with nothing but the key and the description."""
    vault.put(RECORD, "film", FILM)
    file = only_case(tmp_path).read_bytes()
    assert (file[:8], file[8]) == (b"HILUMV1\n", 8)
    key_id = file[9:17].decode()
    key = base64.b64decode(json.loads(key_file.read_text())["keys"][key_id])
    wrapping = f'wrap\n{{"id":"{RECORD}","key":"{key_id}","kind":"film","version":1}}'.encode()
    data_key = AESGCM(key).decrypt(file[17:29], file[29:77], wrapping)
    content = f'content\n{{"id":"{RECORD}","kind":"film","version":1}}'.encode()
    assert AESGCM(data_key).decrypt(file[77:89], file[89:], content) == FILM


def test_the_cipher_is_aes_256_gcm():
    # test cases 13 and 14 of McGrew and Viega, The Galois/Counter Mode of Operation
    cipher = AESGCM(bytes(32))
    assert cipher.encrypt(bytes(12), b"", None).hex() == "530f8afbc74536b9a963b4f1c4cb738b"
    sealed = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    assert cipher.encrypt(bytes(12), bytes(16), None).hex() == sealed


def test_every_single_bit_matters(vault: Vault, tmp_path: Path):
    vault.put(RECORD, "film", b"short")
    path = only_case(tmp_path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in (0, 7):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(VaultRefused) as refusal:
                vault.get(RECORD, "film")
            assert str(refusal.value) == CLOSED
    path.write_bytes(whole)
    assert vault.get(RECORD, "film") == b"short"


def test_every_truncation_and_every_addition_is_refused(vault: Vault, tmp_path: Path):
    vault.put(RECORD, "film", FILM)
    path = only_case(tmp_path)
    whole = path.read_bytes()
    for length in [*range(0, 120), *range(120, len(whole), 13), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(VaultRefused):
            vault.get(RECORD, "film")
    path.write_bytes(whole + b"\0")
    with pytest.raises(VaultRefused):
        vault.get(RECORD, "film")


def test_two_cases_cannot_be_exchanged(vault: Vault, tmp_path: Path):
    rng = random.Random(2)
    places = [
        (str(uuid.UUID(int=rng.getrandbits(128))), kind) for kind in ("film", "report") for _ in range(10)
    ]
    files = {}
    for number, (record_id, kind) in enumerate(places):
        vault.put(record_id, kind, b"case %d" % number)
        files[record_id, kind] = (tmp_path / "vault" / f"{record_id}.{kind}.case").read_bytes()
    for one in places:
        for other in places:
            (tmp_path / "vault" / f"{one[0]}.{one[1]}.case").write_bytes(files[other])
            if one == other:
                assert vault.get(*one).startswith(b"case")
            else:
                with pytest.raises(VaultRefused):
                    vault.get(*one)


def test_a_wrong_or_missing_key_refuses_to_open_the_store(vault: Vault, tmp_path: Path, key_file: Path):
    vault.put(RECORD, "film", FILM)
    right = read_vault_keys(key_file)
    with pytest.raises(VaultRefused, match="missing or another one"):
        Vault(tmp_path / "vault", VaultKeys(right.current, {right.current: b"x" * 32}))
    with pytest.raises(VaultRefused, match="missing or another one"):
        Vault(tmp_path / "vault", VaultKeys("new", {"new": b"x" * 32}))
    (tmp_path / "vault" / "vault.json").unlink()
    with pytest.raises(VaultRefused, match="gone from a folder with cases"):
        Vault(tmp_path / "vault", right)
    (tmp_path / "vault" / "vault.json").write_text("[")
    with pytest.raises(VaultRefused, match="damaged"):
        Vault(tmp_path / "vault", right)


def test_after_rotation_and_rewrap_the_old_key_is_neither_needed_nor_taken(
    tmp_path: Path, key_file: Path, vault: Vault
):
    old = read_vault_keys(key_file)
    vault.put(RECORD, "film", FILM)
    before = only_case(tmp_path).read_bytes()
    both = rotate_vault_keys(key_file)
    assert both.current != old.current
    turned = Vault(tmp_path / "vault", both)
    assert turned.get(RECORD, "film") == FILM
    turned.put(OTHER, "film", FILM)
    assert turned.rewrap() == 1
    assert turned.rewrap() == 0
    alone = Vault(tmp_path / "vault", drop_old_vault_keys(key_file))
    assert alone.get(RECORD, "film") == alone.get(OTHER, "film") == FILM
    assert list(read_vault_keys(key_file).keys) == [both.current]
    with pytest.raises(VaultRefused):
        Vault(tmp_path / "vault", old)
    (tmp_path / "vault" / f"{RECORD}.film.case").write_bytes(before)  # a copy under the old key put back
    with pytest.raises(VaultRefused):
        Vault(tmp_path / "vault", both).get(RECORD, "film")


KILLED_REWRAP = """
import os, shutil, signal, sys
from pathlib import Path
from hilum.journal.vault import Vault
from hilum.journal.vault_keys import VaultKeys

root = Path(sys.argv[1])
old, both = VaultKeys("a", {"a": b"a" * 32}), VaultKeys("b", {"a": b"a" * 32, "b": b"b" * 32})
records = [f"00000000-0000-0000-0000-{n:012d}" for n in range(4)]
vault = Vault(root / "whole", old)
for record in records:
    vault.put(record, "film", record.encode())

def count_down(call, left):
    def counted(*arguments, **named):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return counted

kills = 0
for point in range(1, 200):
    folder = root / f"at{point}"
    shutil.copytree(root / "whole", folder)
    child = os.fork()
    if child == 0:
        left = [point]
        for name in ("open", "fsync", "replace", "rename", "close"):
            setattr(os, name, count_down(getattr(os, name), left))
        Vault(folder, both).rewrap()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    survivor = Vault(folder, both)
    assert [survivor.get(record, "film") for record in records] == [record.encode() for record in records]
    survivor.rewrap()
    alone = Vault(folder, VaultKeys("b", {"b": b"b" * 32}))
    assert [alone.get(record, "film") for record in records] == [record.encode() for record in records]
    assert not list(folder.glob(".*")), point
    shutil.rmtree(folder)
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
    kills += 1
print(kills)
"""


def test_a_kill_at_any_step_of_a_rewrap_loses_nothing(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_REWRAP, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


@pytest.mark.parametrize(
    ("record_id", "kind"),
    [("../../etc/passwd", "film"), ("film", "film"), (RECORD.upper(), "film"), (RECORD, ""), (RECORD, "../x")]
    + [(RECORD, "Film"), (RECORD + "\n", "film"), (RECORD, "film\n")],
)
def test_names_that_are_no_ids_are_refused(vault: Vault, record_id: str, kind: str):
    for attempt in (lambda: vault.put(record_id, kind, FILM), lambda: vault.get(record_id, kind)):
        with pytest.raises(InputError, match="named by a UUID"):
            attempt()
    assert vault.list() == []


def test_a_case_that_is_not_there_is_refused_and_deleting_it_is_fine(vault: Vault):
    with pytest.raises(VaultRefused, match="there is no such case"):
        vault.get(RECORD, "film")
    vault.put(RECORD, "film", FILM)
    vault.delete(RECORD, "film")
    vault.delete(RECORD, "film")
    assert vault.list() == []


def test_a_key_file_is_for_its_owner_alone_and_shows_nothing(key_file: Path):
    assert oct(key_file.stat().st_mode & 0o777) == "0o600"
    stated = json.loads(key_file.read_text())
    held = read_vault_keys(key_file)
    assert stated["keys"][held.current] not in repr(held)
    assert repr(held) == f"VaultKeys(current='{held.current}')"
    key_file.chmod(0o640)
    with pytest.raises(VaultRefused, match="others may read vault.keys; chmod 600"):
        read_vault_keys(key_file)


def test_a_key_file_is_never_overwritten_by_a_new_one(key_file: Path):
    with pytest.raises(ConfigError, match="is there already; rotate it"):
        create_vault_keys(key_file)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"current": "a", "keys": {"a": "!"}}', '{"current": "a", "keys": {}}']
)
def test_a_file_that_holds_no_keys_is_refused(key_file: Path, content: str):
    key_file.write_text(content)
    with pytest.raises(VaultRefused, match="no key file"):
        read_vault_keys(key_file)


def test_a_key_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(VaultRefused, match="cannot be read"):
        read_vault_keys(tmp_path / "none")
