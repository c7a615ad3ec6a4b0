"""The two secrets of a service: the pepper of its API keys and the key of its journal's chain.

Files of their own, apart from the database: a copy of the database opens nothing. Made on first use, readable
by their owner alone; never in the environment, the command line or a log.
"""

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.errors import ConfigError
from hilum.domain.thresholds import MIN_SECRET_BYTES
from hilum.serving.settings import ServiceSettings

_FOLDER = "secrets"
_OWNER_ONLY = 0o600
_FOLDER_MODE = 0o700
_OTHERS = stat.S_IROTH | stat.S_IWOTH


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Pepper and chain key; not shown by `repr`."""

    pepper: bytes
    chain_key: bytes


def load_secrets(settings: ServiceSettings) -> Secrets:
    """Read the secrets, and make those that have no file yet.

    Raises
    ------
    ConfigError
        Others may read one, or it is too short.
    """
    folder = settings.data / _FOLDER
    if settings.pepper_file is None or settings.chain_key_file is None:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    return Secrets(
        _load(settings.pepper_file or folder / "pepper", is_ours=settings.pepper_file is None),
        _load(settings.chain_key_file or folder / "chain-key", is_ours=settings.chain_key_file is None),
    )


def _load(path: Path, *, is_ours: bool) -> bytes:
    if is_ours and not path.exists():
        _make(path)
    if path.stat().st_mode & _OTHERS:
        raise ConfigError(f"{path}: others may read or change this secret; run chmod 600 on it")
    content = path.read_bytes()
    if len(content) < MIN_SECRET_BYTES:
        raise ConfigError(f"{path}: has {len(content)} bytes; a secret needs {MIN_SECRET_BYTES} or more")
    return content


def _make(path: Path) -> None:
    """Write a new secret; of several processes that start at once one wins and all use what it wrote."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(MIN_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(new, path)
        except FileExistsError:
            return
    finally:
        new.unlink()
