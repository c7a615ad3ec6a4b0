"""`hilum serve` and `hilum keys`, in process where no port is opened."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hilum.cli.main import app
from hilum.domain.errors import ConfigError
from hilum.journal.keys import KeyStore
from hilum.journal.storage import Storage
from hilum.serving.secret_files import load_secrets
from hilum.serving.settings import read_settings


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.stdout


def store(data: Path) -> KeyStore:
    settings = read_settings(data=data)
    return KeyStore(Storage.open(settings.database_url), pepper=load_secrets(settings).pepper)


def test_a_key_is_made_listed_rotated_and_revoked(tmp_path: Path):
    data = ("--data", str(tmp_path))
    plaintext = run("keys", "create", "--role", "clinician", "--label", "ward 3", *data).strip()
    found = store(tmp_path).check(plaintext)
    assert found.refusal is None
    assert found.key is not None
    key_id = found.key.id
    listed = run("keys", "list", *data)
    assert listed.startswith(f"{key_id}  clinician  good")
    assert plaintext not in listed
    rotated = json.loads(run("keys", "rotate", key_id, "--overlap-hours", "1", "--json", *data))
    assert store(tmp_path).check(rotated["key"]).refusal is None
    assert rotated["label"] == "ward 3"
    assert run("keys", "revoke", key_id, *data) == f"{key_id} is revoked\n"
    assert store(tmp_path).check(plaintext).refusal == "revoked"
    states = {key["id"]: key["revoked_at"] for key in json.loads(run("keys", "list", "--json", *data))}
    assert states[key_id] is not None
    assert states[rotated["id"]] is None


def test_an_unknown_role_is_bad_usage(tmp_path: Path):
    run("keys", "create", "--role", "root", "--label", "x", "--data", str(tmp_path), code=2)
    assert not list(tmp_path.iterdir())


def test_settings_are_shown_without_secrets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HILUM_JOURNAL_URL", "postgresql://hilum:pa55word@127.0.0.1/hilum")
    monkeypatch.setenv("HILUM_ALLOW", "10.0.0.0/8")
    text = run("serve", "--show-settings", "--port", "9000")
    assert "pa55word" not in text
    shown = json.loads(text)
    assert (shown["port"], shown["allow"], shown["host"]) == (9000, ["10.0.0.0/8"], "127.0.0.1")


def test_settings_that_expose_the_service_are_refused_before_anything_is_made(tmp_path: Path):
    result = CliRunner().invoke(
        app, ["serve", "--host", "0.0.0.0", "--data", str(tmp_path / "data"), "--demo"]
    )
    assert isinstance(result.exception, ConfigError)
    assert not (tmp_path / "data").exists()
