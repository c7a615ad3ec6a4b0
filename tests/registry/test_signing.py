import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hilum.domain.errors import CheckpointError, ConfigError
from hilum.registry.bundle import SIGNATURE_FILE, SUMS_FILE, read_bundle
from hilum.registry.signing import make_keys, sign_bundle, verify_signature
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle, seal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return make_keys(tmp_path / "keys")


def test_a_signed_bundle_is_accepted_and_its_checksums_do_not_change(root: Path, keys: tuple[Path, Path]):
    private, public = keys
    folder = root / make_bundle(root)
    sums = (folder / SUMS_FILE).read_bytes()
    assert sign_bundle(folder, private) == folder / SIGNATURE_FILE
    verify_signature(folder, public)
    assert (folder / SUMS_FILE).read_bytes() == sums
    assert read_bundle(folder).name == folder.name


def test_openssl_agrees(root: Path, keys: tuple[Path, Path]):
    private, public = keys
    folder = root / make_bundle(root)
    sign_bundle(folder, private)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"]
    command += ["-in", str(folder / SUMS_FILE), "-sigfile", str(folder / SIGNATURE_FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Signature Verified Successfully" in done.stdout


def test_a_registry_with_a_key_takes_signed_bundles_only(root: Path, keys: tuple[Path, Path]):
    private, public = keys
    signed, unsigned = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0")
    sign_bundle(root / signed, private)
    store = ModelStore(root, public_key=public)
    assert store.promote(signed, by="ada", reason="first").promoted
    with pytest.raises(CheckpointError, match="carries no signature"):
        store.promote(unsigned, by="ada", reason="newer", override="it is fine")
    assert [model.ok for model in store.list()] == [False, True]
    assert store.resolve("production").name == signed


def test_the_signature_of_another_key_is_refused(root: Path, keys: tuple[Path, Path], tmp_path: Path):
    other, _ = make_keys(tmp_path / "other")
    folder = root / make_bundle(root)
    sign_bundle(folder, other)
    with pytest.raises(CheckpointError, match="not by the key signing.pub.pem"):
        verify_signature(folder, keys[1])


def test_every_changed_byte_of_a_signature_is_refused(root: Path, keys: tuple[Path, Path]):
    private, public = keys
    folder = root / make_bundle(root)
    file = sign_bundle(folder, private)
    good = file.read_bytes()
    assert len(good) == 64
    for index in range(len(good)):
        file.write_bytes(good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :])
        with pytest.raises(CheckpointError, match="is not of this content"):
            verify_signature(folder, public)
    for content in (b"", good[:-1], good + b"\n"):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match="is not of this content"):
            verify_signature(folder, public)


def test_content_changed_with_its_checksums_is_found_by_the_signature(root: Path, keys: tuple[Path, Path]):
    private, public = keys
    name = make_bundle(root)
    sign_bundle(root / name, private)
    (root / name / "weights.safetensors").write_bytes(b"poison")
    seal(root / name)
    assert ModelStore(root).verify(name) == []
    (problem,) = ModelStore(root, public_key=public).verify(name)
    assert "its signature is not of this content" in problem


def test_a_damaged_bundle_is_not_signed(root: Path, keys: tuple[Path, Path]):
    folder = root / make_bundle(root)
    (folder / "card.md").write_text("changed")
    with pytest.raises(CheckpointError):
        sign_bundle(folder, keys[0])
    assert not (folder / SIGNATURE_FILE).exists()


def test_the_private_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path):
    private, public = make_keys(tmp_path)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(ConfigError, match="a key is never overwritten"):
        make_keys(tmp_path)
    assert (private.read_bytes(), public.read_bytes()) == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777])
def test_a_private_key_that_others_can_read_is_refused(root: Path, keys: tuple[Path, Path], mode: int):
    private, _ = keys
    private.chmod(mode)
    folder = root / make_bundle(root)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}"):
        sign_bundle(folder, private)
    assert not (folder / SIGNATURE_FILE).exists()


def test_files_that_are_no_keys_are_refused(root: Path, keys: tuple[Path, Path], tmp_path: Path):
    folder = root / make_bundle(root)
    rsa_key = rsa.generate_private_key(65537, 2048)
    wrong = tmp_path / "wrong.pem"
    private_pem = rsa_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = rsa_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for content, message in ((b"junk", "no private key in PEM"), (private_pem, "no Ed25519 key")):
        wrong.write_bytes(content)
        wrong.chmod(0o600)
        with pytest.raises(ConfigError, match=message):
            sign_bundle(folder, wrong)
    for content, message in ((b"junk", "no public key in PEM"), (public_pem, "no Ed25519 key")):
        wrong.write_bytes(content)
        with pytest.raises(ConfigError, match=message):
            verify_signature(folder, wrong)
    for refused in (sign_bundle, verify_signature):
        with pytest.raises(ConfigError, match="cannot be read"):
            refused(folder, tmp_path / "absent.pem")
