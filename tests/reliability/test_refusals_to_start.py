"""Group I8: a service that would be exposed does not start, says why, and shows no secret while it does."""

from pathlib import Path

import pytest

from tests.harness.certificates import Authority
from tests.harness.server import Server, ServerEnded, run

WEAK = "short"
REFUSALS: dict[str, tuple[dict[str, str], str]] = {
    "every interface without TLS": ({"HILUM_HOST": "0.0.0.0"}, "tls_cert"),  # noqa: S104
    "every IPv6 interface without TLS": ({"HILUM_HOST": "::"}, "tls_cert"),
    "an address of the network without TLS": ({"HILUM_HOST": "10.1.2.3"}, "tls_cert"),
    "a name without TLS": ({"HILUM_HOST": "server.example"}, "tls_cert"),
    "everyone a trusted proxy": ({"HILUM_TRUSTED_PROXIES": "*"}, "trusted_proxies"),
    "every address a trusted proxy": ({"HILUM_TRUSTED_PROXIES": "0.0.0.0/0"}, "proxy"),
    "every IPv6 address a trusted proxy": ({"HILUM_TRUSTED_PROXIES": "::/0"}, "proxy"),
    "everyone allowed by a star": ({"HILUM_ALLOW": "*"}, "allow"),
    "a network that is none": ({"HILUM_ALLOW": "10.1.2.3.4"}, "allow"),
    "credentials to every origin": (
        {"HILUM_CORS_ORIGINS": "*", "HILUM_CORS_CREDENTIALS": "true"}, "cors"
    ),
    "two workers that count alone": ({"HILUM_WORKERS": "2"}, "limiter_url"),
    "a certificate without a key": ({"HILUM_TLS_CERT": "cert.pem"}, "tls_key"),
    "an issuer that is missing": ({"HILUM_JWKS": "keys.json"}, "jwt_issuer"),
    "keys of the provider by plain http": (
        {"HILUM_JWKS": "http://a/b", "HILUM_JWT_ISSUER": "a", "HILUM_JWT_AUDIENCE": "b"}, "https"
    ),
    "a registry and a model": ({"HILUM_REGISTRY": "a", "HILUM_MODEL": "b"}, "registry"),
    "a model that is not there": ({"HILUM_MODEL": "nowhere"}, "nowhere"),
    "no requests at all": ({"HILUM_REQUESTS_PER_MINUTE": "0"}, "requests_per_minute"),
    "a port that is none": ({"HILUM_METRICS_PORT": "70000"}, "metrics_port"),
}  # fmt: skip


def refuse(data: Path, environment: dict[str, str]) -> str:
    """Start, expect exit 2, and return what was said."""
    server = Server(data, environment=environment)
    words = ("--host", environment["HILUM_HOST"]) if "HILUM_HOST" in environment else ()
    server.arguments.extend(words)
    try:
        with pytest.raises(ServerEnded, match="exit 2"), server:
            pass
    finally:
        server.stop()
    said = server.output().decode()
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("case", REFUSALS)
def test_an_exposed_service_does_not_start(case: str, tmp_path: Path) -> None:
    environment, word = REFUSALS[case]
    assert word in refuse(tmp_path / "data", environment)


@pytest.mark.parametrize("name", ["HILUM_PEPPER_FILE", "HILUM_CHAIN_KEY_FILE"])
def test_a_secret_that_others_may_read_or_that_is_short_is_refused(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s3cr3t-" * 8)
    secret.chmod(0o644)
    assert "s3cr3t" not in refuse(tmp_path / "data", {name: str(secret)})
    secret.chmod(0o600)
    secret.write_text(WEAK)
    said = refuse(tmp_path / "data", {name: str(secret)})
    assert "32" in said
    assert WEAK not in said.replace("short", "", 0) or "too short" in said


def test_off_loopback_an_admin_key_is_needed_besides_tls(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("server")
    server = Server(tmp_path / "data", pair.arguments)
    server.arguments.extend(("--host", "0.0.0.0"))  # noqa: S104
    with pytest.raises(ServerEnded, match="admin key"), server:
        pass


def test_settings_are_shown_without_secrets(tmp_path: Path) -> None:
    shown = run(
        "serve", "--show-settings",
        HILUM_DATA=str(tmp_path),
        HILUM_JOURNAL_URL="postgresql://hilum:pa55w0rd@127.0.0.1/hilum",
        HILUM_LIMITER_URL="redis://:pa55w0rd@127.0.0.1/0",
    )  # fmt: skip
    assert shown.returncode == 0
    assert "pa55w0rd" not in shown.stdout + shown.stderr
    assert "requests_per_minute" in shown.stdout
