"""Group I6: tokens of an identity provider, and thirty that only look like one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.server import Server
from tests.harness.tokens import Provider

from .conftest import GENEROUS, fresh_address, start


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Provider:
    return Provider(tmp_path_factory.mktemp("provider"))


@pytest.fixture(scope="module")
def server(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data: Path = tmp_path_factory.mktemp("tokens") / "data"
    with start(data, environment={**GENEROUS, **provider.settings}, keys=False) as server:
        yield server


def ask(server: Server, token: str) -> int:
    return server.get("/whoami", headers={"Authorization": f"Bearer {token}"}, source=fresh_address()).status


def test_a_good_token_opens_what_its_role_may(server: Server, provider: Provider) -> None:
    for role in ("clinician", "auditor", "admin"):
        headers = {"Authorization": f"Bearer {provider.sign(role=role)}"}
        answer = server.get("/whoami", headers=headers)
        assert (answer.status, answer.json()["role"]) == (200, role)
        assert server.get("/admin/keys", headers=headers).status == (200 if role == "admin" else 403)


def test_no_forged_token_opens_anything(server: Server, provider: Provider) -> None:
    forged = provider.forged()
    assert len(forged) >= 30
    statuses = {name: ask(server, token) for name, token in forged.items()}
    assert {name: status for name, status in statuses.items() if status != 401} == {}
    assert b"Traceback" not in server.output()


def test_a_subject_with_a_name_is_not_recorded(server: Server, provider: Provider) -> None:
    token = provider.sign(sub="Anna Roentgen <anna@example.org>")
    answer = server.get("/whoami", headers={"Authorization": f"Bearer {token}"})
    assert answer.status == 200
    assert "Roentgen" not in answer.body.decode()


def test_a_key_set_that_is_gone_lets_nobody_new_in(server: Server, provider: Provider) -> None:
    content = provider.jwks.read_bytes()
    provider.jwks.unlink()
    try:
        assert ask(server, provider.sign(headers={"kid": "rolled"})) == 401
    finally:
        provider.jwks.write_bytes(content)
