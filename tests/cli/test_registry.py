import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner, Result

from hilum.cli import registry
from hilum.domain.errors import CheckpointError
from hilum.registry.bundle import SELFTEST_FILE
from hilum.registry.signing import make_keys, sign_bundle
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle, seal

APP = typer.Typer()
for command in registry.COMMANDS:
    name, function = command if isinstance(command, tuple) else (None, command)
    APP.command(name)(function)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture(autouse=True)
def fake_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graphs of tiny bundles are no graphs: only tests that ask for real ones try them out."""
    if "real_registry" not in request.fixturenames:
        monkeypatch.setattr(registry, "try_out", lambda _: None)


@pytest.fixture
def real_registry(tiny_bundle: Path, root: Path) -> Path:
    shutil.copytree(tiny_bundle, root / tiny_bundle.name)
    return root


def run(*arguments: object) -> Result:
    return CliRunner().invoke(APP, [str(one) for one in arguments])


def promote(root: Path, name: str, *more: object) -> Result:
    return run("promote", name, "--registry", root, "--by", "ada", "--reason", "better", *more)


def test_the_list_marks_production_and_what_cannot_be_used(root: Path):
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0")
    assert promote(root, first).exit_code == 0
    (root / second / "card.md").write_text("changed")
    done = run("list", "--registry", root)
    assert done.stdout.splitlines() == [
        f"  {second}  NOT USABLE: {second}: 'card.md' was changed after the release, or is damaged.",
        f"* {first}",
    ]
    models = json.loads(run("list", "--registry", root, "--json").stdout)
    assert [(model["name"], model["aliases"], model["ok"]) for model in models] == [
        (second, [], False),
        (first, ["production"], True),
    ]


def test_an_empty_registry_is_told(root: Path):
    done = run("list", "--registry", root)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no models in" in done.stderr
    assert json.loads(run("list", "--registry", root, "--json").stdout) == []


def test_show_prints_the_card_or_the_facts_of_what_is_production(root: Path):
    name = make_bundle(root)
    promote(root, name)
    assert run("show", "production", "--registry", root).stdout == f"# {name}\n\n"
    assert json.loads(run("show", name, "--registry", root, "--json").stdout)["version"] == "1.0.0"


def test_a_refused_promotion_ends_with_1_and_every_reason(root: Path):
    name = make_bundle(root, input_gate=None, explanations=None)
    done = promote(root, name)
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "safeguards: it carries no input gate. Register it with --safeguards.",
        "safeguards: its maps of Normal, Pneumonia, Tuberculosis were not tested. Register it with"
        " --safeguards.",
        f"hilum: {name} is not promoted; 2 reason(s)",
    ]
    result = json.loads(promote(root, name, "--json").stdout)
    assert (result["promoted"], len(result["refusals"])) == (False, 2)


def test_an_override_is_told_with_what_it_overruled(root: Path):
    name = make_bundle(root, input_gate=None)
    done = promote(root, name, "--override", "for a test room")
    assert done.exit_code == 0
    assert "safeguards: it carries no input gate" in done.stdout
    assert "overruled: for a test room" in done.stdout
    assert f"production: {name}" in done.stdout


def test_rollback_says_what_is_production_again(root: Path):
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0")
    promote(root, first)
    assert f"production: {second} (before: {first})" in promote(root, second).stdout
    done = run("rollback", "--registry", root, "--reason", "as a drill", "--json")
    assert json.loads(done.stdout) == {"name": first}
    assert ModelStore(root).history()[-1].by  # the account's name


def test_verify_finds_a_changed_file_and_ends_with_1(root: Path):
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0")
    assert run("verify", "--registry", root).stdout.splitlines() == [
        f"{second}: whole",
        f"{first}: whole",
        "history: whole",
    ]
    (root / first / "weights.safetensors").write_bytes(b"x")
    done = run("verify", "--registry", root, "--json")
    assert done.exit_code == 1
    problems = json.loads(done.stdout)
    assert problems[second] == []
    assert "'weights.safetensors' was changed" in problems[first][0]
    assert run("verify", second, "--registry", root).exit_code == 0
    assert run("verify", "../x", "--registry", root).exit_code == 1


def test_verify_asks_for_the_signature_of_a_key(root: Path, tmp_path: Path):
    private, public = make_keys(tmp_path / "keys")
    name = make_bundle(root)
    asked = ("verify", name, "--registry", root, "--public-key", public)
    done = run(*asked)
    assert done.exit_code == 1
    assert "carries no signature" in done.stdout
    sign_bundle(root / name, private)
    assert run(*asked).exit_code == 0


def test_prune_tells_what_it_removed(root: Path):
    names = [make_bundle(root, f"1.{minor}.0") for minor in range(6)]
    for one in names:
        promote(root, one)
    assert run("prune", "--registry", root).stdout.splitlines() == [
        f"removed {names[1]}",
        f"removed {names[0]}",
    ]
    told = run("prune", "--registry", root, "--keep", 1, "--json").stdout
    assert json.loads(told) == {"removed": [names[3], names[2]]}
    assert run("prune", "--registry", root, "--keep", -1).exit_code == 2


def test_keygen_makes_a_private_and_a_public_file(tmp_path: Path):
    told = json.loads(run("keygen", "--out", tmp_path, "--json").stdout)
    assert os.stat(told["private"]).st_mode & 0o077 == 0
    assert "PUBLIC KEY" in Path(told["public"]).read_text()
    assert "keep it secret" in run("keygen", "--out", tmp_path / "more").stdout


def test_publish_copies_to_mlflow_and_names_what_is_production(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    name = make_bundle(root)
    promote(root, name)
    done = run("publish", name, "--to", f"sqlite:///{tmp_path}/m.db", "--registry", root, "--json")
    assert json.loads(done.stdout) == {"version": "1", "alias": "production"}


def test_a_name_that_is_none_is_an_error_with_a_message(root: Path):
    make_bundle(root)
    done = promote(root, "../../etc/passwd")
    assert isinstance(done.exception, CheckpointError)
    assert "passwd" not in str(done.exception)


def test_a_model_that_cannot_be_tried_out_here_is_refused_with_the_way_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.undo()  # the fake engine
    monkeypatch.setitem(sys.modules, "hilum.inference.engine", None)
    done = promote(root, make_bundle(root))
    assert done.exit_code == 1
    assert "try-out: hilum.inference.engine is not installed" in done.stderr
    assert "pip install 'hilum[serve]'" in done.stderr


def test_a_candidate_is_opened_as_the_service_opens_it(real_registry: Path, tiny_bundle: Path):
    folder = real_registry / tiny_bundle.name
    refused = json.loads(promote(real_registry, folder.name, "--json").stdout)["refusals"]
    assert "try-out" not in {one["gate"] for one in refused}
    assert "safeguards" in {one["gate"] for one in refused}, "it was made without any"
    tensors = load_file(folder / SELFTEST_FILE)
    tensors["logits"] = tensors["logits"] + np.float32(1)
    save_file(tensors, folder / SELFTEST_FILE)
    seal(folder)
    told = json.loads(promote(real_registry, folder.name, "--json").stdout)["refusals"]
    (sentence,) = (one["sentence"] for one in told if one["gate"] == "try-out")
    assert "self-test" in sentence
