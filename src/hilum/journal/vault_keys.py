"""The keys of the case store: a file readable by its owner alone, never an argument or a variable.

The file is JSON: {"current": id, "keys": {id: 32 bytes in base64}}. New cases are encrypted under the current
key; older ones open what is there until `Vault.rewrap` has gone through it.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hilum.domain.errors import ConfigError, VaultRefused
from hilum.domain.thresholds import MIN_SECRET_BYTES
from hilum.journal.private_file import write_private

_OTHERS = 0o077
_ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class VaultKeys:
    """Keys by their ids; `current` names the one for new cases. Never shows a key.

    Raises
    ------
    ConfigError
        The current key is missing, or a key is not 256 bits long.
    """

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.current not in self.keys or any(len(key) != MIN_SECRET_BYTES for key in self.keys.values()):
            raise ConfigError(
                f"vault: the current key must be there, and each key has {MIN_SECRET_BYTES} bytes"
            )


def create_vault_keys(path: Path) -> VaultKeys:
    """Make a file with one random key.

    Raises
    ------
    ConfigError
        The file is there already: to overwrite it would lose every case.
    """
    if path.exists():
        raise ConfigError(f"vault: {path.name} is there already; rotate it instead")
    return _write(path, {}, secrets.token_hex(_ID_BYTES))


def rotate_vault_keys(path: Path) -> VaultKeys:
    """Add a random key and make it the current one; call `Vault.rewrap` next."""
    return _write(path, read_vault_keys(path).keys, secrets.token_hex(_ID_BYTES))


def drop_old_vault_keys(path: Path) -> VaultKeys:
    """Forget every key but the current one; only after `Vault.rewrap` has finished."""
    held = read_vault_keys(path)
    return _write(path, {held.current: held.keys[held.current]}, held.current)


def read_vault_keys(path: Path) -> VaultKeys:
    """Read the file.

    Raises
    ------
    VaultRefused
        It is missing, no such file, or others may read it.
    """
    try:
        if path.stat().st_mode & _OTHERS:
            raise VaultRefused(f"vault: others may read {path.name}; chmod 600 it")
        stated = json.loads(path.read_bytes())
        keys = {str(name): base64.b64decode(key, validate=True) for name, key in stated["keys"].items()}
        return VaultKeys(str(stated["current"]), keys)
    except OSError as fault:
        raise VaultRefused(f"vault: the key file cannot be read ({fault.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, ConfigError):
        raise VaultRefused(f"vault: {path.name} is no key file of a vault") from None


def _write(path: Path, held: Mapping[str, bytes], current: str) -> VaultKeys:
    keys = dict(held)
    if current not in keys:
        keys[current] = secrets.token_bytes(MIN_SECRET_BYTES)
    stated = {
        "current": current,
        "keys": {name: base64.b64encode(key).decode() for name, key in keys.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(stated, allow_nan=False).encode())
    return VaultKeys(current, keys)
