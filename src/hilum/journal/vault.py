r"""The case store that a site may switch on: every file encrypted with AES-256-GCM, never one in the clear.

Each case has a data key of its own; the vault key wraps only that, so that a new vault key takes 60 new bytes
for a case and the content stays as it is. A file is

    b"HILUMV1\n"  length of key id (1)  key id  nonce (12)  wrapped data key (48)  nonce (12)  content, tag

The wrapping binds record id, kind, key id and version; the content binds record id, kind and version: a file
that is renamed, exchanged, cut or altered in any bit does not open. Nonces are 96 random bits, used once: the
content's under a key of its own, the wrapping's under a vault key, where 2^30 cases repeat one with
probability 2^-37 (NIST SP 800-38D, 8.3, allows 2^32 messages). Names hold the record id and the kind alone.
"""

import hmac
import json
import re
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hilum.domain.errors import InputError, VaultRefused
from hilum.domain.thresholds import MIN_SECRET_BYTES
from hilum.files import sync_folder
from hilum.journal.chain import is_same, to_canonical
from hilum.journal.private_file import PART_SUFFIX, write_private
from hilum.journal.vault_keys import VaultKeys

VERSION = 1
_MAGIC = b"HILUMV1\n"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_WRAPPED_BYTES = MIN_SECRET_BYTES + _TAG_BYTES
_RECORD_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_SUFFIX = ".case"
_CHECKS = "vault.json"
_CLOSED = "vault: the case does not open; it was altered, or belongs to another place or key"


