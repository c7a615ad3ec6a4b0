"""Bearer tokens: what is taken, and twenty things that are not."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from hilum.serving.exchange import Role
from hilum.serving.tokens import KeySet, TokenVerifier
from tests.serving.conftest import Start

ISSUER, AUDIENCE = "https://id.example", "hilum"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PUBLIC_PEM = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def public(kid: str, text: str, alg: str) -> dict[str, Any]:
    return {**json.loads(text), "kid": kid, "alg": alg, "use": "sig"}


def write_keys(path: Path, *kids: str) -> Path:
    known = {
        "rsa": public("rsa", RSAAlgorithm.to_jwk(RSA.public_key()), "RS256"),
        "ec": public("ec", ECAlgorithm.to_jwk(EC.public_key()), "ES256"),
        "ed": public("ed", OKPAlgorithm.to_jwk(ED.public_key()), "EdDSA"),
        "shared": {"kty": "oct", "kid": "shared", "alg": "HS256", "k": "eHh4" * 11},
        "rs512": public("rs512", RSAAlgorithm.to_jwk(RSA.public_key()), "RS512"),
    }
    path.write_text(json.dumps({"keys": [known[kid] for kid in kids]}))
    return path


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    stated = {"iss": ISSUER, "aud": AUDIENCE, "sub": "clinician_123", "exp": now + 300, "role": "clinician"}
    return {name: value for name, value in {**stated, **changes}.items() if value is not None}


def sign(body: dict[str, Any], key: Any = RSA, alg: str = "RS256", **header: Any) -> str:
    return jwt.encode(body, key, alg, headers={"kid": "rsa", **header})


@pytest.fixture
def verifier(tmp_path: Path) -> TokenVerifier:
    keys = write_keys(tmp_path / "keys.json", "rsa", "ec", "ed", "shared", "rs512")
    return TokenVerifier(KeySet(str(keys)), issuer=ISSUER, audience=AUDIENCE)


def test_tokens_of_every_allowed_algorithm_are_taken(verifier: TokenVerifier):
    for key, alg, kid in ((RSA, "RS256", "rsa"), (EC, "ES256", "ec"), (ED, "EdDSA", "ed")):
        found = verifier.verify(sign(claims(), key, alg, kid=kid))
        assert found is not None, alg
        assert (found.user_id, found.role) == ("clinician_123", Role.CLINICIAN)
        assert found.expires_at is not None


def test_roles_may_come_as_a_list_with_others(verifier: TokenVerifier):
    assert verifier.verify(sign(claims(role=["staff", "auditor"]))).role is Role.AUDITOR
    assert verifier.verify(sign(claims(role=["admin", "auditor"]))) is None  # which of them?
    assert verifier.verify(sign(claims(aud=["other", AUDIENCE]))) is not None


def test_a_subject_that_could_name_somebody_is_kept_as_a_digest(verifier: TokenVerifier):
    found = verifier.verify(sign(claims(sub="jane.doe@hospital.example")))
    assert found.user_id.startswith("oidc-")
    assert "jane" not in found.user_id


def replace_part(token: str, index: int, content: bytes) -> str:
    parts = token.split(".")
    parts[index] = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
    return ".".join(parts)


def hmac_with_the_public_key() -> str:
    import hashlib
    import hmac

    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=")
    mac = base64.urlsafe_b64encode(hmac.digest(PUBLIC_PEM, head + b"." + body, hashlib.sha256)).rstrip(b"=")
    return b".".join((head, body, mac)).decode()


NOW = int(time.time())
REFUSED = {
    "alg none": replace_part(sign(claims()), 0, b'{"alg":"none","kid":"rsa"}').rpartition(".")[0] + ".",
    "no signature": sign(claims()).rpartition(".")[0] + ".AA",
    "public key as a secret": hmac_with_the_public_key(),
    "a shared secret": sign(claims(), b"x" * 32, "HS256", kid="shared"),
    "an algorithm not on the list": sign(claims(), RSA, "RS512", kid="rs512"),
    "another algorithm than the key's": sign(claims(), RSA, "RS512"),
    "another's key": sign(claims(), OTHER),
    "an unknown key": sign(claims(), OTHER, kid="unknown"),
    "a key id that is a path": sign(claims(), OTHER, kid="../../../dev/null"),
    "no key id": jwt.encode(claims(), RSA, "RS256"),
    "keys from elsewhere": sign(claims(), RSA, jku="https://evil.example/keys"),
    "a certificate from elsewhere": sign(claims(), RSA, x5u="https://evil.example/cert"),
    "a key in the header": sign(claims(), RSA, jwk={"kty": "RSA"}),
    "another issuer": sign(claims(iss="https://evil.example")),
    "another audience": sign(claims(aud="other")),
    "no audience": sign(claims(aud=None)),
    "expired": sign(claims(exp=NOW - 1)),
    "no expiry": sign(claims(exp=None)),
    "not yet": sign(claims(nbf=NOW + 600)),
    "no subject": sign(claims(sub=None)),
    "no role": sign(claims(role=None)),
    "an unknown role": sign(claims(role="root")),
    "a role that is no text": sign(claims(role={"admin": True})),
    "another payload": replace_part(sign(claims()), 1, json.dumps(claims(role="admin")).encode()),
    "not base64": "a!.b!.c!",
    "not JSON": "YQ.YQ.YQ",
    "huge": "a" * 100_000,
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_that_is_not_good_is_nobody(verifier: TokenVerifier, name: str):
    assert verifier.verify(REFUSED[name]) is None


def test_a_claim_stated_twice_is_refused(verifier: TokenVerifier):
    body = json.dumps(claims()).encode()[:-1] + b', "role": "clinician"}'
    signed = jwt.api_jws.encode(body, RSA, "RS256", headers={"kid": "rsa"})
    assert verifier.verify(signed) is None


def test_a_new_key_of_the_provider_is_found_and_an_old_one_forgotten(tmp_path: Path):
    now = 0.0
    path = write_keys(tmp_path / "keys.json", "rsa")
    keys = KeySet(str(path), clock=lambda: now)
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
    fresh = sign(claims(), EC, "ES256", kid="ec")
    assert verifier.verify(sign(claims())) is not None
    write_keys(path, "ec")
    assert verifier.verify(fresh) is None  # asked a moment ago
    now = 11.0
    assert verifier.verify(fresh) is not None
    assert verifier.verify(sign(claims())) is None


def test_when_the_provider_is_gone_its_keys_hold_for_a_while(tmp_path: Path):
    now = 0.0
    path = write_keys(tmp_path / "keys.json", "rsa")
    verifier = TokenVerifier(KeySet(str(path), clock=lambda: now), issuer=ISSUER, audience=AUDIENCE)
    assert verifier.verify(sign(claims())) is not None
    path.unlink()
    now = 301.0
    assert verifier.verify(sign(claims())) is not None
    now = 601.0
    assert verifier.verify(sign(claims())) is None


def test_tokens_open_the_service_beside_api_keys(start: Start, tmp_path: Path):
    keys = write_keys(tmp_path / "keys.json", "rsa")
    running = start(jwks=str(keys), jwt_issuer=ISSUER, jwt_audience=AUDIENCE)
    bearer = {"Authorization": f"Bearer {sign(claims())}"}
    assert running.get("/whoami", headers=bearer).json()["user_id"] == "clinician_123"
    assert running.predict(role=None, headers=bearer).status_code == 200
    assert running.get("/audit", headers=bearer).status_code == 403
    assert (
        running.get("/whoami", headers={"Authorization": f"Bearer {REFUSED['expired']}"}).status_code == 401
    )
    assert running.predict().status_code == 200
    assert running.records("predict")[0].user_id == "clinician_123"


def test_tokens_are_nothing_where_no_provider_is_named(start: Start):
    running = start()
    assert running.get("/whoami", headers={"Authorization": f"Bearer {sign(claims())}"}).status_code == 401
