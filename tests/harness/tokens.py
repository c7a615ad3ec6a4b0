"""Bearer tokens, good and forged, and the key set of the provider that signs the good ones (test I6)."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER, AUDIENCE, KID = "https://login.example", "hilum", "first"


class Provider:
    """An identity provider: its key, and the file that publishes it."""

    def __init__(self, folder: Path) -> None:
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self.other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self.curve = ec.generate_private_key(ec.SECP256R1())
        self.jwks = folder / "jwks.json"
        self.publish()

    def publish(self) -> None:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        published = {**public, "kid": KID, "use": "sig", "alg": "RS256"}
        self.jwks.write_text(json.dumps({"keys": [published]}))

    @property
    def settings(self) -> dict[str, str]:
        return {"HILUM_JWKS": str(self.jwks), "HILUM_JWT_ISSUER": ISSUER, "HILUM_JWT_AUDIENCE": AUDIENCE}

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "reader-1", "role": "clinician",
            "iat": now, "nbf": now - 5, "exp": now + 300,
        }  # fmt: skip
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def sign(self, *, headers: dict[str, Any] | None = None, key: Any = None, **changes: Any) -> str:
        return jwt.encode(
            self.claims(**changes),
            key or self.key,
            algorithm="RS256",
            headers={"kid": KID, **(headers or {})},
        )

    def forged(self) -> dict[str, str]:
        """Tokens of which none may open anything."""
        now = int(time.time())
        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        good = self.sign()
        head, body, signature = good.split(".")
        own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.other.public_key()))
        twice = b'{"role":"clinician",' + json.dumps(self.claims()).encode()[1:-1] + b',"role":"admin"}'
        return {
            "alg none": f"{_part({'alg': 'none', 'kid': KID})}.{_part(self.claims())}.",
            "alg None": f"{_part({'alg': 'None', 'kid': KID})}.{_part(self.claims())}.{signature}",
            "HMAC with the public key": _hmac({"alg": "HS256", "kid": KID}, self.claims(), public),
            "signed by another key": self.sign(key=self.other),
            "ES256 under an RSA key id": jwt.encode(
                self.claims(), self.curve, algorithm="ES256", headers={"kid": KID}
            ),
            "no signature": f"{head}.{body}.",
            "signature of another token": ".".join([*self.sign(sub="x").split(".")[:2], signature]),
            "changed claims": f"{head}.{_part(self.claims(role='admin'))}.{signature}",
            "wrong issuer": self.sign(iss="https://evil.example"),
            "no issuer": self.sign(iss=None),
            "wrong audience": self.sign(aud="other"),
            "no audience": self.sign(aud=None),
            "expired": self.sign(exp=now - 120),
            "no expiry": self.sign(exp=None),
            "not yet valid": self.sign(nbf=now + 600),
            "unknown key id": self.sign(headers={"kid": "second"}),
            "key id of a path": self.sign(headers={"kid": "../../../../etc/passwd"}),
            "key id with SQL": self.sign(headers={"kid": "' OR 1=1 --"}),
            "address of keys": self.sign(headers={"jku": "https://evil.example/jwks.json"}),
            "keys in the token": self.sign(key=self.other, headers={"jwk": own}),
            "certificate address": self.sign(headers={"x5u": "https://evil.example/a.pem"}),
            "critical extension": self.sign(headers={"crit": ["b64"], "b64": True}),
            "a claim twice": self._signed(twice),
            "claims that are a list": self._signed(b"[1,2]"),
            "claims that are no JSON": self._signed(b"role=admin"),
            "unknown role": self.sign(role="root"),
            "no role": self.sign(role=None),
            "two roles": self.sign(role=["admin", "clinician"]),
            "no subject": self.sign(sub=None),
            "expiry of text": self._signed(json.dumps(self.claims(exp="tomorrow")).encode()),
            "expiry of 1e400": self._signed(json.dumps(self.claims(exp=-7)).replace("-7", "1e400").encode()),
            "one part": head,
            "four parts": good + ".x",
            "64 KiB": f"{head}.{'A' * 12_000}.{signature}",
        }  # fmt: skip

    def _signed(self, payload: bytes) -> str:
        return jwt.PyJWS().encode(payload, self.key, algorithm="RS256", headers={"kid": KID})


def _part(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _hmac(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    signed = f"{_part(header)}.{_part(claims)}"
    return f"{signed}.{_base64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"
