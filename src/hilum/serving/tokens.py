"""Bearer tokens of an OAuth 2 or OIDC provider, checked against its published keys (JWKS).

The keys come from a file or an https address, never from where a token says. Signatures are asymmetric only:
with HMAC a public key could be used as the secret.
"""

import hashlib
import json
import logging
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt

from hilum.domain.errors import ConfigError
from hilum.domain.thresholds import JWKS_CACHE_S
from hilum.serving.exchange import Identity, Role
from hilum.serving.settings import ServiceSettings

_log = logging.getLogger(__name__)
ALGORITHMS = ("RS256", "ES256", "EdDSA")
_FORBIDDEN_HEADERS = frozenset({"jku", "x5u", "jwk", "x5c", "crit"})
_SAFE_SUBJECT = re.compile(r"[A-Za-z0-9._:|-]{1,64}")
_FETCH_TIMEOUT_S = 3.0
_MAX_JWKS_BYTES = 1024 * 1024
_ASK_AGAIN_S = 10.0


class KeySet:
    """The keys of a provider, read again when they are old or when a token names an unknown one."""

    def __init__(self, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = -JWKS_CACHE_S
        self._tried_at = -JWKS_CACHE_S

    def find(self, kid: str) -> jwt.PyJWK | None:
        """Return a key by its id."""
        with self._lock:
            now = self._clock()
            is_old = now - self._read_at >= JWKS_CACHE_S
            if (is_old or kid not in self._keys) and now - self._tried_at >= _ASK_AGAIN_S:
                self._tried_at = now
                self._read(now)
            if (
                now - self._read_at >= 2 * JWKS_CACHE_S
            ):  # the provider is gone: its keys are believed no longer
                return None
            return self._keys.get(kid)

    def _read(self, now: float) -> None:
        try:
            content = json.loads(_fetch(self._source))
            found = [jwt.PyJWK(one) for one in content["keys"] if one.get("kty") in {"RSA", "EC", "OKP"}]
            self._keys = {key.key_id: key for key in found if key.key_id and key.algorithm_name in ALGORITHMS}
            self._read_at = now
        except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            _log.error("the keys of the identity provider cannot be read (%s)", type(error).__name__)


def _fetch(source: str) -> bytes:
    if not source.startswith("https:"):
        return Path(source).read_bytes()
    with urllib.request.urlopen(source, timeout=_FETCH_TIMEOUT_S) as answer:
        content: bytes = answer.read(_MAX_JWKS_BYTES)
        return content


class TokenVerifier:
    """Tells whose a token is."""

    def __init__(self, keys: KeySet, *, issuer: str, audience: str, role_claim: str = "role") -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._role_claim = role_claim

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> "TokenVerifier | None":
        """Return a verifier when the settings name a provider.

        Raises
        ------
        ConfigError
            A JWKS file that is not there.
        """
        if settings.jwks is None or settings.jwt_issuer is None or settings.jwt_audience is None:
            return None
        if not settings.jwks.startswith("https:") and not Path(settings.jwks).is_file():
            raise ConfigError(f"jwks: {settings.jwks} does not exist")
        return cls(
            KeySet(settings.jwks),
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            role_claim=settings.jwt_role_claim,
        )

    def verify(self, credential: str) -> Identity | None:
        """Return whose a token is; None when any of its claims is not good."""
        try:
            header = jwt.get_unverified_header(credential)
            key = self._keys.find(str(header.get("kid", "")))
            if key is None or _FORBIDDEN_HEADERS & set(header) or header.get("alg") != key.algorithm_name:
                return None
            claims: dict[str, Any] = jwt.decode(
                credential,
                key=key,
                algorithms=list(ALGORITHMS),
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        role = self._role(claims)
        if role is None or _has_duplicates(credential):
            return None
        return Identity(_user_id(claims), role, None, datetime.fromtimestamp(claims["exp"], UTC))

    def _role(self, claims: dict[str, Any]) -> Role | None:
        stated = claims.get(self._role_claim)
        names = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
        known = {name for name in names if isinstance(name, str) and name in set(Role)}
        return Role(known.pop()) if len(known) == 1 else None


def _user_id(claims: dict[str, Any]) -> str:
    """Return the subject, or its digest where it could be an address or a name."""
    subject = str(claims["sub"])
    if _SAFE_SUBJECT.fullmatch(subject):
        return subject
    return "oidc-" + hashlib.sha256(f"{claims['iss']}\n{subject}".encode()).hexdigest()[:16]


def _has_duplicates(credential: str) -> bool:
    """Return whether a claim is stated twice: readers would not agree on which one holds."""
    payload = jwt.utils.base64url_decode(credential.split(".")[1])
    counts: list[bool] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts.append(len({name for name, _ in pairs}) != len(pairs))
        return dict(pairs)

    json.loads(payload, object_pairs_hook=note)
    return any(counts)