class Vault:
    """The case store in a folder.

    Parameters
    ----------
    folder
        Made with mode 0700 when missing.
    keys
        From `hilum.journal.vault_keys.read_vault_keys`.

    Raises
    ------
    VaultRefused
        A key that cases here need is missing or another one: nothing is stored until it is back.
    """

    def __init__(self, folder: Path, keys: VaultKeys) -> None:
        self._folder, self._keys = folder, keys
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        for part in folder.glob(f".*{PART_SUFFIX}"):  # left by a crash; encrypted, and never acknowledged
            part.unlink(missing_ok=True)
        self._check_keys()

    def put(self, record_id: str, kind: str, content: bytes) -> None:
        """Encrypt and keep a case, in place of an older one of its name; on disk when this returns.

        Parameters
        ----------
        record_id
            The UUID of the request it belongs to.
        kind
            What it is, e.g. `film`: small letters, digits, hyphens.

        Raises
        ------
        InputError
            The id is no UUID, or the kind no code.
        OSError
            It cannot be written.
        """
        path = self._locate(record_id, kind)
        data_key, nonce = secrets.token_bytes(MIN_SECRET_BYTES), secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(data_key).encrypt(nonce, content, _bind("content", record_id, kind))
        write_private(path, self._wrap(data_key, record_id, kind) + nonce + sealed)

    def get(self, record_id: str, kind: str) -> bytes:
        """Return the content of a case.

        Raises
        ------
        VaultRefused
            There is no such case, or it does not open; why it does not is never said.
        InputError
            The id is no UUID, or the kind no code.
        """
        path = self._locate(record_id, kind)
        if not path.is_file():
            raise VaultRefused("vault: there is no such case")
        data_key, _, rest = self._unwrap(path.read_bytes(), record_id, kind)
        try:
            nonce, sealed = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
            return AESGCM(data_key).decrypt(nonce, sealed, _bind("content", record_id, kind))
        except (InvalidTag, ValueError):
            raise VaultRefused(_CLOSED) from None

    def list(self) -> list[tuple[str, str]]:
        """Return record id and kind of every case, sorted."""
        names = sorted(path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}"))
        return [(name[:36], name[37:]) for name in names]

    def delete(self, record_id: str, kind: str) -> None:
        """Remove a case; none is fine."""
        self._locate(record_id, kind).unlink(missing_ok=True)
        sync_folder(self._folder)

    def rewrap(self) -> int:
        """Bring every case under the current key; afterwards older keys are neither needed nor taken.

        Killed in between, it is run again with the same keys; until it has finished both keys are needed.

        Returns
        -------
        int
            Cases that were under another key.

        Raises
        ------
        VaultRefused
            A case does not open; those after it are left as they are.
        """
        changed = 0
        for record_id, kind in self.list():
            path = self._locate(record_id, kind)
            data_key, key_id, rest = self._unwrap(path.read_bytes(), record_id, kind)
            if key_id != self._keys.current:
                write_private(path, self._wrap(data_key, record_id, kind) + rest)
                changed += 1
        self._write_checks({self._keys.current})
        return changed

    def _wrap(self, data_key: bytes, record_id: str, kind: str) -> bytes:
        key_id, nonce = self._keys.current, secrets.token_bytes(_NONCE_BYTES)
        wrapper = AESGCM(self._keys.keys[key_id])
        wrapped = wrapper.encrypt(nonce, data_key, _bind("wrap", record_id, kind, key_id))
        return _MAGIC + bytes([len(key_id)]) + key_id.encode() + nonce + wrapped

    def _unwrap(self, file: bytes, record_id: str, kind: str) -> tuple[bytes, str, bytes]:
        """Return data key, id of the vault key that wrapped it, and what follows in the file."""
        start = len(_MAGIC) + 1
        try:
            end = start + file[start - 1]
            key_id = file[start:end].decode("ascii")
            nonce, wrapped = file[end : end + _NONCE_BYTES], file[end + _NONCE_BYTES :][:_WRAPPED_BYTES]
            if not file.startswith(_MAGIC) or key_id not in self._read_checks():
                raise VaultRefused(_CLOSED)
            wrapper = AESGCM(self._keys.keys[key_id])
            data_key = wrapper.decrypt(nonce, wrapped, _bind("wrap", record_id, kind, key_id))
        except (IndexError, KeyError, ValueError, InvalidTag):
            raise VaultRefused(_CLOSED) from None
        return data_key, key_id, file[end + _NONCE_BYTES + _WRAPPED_BYTES :]

    def _locate(self, record_id: str, kind: str) -> Path:
        if _RECORD_ID.fullmatch(record_id) is None or _KIND.fullmatch(kind) is None:
            raise InputError(
                "vault: a case is named by a UUID and a code of small letters, digits and hyphens"
            )
        return self._folder / f"{record_id}.{kind}{_SUFFIX}"

    def _check_keys(self) -> None:
        """Refuse when a key that cases may need is missing or another one; take the current one up."""
        checks = self._read_checks()
        if not checks and self.list():
            raise VaultRefused(f"vault: {_CHECKS} is gone from a folder with cases; restore it")
        for key_id, check in checks.items():
            if key_id not in self._keys.keys or not is_same(check, self._check_of(key_id)):
                raise VaultRefused(
                    "vault: a key of this folder is missing or another one; restore the key file"
                )
        if self._keys.current not in checks:
            self._write_checks({*checks, self._keys.current})

    def _check_of(self, key_id: str) -> str:
        return hmac.digest(self._keys.keys[key_id], f"hilum vault check {key_id}".encode(), "sha256").hex()

    def _read_checks(self) -> dict[str, str]:
        try:
            stated = json.loads((self._folder / _CHECKS).read_bytes())
            return {str(key_id): str(check) for key_id, check in stated["checks"].items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise VaultRefused(f"vault: {_CHECKS} is damaged; restore it") from None

    def _write_checks(self, key_ids: set[str]) -> None:
        stated = {"version": VERSION, "checks": {key_id: self._check_of(key_id) for key_id in key_ids}}
        write_private(self._folder / _CHECKS, to_canonical(stated).encode())


def _bind(purpose: str, record_id: str, kind: str, key_id: str | None = None) -> bytes:
    stated: dict[str, str | int] = {"id": record_id, "kind": kind, "version": VERSION}
    if key_id is not None:
        stated["key"] = key_id
    return f"{purpose}\n{to_canonical(stated)}".encode()
