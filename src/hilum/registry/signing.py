"""Ed25519 signatures of bundles, and the keys for them.

SIGNATURE holds the 64 bytes of a detached signature over the bytes of SHA256SUMS, which names every other
file of the bundle by its hash. Anyone can check it without hilum:

    openssl pkeyutl -verify -pubin -inkey signing.pub.pem -rawin -in SHA256SUMS -sigfile SIGNATURE
"""

import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hilum.domain.errors import CheckpointError, ConfigError
from hilum.files import naming, sync_folder
from hilum.registry.bundle import SIGNATURE_FILE, SUMS_FILE, read_bundle
from hilum.registry.durable import write_durably

PRIVATE_KEY_FILE = "signing.pem"
PUBLIC_KEY_FILE = "signing.pub.pem"
_SIGNATURE_BYTES = 64  # RFC 8032, 5.1.6


def make_keys(folder: Path) -> tuple[Path, Path]:
    """Make a key pair; return the private file, which only its owner can read, and the public one.

    Raises
    ------
    ConfigError
        If there is one already: a key is never overwritten.
    """
    private, public = folder / PRIVATE_KEY_FILE, folder / PUBLIC_KEY_FILE
    folder.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    except FileExistsError as error:
        raise ConfigError(
            f"{private}: exists; a key is never overwritten. Name another folder, or move it away."
        ) from error
    try:
        with naming(private, temporary=private), os.fdopen(handle, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        private.unlink()  # half a key would stand in the way of the next one
        raise
    sync_folder(folder)
    told = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_durably(public, told)
    return private, public


def sign_bundle(folder: Path, private_key_path: Path) -> Path:
    """Sign a whole bundle; return the file of the signature.

    Raises
    ------
    CheckpointError
        If the bundle is damaged: what is damaged is not signed.
    ConfigError
        If the key cannot be used, or others can read it.
    """
    key = _read_private_key(private_key_path)
    read_bundle(folder)
    file = folder / SIGNATURE_FILE
    write_durably(file, key.sign((folder / SUMS_FILE).read_bytes()), beside=folder.parent)
    return file


def verify_signature(folder: Path, public_key_path: Path) -> None:
    """Refuse a bundle whose checksums were not signed by the holder of a key.

    Says nothing about the files themselves: `read_bundle` compares them with the checksums.

    Raises
    ------
    CheckpointError
        If there is no signature, or it is of other content or by another key.
    ConfigError
        If the public key cannot be read.
    """
    key = _read_public_key(public_key_path)
    try:
        signature = (folder / SIGNATURE_FILE).read_bytes()
        signed = (folder / SUMS_FILE).read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder.name}: carries no signature, and one is required here. Sign it with `hilum register"
            " --sign KEY`, or fetch the signed release."
        ) from error
    try:
        if len(signature) != _SIGNATURE_BYTES:
            raise InvalidSignature
        key.verify(signature, signed)
    except InvalidSignature as error:
        raise CheckpointError(
            f"{folder.name}: its signature is not of this content, or not by the key {public_key_path.name}."
            " Do not use it; fetch it again from its publisher."
        ) from error


def sign_text(text: str, private_key_path: Path) -> str:
    """Return the signature of a text, in hexadecimal.

    Raises
    ------
    ConfigError
        If the key cannot be used, or others can read it.
    """
    return _read_private_key(private_key_path).sign(text.encode()).hex()


def is_signed(text: str, signature: str, public_key_path: Path) -> bool:
    """Say whether a text was signed by the holder of a key.

    Raises
    ------
    ConfigError
        If the public key cannot be read.
    """
    key = _read_public_key(public_key_path)
    try:
        key.verify(bytes.fromhex(signature), text.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


def _read_private_key(path: Path) -> Ed25519PrivateKey:
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Make a key: hilum keygen.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"{path}: others can read this private key (mode {stat.S_IMODE(mode):04o}). Make a new one, and"
            " chmod 600 it; this one may be known."
        )
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: is no private key in PEM form. Make one: hilum keygen.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: is no Ed25519 key. Make one: hilum keygen.")
    return key


def _read_public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: is no public key in PEM form. Make a pair: hilum keygen.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path}: is no Ed25519 key. Make a pair: hilum keygen.")
    return key
