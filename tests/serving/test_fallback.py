from pathlib import Path

import pytest

from hilum.domain.errors import CheckpointError
from hilum.registry.alias import Alias, alias_file, write_alias
from hilum.registry.bundle import find_released
from hilum.registry.history import Event
from hilum.registry.store import ModelStore
from hilum.serving.fallback import UNKNOWN, OneBundle, RegistryAlias

A, B, C = "fake_v2.0.0_20261124", "fake_v1.1.0_20261123", "fake_v1.0.0_20261122"


def move(root: Path, name: str, *previous: str) -> None:
    write_alias(root, Alias(name, previous, Event(1, "promote", name, "somebody", "a test")))


def names(source: OneBundle | RegistryAlias) -> list[str]:
    return [candidate.name for candidate in source.candidates()]


def test_a_named_bundle_comes_first_and_the_shipped_one_after_it(tmp_path: Path):
    shipped = find_released().name
    assert names(OneBundle()) == [shipped]
    source = OneBundle(tmp_path / A)
    assert names(source) == [A, shipped]
    assert next(source.candidates()).find() == tmp_path / A
    assert source.generation() is source.generation()


def test_the_registry_gives_production_then_those_that_were_it_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ModelStore, "verify", lambda *_: [])
    move(tmp_path, A, B, C, B)
    assert names(RegistryAlias(ModelStore(tmp_path))) == [A, B, C, find_released().name]


def test_a_damaged_version_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ModelStore, "verify", lambda _, name: ["damaged"] if name == B else [])
    move(tmp_path, A, B, C)
    assert names(RegistryAlias(ModelStore(tmp_path))) == [A, C, find_released().name]


def test_production_is_verified_when_it_is_asked_for(tmp_path: Path):
    move(tmp_path, A)
    wanted = next(RegistryAlias(ModelStore(tmp_path)).candidates())
    with pytest.raises(CheckpointError):
        wanted.find()


def test_a_registry_without_production_leaves_the_shipped_model(tmp_path: Path):
    source = RegistryAlias(ModelStore(tmp_path))
    assert names(source) == [find_released().name]
    assert source.generation() is None


def test_a_damaged_alias_is_a_wanted_version_without_a_name(tmp_path: Path):
    move(tmp_path, A)
    alias_file(tmp_path).write_text("{")
    assert names(RegistryAlias(ModelStore(tmp_path))) == [UNKNOWN, find_released().name]


def test_moving_the_alias_is_seen(tmp_path: Path):
    source = RegistryAlias(ModelStore(tmp_path))
    seen = {source.generation()}
    for name in (A, B, A):
        move(tmp_path, name)
        seen.add(source.generation())
    assert len(seen) == 4


def test_with_a_public_key_an_unsigned_bundle_is_no_candidate_that_opens(tmp_path: Path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.generate().public_key()
    key = tmp_path / "public.pem"
    key.write_bytes(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    (shipped,) = OneBundle(public_key=key).candidates()
    with pytest.raises(CheckpointError):
        shipped.find()
