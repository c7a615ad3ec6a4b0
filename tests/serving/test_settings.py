from pathlib import Path

import pytest

from hilum.domain.errors import ConfigError
from hilum.serving.secret_files import load_secrets
from hilum.serving.settings import ServiceSettings, read_settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "0.0.0.0"}, "can be reached by others"),
        ({"host": "::"}, "can be reached by others"),
        ({"host": "192.0.2.1"}, "can be reached by others"),
        ({"host": "example.org"}, "can be reached by others"),
        ({"tls_cert": "a.pem"}, "tls_cert and tls_key go together"),
        ({"tls_client_ca": "a.pem"}, "tls_client_ca needs"),
        ({"trusted_proxies": "*"}, r"\* is everyone"),
        ({"trusted_proxies": "0.0.0.0/0"}, "a network of every address"),
        ({"trusted_proxies": "nonsense"}, "trusted_proxies"),
        ({"allow": "10.0.0.0/33"}, "allow"),
        ({"cors_origins": "*", "cors_credentials": True}, "lets every page act"),
        ({"workers": 2}, "would allow the whole limit"),
        ({"workers": 0}, "workers"),
        ({"registry": "a", "model": "b"}, "not both"),
        ({"jwks": "keys.json"}, "jwt_issuer and jwt_audience"),
        ({"jwks": "http://x/keys", "jwt_issuer": "i", "jwt_audience": "a"}, "https"),
        ({"port": 70000}, "port"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_settings_that_would_expose_the_service_are_refused(given: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        read_settings(**given)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as refusal:
        read_settings(host="0.0.0.0", workers=2)
    assert "can be reached by others" in str(refusal.value)
    assert "would allow the whole limit" in str(refusal.value)


def test_the_environment_is_read_and_lists_are_split(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HILUM_ALLOW", "10.0.0.0/8, 192.0.2.0/24")
    monkeypatch.setenv("HILUM_PORT", "9000")
    monkeypatch.setenv("HILUM_CORS_ORIGINS", "https://a.example,https://b.example")
    settings = read_settings(port=9001)
    assert [str(network) for network in settings.allow] == ["10.0.0.0/8", "192.0.2.0/24"]
    assert settings.port == 9001
    assert settings.cors_origins == ("https://a.example", "https://b.example")


def test_a_worker_reads_the_settings_that_its_parent_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    given = read_settings(
        data=tmp_path, workers=2, limiter_url="redis://:secret@127.0.0.1/0", allow="10.0.0.0/8,2001:db8::/32",
        trusted_proxies="127.0.0.1", drain_notice_s=1.5, cors_credentials=True, cors_origins="https://a.example",
    )  # fmt: skip
    for name, value in given.to_environment().items():
        monkeypatch.setenv(name, value)
    assert read_settings() == given


def test_secrets_are_not_shown():
    settings = read_settings(
        limiter_url="redis://:pa55word@127.0.0.1/0", journal_url="postgresql://hilum:pa55word@127.0.0.1/hilum"
    )
    assert "pa55word" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert "pa55word" in settings.database_url
    with pytest.raises(ConfigError) as refusal:
        read_settings(limiter_url="redis://:pa55word@127.0.0.1/0", registry="a", model="b")
    assert "pa55word" not in str(refusal.value)


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        ServiceSettings().port = 1  # type: ignore[misc]


def test_files_that_others_may_read_are_refused(tmp_path: Path):
    key = tmp_path / "key.pem"
    key.write_text("x")
    key.chmod(0o644)
    settings = read_settings(tls_cert=tmp_path / "cert.pem", tls_key=key)
    with pytest.raises(ConfigError) as refusal:
        settings.check_files()
    assert "cert.pem does not exist" in str(refusal.value)
    assert "others may read or change" in str(refusal.value)
    key.chmod(0o640)  # a group may: that is how orchestrators mount secrets
    (tmp_path / "cert.pem").write_text("x")
    settings.check_files()


def test_secrets_are_made_once_for_their_owner_alone(tmp_path: Path):
    settings = read_settings(data=tmp_path / "data")
    first, second = load_secrets(settings), load_secrets(settings)
    assert (first.pepper, first.chain_key) == (second.pepper, second.chain_key)
    assert first.pepper != first.chain_key
    assert len(first.pepper) >= 32
    for name in ("pepper", "chain-key"):
        assert (tmp_path / "data" / "secrets" / name).stat().st_mode & 0o777 == 0o600
    assert first.pepper.hex() not in repr(first)
    assert sorted(path.name for path in (tmp_path / "data" / "secrets").iterdir()) == ["chain-key", "pepper"]


def test_a_secret_that_is_short_or_open_or_missing_is_refused(tmp_path: Path):
    pepper = tmp_path / "pepper"
    pepper.write_bytes(b"short")
    pepper.chmod(0o600)
    with pytest.raises(ConfigError, match="5 bytes"):
        load_secrets(read_settings(data=tmp_path, pepper_file=pepper))
    pepper.write_bytes(b"x" * 32)
    pepper.chmod(0o604)
    with pytest.raises(ConfigError, match="others may read"):
        load_secrets(read_settings(data=tmp_path, pepper_file=pepper))
    with pytest.raises(ConfigError, match="does not exist"):
        read_settings(pepper_file=tmp_path / "none").check_files()
