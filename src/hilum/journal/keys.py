"""API keys: shown once, kept as a keyed hash, checked without telling by time how close a guess was.

A key reads `hilum_<id>.<secret>`: the id is public, the secret 256 random bits. The hash is
HMAC-SHA256(pepper, id + "." + role + "." + secret); the pepper is not in the database, so a copy of it opens
nothing, and whoever writes into it can make neither a key nor an admin.
Nothing is cached: a key revoked by one process is dead in every other at its next request.
"""

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast, get_args

from sqlalchemy import RowMapping, bindparam, insert, select, update

from hilum.domain.errors import ConfigError, InputError
from hilum.domain.thresholds import JOURNAL_MAX_TEXT, MIN_SECRET_BYTES
from hilum.journal.chain import is_same
from hilum.journal.clock import Clock, format_utc, now_utc, parse_utc
from hilum.journal.storage import Storage
from hilum.journal.tables import ApiKeyRow

Role = Literal["admin", "clinician", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
Refusal = Literal["malformed", "unknown", "wrong-secret", "revoked", "expired"]

_ID_BYTES = 8
_PATTERN = re.compile(r"hilum_([0-9a-f]{16})\.([A-Za-z0-9_-]{43})", re.ASCII)
_NO_DIGEST = "0" * 64
_TABLE = ApiKeyRow.__table__
_BY_ID = select(_TABLE).where(ApiKeyRow.id == bindparam("key_id"))  # built once: asked at every request


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret.

    Parameters
    ----------
    id
        16 hex digits; the `user_id` of records made with the key.
    label
        What its owner called it.
    role
        What it may do.
    created_at, expires_at, revoked_at
        UTC.
    successor
        The id of the key that replaced it in a rotation.
    """

    id: str
    label: str
    role: Role
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    successor: str | None = None


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """The answer to a presented key: `key` when it opens, `refusal` when not.

    With the right secret of a revoked or expired key both are set, so that a record can name the key.
    """

    key: ApiKey | None
    refusal: Refusal | None


class KeyStore:
    """The keys of a service.

    Parameters
    ----------
    storage
        The journal's database.
    pepper
        Key of the hashes, 32 bytes or more, kept apart from the database.
    clock
        Decides what has expired.

    Raises
    ------
    ConfigError
        The pepper is short.
    """

    def __init__(self, storage: Storage, *, pepper: bytes, clock: Clock = now_utc) -> None:
        if len(pepper) < MIN_SECRET_BYTES:
            raise ConfigError(f"keys: the pepper has {len(pepper)} bytes; give {MIN_SECRET_BYTES} or more")
        self._storage, self._pepper, self._clock = storage, pepper, clock

    def create(self, label: str, role: Role, expires_at: datetime) -> tuple[ApiKey, str]:
        """Make a key and return it with its plaintext, which is nowhere kept.

        Raises
        ------
        InputError
            The label is long or not printable, the role is unknown, or the expiry is past.
        JournalUnavailable
            It could not be stored.
        """
        key, plaintext, row = self._make(label, role, expires_at)
        with self._storage.write() as connection:
            connection.execute(insert(ApiKeyRow), row)
        return key, plaintext

    def check(self, presented: str) -> KeyCheck:
        """Judge what a caller presented; a wrong secret takes as long whatever it is like.

        Raises
        ------
        JournalUnavailable
            The keys cannot be read: let nobody in.
        """
        match = _PATTERN.fullmatch(presented)
        if match is None:
            return KeyCheck(None, "malformed")
        key_id, secret = match.groups()
        with self._storage.read() as connection:
            row = connection.execute(_BY_ID, {"key_id": key_id}).mappings().one_or_none()
        role, stored = ("", _NO_DIGEST) if row is None else (row["role"], row["digest"])
        is_right = is_same(self._hash(key_id, role, secret), stored)
        if row is None:
            return KeyCheck(None, "unknown")
        if not is_right:
            return KeyCheck(None, "wrong-secret")
        key = _to_key(row)
        if key.revoked_at is not None:
            return KeyCheck(key, "revoked")
        return KeyCheck(key, "expired" if self._clock() >= key.expires_at else None)

    def find(self, key_id: str) -> ApiKey | None:
        """Return a key by its id, None when there is none."""
        with self._storage.read() as connection:
            row = connection.execute(_BY_ID, {"key_id": key_id}).mappings().one_or_none()
        return None if row is None else _to_key(row)

    def list(self) -> list[ApiKey]:
        """Return every key there ever was, oldest first."""
        with self._storage.read() as connection:
            rows = connection.execute(select(_TABLE).order_by(ApiKeyRow.created_at, ApiKeyRow.id)).mappings()
            return [_to_key(row) for row in rows]

    def revoke(self, key_id: str) -> ApiKey:
        """End a key now, in every process; a second time changes nothing.

        Raises
        ------
        InputError
            There is no such key.
        """
        now = format_utc(self._clock())
        with self._storage.write() as connection:
            is_live = (ApiKeyRow.id == key_id) & ApiKeyRow.revoked_at.is_(None)
            connection.execute(update(ApiKeyRow).where(is_live).values(revoked_at=now))
            row = connection.execute(_BY_ID, {"key_id": key_id}).mappings().one_or_none()
        return _to_key(_known(row))

    def rotate(
        self, key_id: str, overlap: timedelta, *, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Make a successor; the old key works on for `overlap`, so that nobody is locked out meanwhile.

        Parameters
        ----------
        key_id
            The key to replace.
        overlap
            How long both open; not beyond the old one's own expiry.
        expires_at
            Of the new key; as long from now as the old one was given when None.

        Returns
        -------
        (ApiKey, str)
            The new key and its plaintext.

        Raises
        ------
        InputError
            There is no such key, it is revoked or expired, or it has a successor already.
        """
        now = self._clock()
        with self._storage.write() as connection:
            row = connection.execute(_BY_ID, {"key_id": key_id}).mappings().one_or_none()
            old = _to_key(_known(row))
            if old.revoked_at is not None or now >= old.expires_at or old.successor is not None:
                raise InputError("key: it is revoked, expired or rotated already; create a new one")
            lifetime = old.expires_at - old.created_at
            key, plaintext, values = self._make(old.label, old.role, expires_at or now + lifetime)
            connection.execute(insert(ApiKeyRow), values)
            end = format_utc(min(old.expires_at, now + max(overlap, timedelta(0))))
            changed = update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(expires_at=end, successor=key.id)
            connection.execute(changed)
        return key, plaintext

    def _make(self, label: str, role: Role, expires_at: datetime) -> tuple[ApiKey, str, dict[str, str]]:
        now = self._clock()
        if not 0 < len(label) <= JOURNAL_MAX_TEXT or not label.isprintable():
            raise InputError(f"key: a label has 1 to {JOURNAL_MAX_TEXT} printable characters")
        if role not in ROLES:
            raise InputError(f"key: the role must be one of {', '.join(ROLES)}")
        if expires_at <= now:
            raise InputError("key: it would have expired already; give a later day")
        key = ApiKey(secrets.token_hex(_ID_BYTES), label, role, now, expires_at)
        secret = secrets.token_urlsafe(MIN_SECRET_BYTES)
        row = {
            "id": key.id,
            "digest": self._hash(key.id, role, secret),
            "label": label,
            "role": role,
            "created_at": format_utc(now),
            "expires_at": format_utc(expires_at),
        }
        return key, f"hilum_{key.id}.{secret}", row

    def _hash(self, key_id: str, role: str, secret: str) -> str:
        return hmac.digest(self._pepper, f"{key_id}.{role}.{secret}".encode(), "sha256").hex()


def _known(row: RowMapping | None) -> RowMapping:
    if row is None:
        raise InputError("key: there is no key of this id")
    return row


def _to_key(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=row["id"],
        label=row["label"],
        role=cast(Role, row["role"]),
        created_at=parse_utc(row["created_at"]),
        expires_at=parse_utc(row["expires_at"]),
        revoked_at=None if row["revoked_at"] is None else parse_utc(row["revoked_at"]),
        successor=row["successor"],
    )
