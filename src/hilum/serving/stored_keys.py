"""API keys of the journal's database, as the authenticator asks for them.

A key that was good is believed for half a second without asking again, or under overload each refusal would
cost a look into the database. Kept is a digest, never the key.
"""

import hashlib
import time
from collections.abc import Callable

from hilum.domain.thresholds import MAX_BELIEVED_KEYS, SWITCH_POLL_S
from hilum.journal.clock import now_utc
from hilum.journal.keys import KeyStore
from hilum.serving.exchange import Identity, Role


class StoredKeys:
    """Keys of a store; thread-safe.

    Parameters
    ----------
    keys
        The store.
    clock
        Monotonic.
    """

    def __init__(self, keys: KeyStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._believed: dict[bytes, tuple[Identity, float]] = {}

    def verify(self, credential: str) -> Identity | None:
        """Return whose a key is; None when it does not open. Blocking."""
        until = self._clock() + SWITCH_POLL_S  # from before the look: it may be revoked right behind it
        found = self._keys.check(credential)
        if found.key is None or found.refusal is not None:
            return None
        identity = Identity(found.key.id, Role(found.key.role), found.key.label, found.key.expires_at)
        if len(self._believed) >= MAX_BELIEVED_KEYS:
            self._believed.clear()
        self._believed[_digest(credential)] = (identity, until)
        return identity

    def recall(self, credential: str) -> Identity | None:
        """Return whose a key is if that was found out just now; does not wait for anything."""
        identity, until = self._believed.get(_digest(credential), (None, 0.0))
        if identity is None or self._clock() >= until:
            return None
        is_expired = identity.expires_at is not None and now_utc() >= identity.expires_at
        return None if is_expired else identity

    def forget(self) -> None:
        """Believe nobody any more: a key was changed in this worker, where it holds at once."""
        self._believed.clear()


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()
