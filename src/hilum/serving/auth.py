"""Who asks? An API key, or a bearer token of an identity provider when one is configured.

Knows nothing about storage: keys are found by `hilum.journal.keys`, tokens by `hilum.serving.tokens`. Every
failure looks the same from outside.
"""

import re
from typing import Protocol

from starlette.types import Scope

from hilum.domain.thresholds import MAX_TOKEN_BYTES
from hilum.serving.exchange import Identity, header_values
from hilum.serving.refusals import Unauthenticated

_API_KEY = re.compile(r"hilum_[A-Za-z0-9]{1,64}\.[A-Za-z0-9_-]{1,128}")
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_BEARER = b"bearer"


class Verifier(Protocol):
    """Tells whose a credential is. Blocking: called from a thread."""

    def verify(self, credential: str) -> Identity | None:
        """Return whose it is; None when it is not good."""


def read_credential(scope: Scope) -> str:
    """Return the one credential of a request.

    Raises
    ------
    Unauthenticated
        There is none, there are two, or it has not the form of one.
    """
    bearer = header_values(scope, b"authorization")
    keys = header_values(scope, b"x-api-key")
    if len(bearer) + len(keys) != 1:
        raise Unauthenticated(is_last=_has_body(scope))
    if keys:
        raw = keys[0]
    else:
        scheme, _, raw = bearer[0].strip().partition(b" ")
        if scheme.lower() != _BEARER:
            raise Unauthenticated(is_last=_has_body(scope))
    raw = raw.strip()
    if not raw or len(raw) > MAX_TOKEN_BYTES or not raw.isascii():
        raise Unauthenticated(is_last=_has_body(scope))
    return raw.decode("ascii")


def _has_body(scope: Scope) -> bool:
    return bool(header_values(scope, b"content-length") or header_values(scope, b"transfer-encoding"))


class Authenticator:
    """Gives a credential to whom it belongs to."""

    def __init__(self, keys: Verifier, tokens: Verifier | None = None) -> None:
        self._keys = keys
        self._tokens = tokens

    def identify(self, credential: str) -> Identity:
        """Return whose a credential is. Blocking.

        Raises
        ------
        Unauthenticated
        """
        found = None
        if _API_KEY.fullmatch(credential):
            found = self._keys.verify(credential)
        elif self._tokens is not None and _JWT.fullmatch(credential):
            found = self._tokens.verify(credential)
        if found is None:
            raise Unauthenticated(is_last=True)
        return found
