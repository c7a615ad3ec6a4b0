import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from .floors import ROOT, read_pins
from .licences import is_allowed


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


lock, sbom = script("lock"), script("sbom")
ALL, SERVICE = (sbom.read_lock(path.read_text()) for path in (lock.LOCK, lock.SERVICE_LOCK))


def test_every_pin_is_locked_by_a_hash_and_nothing_else_is():
    assert {name: version for name, (version, _) in ALL.items()} == read_pins()
    assert all(len(hashes) == 1 for _, hashes in ALL.values())


def test_the_service_is_locked_to_what_its_extras_need_at_the_pins():
    needed = lock.find_needed(lock.SERVICE)
    pins = read_pins()
    assert {name: version for name, (version, _) in SERVICE.items()} == {name: pins[name] for name in needed}
    assert not {"torch", "torchvision", "pytest"} & needed
    assert all(set(ALL[name][1]) <= set(hashes) for name, (_, hashes) in SERVICE.items())


def test_the_extras_are_those_of_the_image():
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert f"ARG EXTRAS={','.join(lock.SERVICE)}\n" in dockerfile
    assert "--require-hashes --only-binary :all: --requirement deploy/requirements.lock" in dockerfile


@pytest.mark.parametrize("path", [lock.LOCK, lock.SERVICE_LOCK, sbom.SBOM], ids=lambda path: path.name)
def test_no_address_is_written_down(path: Path):
    assert "://" not in path.read_text()


def test_every_line_of_a_lock_is_read():
    for path, found in ((lock.LOCK, ALL), (lock.SERVICE_LOCK, SERVICE)):
        lines = path.read_text().splitlines()
        assert sum("==" in line for line in lines) == len(found)
        assert sum("--hash" in line for line in lines) == sum(len(hashes) for _, hashes in found.values())


def test_the_bill_of_materials_is_that_of_the_lock():
    kept = json.loads(sbom.SBOM.read_text())
    assert kept == sbom.make_sbom(lock.SERVICE_LOCK.read_text())
    assert [one["name"] for one in kept["components"]] == sorted(SERVICE)
    assert all(
        re.fullmatch("[0-9a-f]{64}", each["content"]) for one in kept["components"] for each in one["hashes"]
    )


def test_every_licence_of_the_service_is_one_that_is_allowed():
    rules = tomllib.loads((ROOT / "security" / "licences.toml").read_text())
    for one in json.loads(sbom.SBOM.read_text())["components"]:
        (licence,) = one["licenses"]
        assert is_allowed(licence["expression"], one["name"], rules), one["name"]


@pytest.mark.parametrize(
    ("expression", "package", "good"),
    [
        ("MIT", "x", True),
        ("GPL-3.0-only", "x", False),
        ("MIT OR GPL-3.0-only", "x", True),
        ("MIT AND GPL-3.0-only", "x", False),
        ("LGPL-3.0-only", "psycopg", True),
        ("LGPL-3.0-only", "x", False),
        ("MPL-2.0 AND MIT", "tqdm", True),
        ("", "x", False),
    ],
)
def test_a_licence_is_allowed_by_one_side_of_or_and_every_side_of_and(
    expression: str, package: str, good: bool
):
    rules = tomllib.loads((ROOT / "security" / "licences.toml").read_text())
    assert is_allowed(expression, package, rules) is good
