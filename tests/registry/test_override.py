from pathlib import Path

import pytest

from hilum.domain.errors import CheckpointError, EngineFailed
from hilum.registry.history import HISTORY_FILE
from hilum.registry.signing import make_keys, sign_bundle
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return make_keys(tmp_path / "keys")


@pytest.fixture
def refused(root: Path, keys: tuple[Path, Path]) -> str:
    """A signed bundle that one gate refuses."""
    name = make_bundle(root, input_gate=None)
    sign_bundle(root / name, keys[0])
    return name


def test_where_signatures_are_required_an_override_needs_one(
    root: Path, keys: tuple[Path, Path], refused: str, tmp_path: Path
):
    private, public = keys
    store = ModelStore(root, public_key=public)
    other, _ = make_keys(tmp_path / "other")
    for key in (None, other):
        with pytest.raises(CheckpointError, match="an override must be signed"):
            store.promote(refused, by="ada", reason="x", override="for a test room", override_key=key)
    assert store.production() is None
    done = store.promote(refused, by="ada", reason="x", override="for a test room", override_key=private)
    assert done.promoted
    assert store.verify_history() == []


def test_a_signed_override_is_good_for_its_words_and_bundle_alone(
    root: Path, keys: tuple[Path, Path], refused: str
):
    private, public = keys
    store = ModelStore(root, public_key=public)
    store.promote(refused, by="ada", reason="x", override="for a test room", override_key=private)
    file = root / HISTORY_FILE
    good = file.read_text()
    for old, new in (("for a test room", "for every room"), (refused, refused.replace("v1", "v2"))):
        file.write_text(good.replace(old, new))
        assert any("is not signed by the key signing.pub.pem" in one for one in store.verify_history())


def test_an_unsigned_override_is_found_by_who_asks_for_signatures(
    root: Path, keys: tuple[Path, Path], refused: str
):
    assert ModelStore(root).promote(refused, by="ada", reason="x", override="in a test room").promoted
    assert ModelStore(root).verify_history() == []
    (problem,) = ModelStore(root, public_key=keys[1]).verify_history()
    assert problem == f"event 2: the override of {refused} is not signed by the key signing.pub.pem."


def test_a_model_that_fails_when_it_is_tried_out_is_refused(root: Path):
    tried: list[Path] = []

    def fail(folder: Path) -> None:
        tried.append(folder)
        raise EngineFailed("self-test film 3: 0.2 off")

    name = make_bundle(root)
    result = ModelStore(root, try_out=fail).promote(name, by="ada", reason="x")
    assert not result.promoted
    assert [(one.gate, one.sentence) for one in result.refusals] == [("try-out", "self-test film 3: 0.2 off")]
    assert tried == [root / name]
    assert ModelStore(root, try_out=tried.append).promote(name, by="ada", reason="x").promoted
