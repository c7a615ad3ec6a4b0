"""Group V: what is installed is what the lock files name, by hash, and so says the bill of materials."""

import importlib.util
import json
import random
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.supply_chain.licences import is_allowed

from .trial import Finding, trial
from .venvs import ROOT, build_wheel, copy_tracked, make_venv, run, run_pip

LOCK, SERVICE_LOCK = ROOT / "requirements.lock", ROOT / "deploy" / "requirements.lock"
BY_HASH = ("--require-hashes", "--only-binary", ":all:")
SOURCE_ONLY = "grad-cam"
"""For tests and comparisons alone; its authors publish no wheel."""
SEED, TAMPERED = 22, 12
VALIDATOR = "cyclonedx-python-lib[json-validation]==11.12.0"
_VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(str(found)[:300] if found else 0)
"""
_SERVES = "import hilum.serving.app, hilum.inference.engine"


def script(name: str) -> ModuleType:
    """Load a program of scripts/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@trial(
    "V1",
    "the service installed from its lock into a new environment by hash, from wheels alone; every pin of"
    f" requirements.txt resolved by hash; {TAMPERED} packages asked for with one digit of their hash changed",
    target="installed, pip check finds nothing, the service can be imported; every pin has its hash; 100"
    " % of the"
    " changed hashes refused",
    sabotage="a hash in the lock is that of another file",
)
def install_by_hash(folder: Path, broken: bool) -> Finding:
    """Install, check, resolve, tamper."""
    lock = folder / "requirements.lock"
    text = SERVICE_LOCK.read_text()
    lock.write_text(_with_another_hash(text, "pydantic-core") if broken else text)
    programs = make_venv(folder / "venv")
    wrong: list[str] = []
    done = run_pip(programs, "install", *BY_HASH, "--requirement", str(lock))
    if done.returncode:
        wrong.append(f"pip install: {done.stderr.strip().splitlines()[-1][:120]}")
    locked = script("sbom").read_lock(text)
    if not wrong:
        wheel = build_wheel(
            copy_tracked(folder / "source", "src", "pyproject.toml", "README.md", "LICENSE"), folder
        )
        for words in (("install", "--no-deps", str(wheel)), ("check",)):
            said = run_pip(programs, *words)
            wrong += [f"pip {words[0]}: {said.stdout[-150:]}{said.stderr[-150:]}"] if said.returncode else []
        done = run(programs / "python", "-I", "-c", _SERVES, cwd=folder)
        wrong += [f"import: {done.stderr[-150:]}"] if done.returncode else []
    everything = script("sbom").read_lock(LOCK.read_text())
    if not broken:
        wrong += _resolve_all(programs, folder, LOCK.read_text())
    dice = random.Random(SEED)
    taken = 0
    for name in dice.sample(sorted(locked), TAMPERED if not broken else 2):
        lock.write_text(_with_another_hash(_only(text, name), name))
        words = (
            "download",
            "--no-deps",
            *BY_HASH,
            "--dest",
            str(folder / "taken"),
            "--requirement",
            str(lock),
        )
        taken += run_pip(programs, *words).returncode == 0
    return Finding(
        len(locked) + len(everything),
        not wrong and taken == 0,
        f"{len(locked)} packages of the service installed by hash, {len(everything)} pins resolved by hash"
        f" ({SOURCE_ONLY} from source); {taken} of {TAMPERED if not broken else 2} changed hashes taken;"
        f" {len(wrong)} complaints{': ' + wrong[0] if wrong else ''}",
    )


def _resolve_all(programs: Path, folder: Path, text: str) -> list[str]:
    """Let pip find every file of the whole lock by its hash, without installing; one has no wheel."""
    wanted = folder / "all.lock"
    wanted.write_text(text)
    words = (
        "install",
        "--dry-run",
        "--ignore-installed",
        "--no-deps",
        *BY_HASH,
        f"--no-binary={SOURCE_ONLY}",
    )
    done = run_pip(programs, *words, "--requirement", str(wanted))
    return [f"requirements.lock: {done.stderr.strip().splitlines()[-1][:150]}"] if done.returncode else []


def _only(text: str, name: str) -> str:
    at = text.index(f"\n{name}==") + 1
    lines = text[at:].splitlines()
    return "\n".join([lines[0], *(line for line in _hashes_after(lines))]) + "\n"


def _hashes_after(lines: list[str]) -> list[str]:
    end = next((place for place, line in enumerate(lines[1:], 1) if "==" in line), len(lines))
    return lines[1:end]


def _with_another_hash(text: str, name: str) -> str:
    """Return the lock with the first digit of each hash of a package changed."""
    at = text.index(f"{name}==")
    end = at + len("\n".join([text[at:].splitlines()[0], *_hashes_after(text[at:].splitlines())]))
    pieces = text[at:end].split("sha256:")
    changed = [pieces[0], *((("0" if one[0] != "0" else "1") + one[1:]) for one in pieces[1:])]
    return text[:at] + "sha256:".join(changed) + text[end:]


@trial(
    "V2",
    "the bill of materials, CycloneDX 1.6, made anew from the service's lock, against its schema and"
    " against what"
    " is then installed",
    target="1:1 with pip list, 100 % with SHA-256, every licence in security/licences.toml, valid, the"
    " file that is"
    " kept is the same",
    sabotage="a package is installed that the lock does not name",
)
def bill_of_materials(folder: Path, broken: bool) -> Finding:
    """Make it, install, compare."""
    sbom = script("sbom")
    made = sbom.make_sbom(SERVICE_LOCK.read_text())
    programs = make_venv(folder / "venv")
    bare = _list(programs)
    done = run_pip(programs, "install", *BY_HASH, "--no-compile", "--requirement", str(SERVICE_LOCK))
    if done.returncode:
        raise RuntimeError(done.stderr[-300:])
    if broken:
        run_pip(programs, "install", "--no-deps", "iniconfig==2.3.1")
    installed = {name: version for name, version in _list(programs).items() if name not in bare}
    components = {one["name"]: one["version"] for one in made["components"]}
    differing = set(installed.items()) ^ set(components.items())
    rules = tomllib.loads((ROOT / "security" / "licences.toml").read_text())
    unlicensed = [one["name"] for one in made["components"] if not _is_licensed(one, rules)]
    hashed = sum(bool(one["hashes"]) for one in made["components"])
    tools = make_venv(folder / "tools", VALIDATOR)
    written = folder / "sbom.json"
    written.write_text(json.dumps(made))
    words = f"{tools / 'python'} -c '{_VALIDATE}' < {written}"
    said = run("sh", "-c", words, cwd=folder)
    is_kept = json.loads(sbom.SBOM.read_text()) == made
    return Finding(
        len(components),
        not (differing or unlicensed or said.returncode) and hashed == len(components) and is_kept,
        f"{len(components)} components, {len(installed)} installed, {len(differing)} differ"
        f"{' (' + sorted(differing)[0][0] + ')' if differing else ''}; {hashed} with SHA-256;"
        f" {len(unlicensed)} under"
        f" another licence; {'invalid: ' + said.stderr[-200:] if said.returncode else 'valid'}; the kept"
        " file is"
        f" {'the same' if is_kept else 'another'}",
    )


def _list(programs: Path) -> dict[str, str]:
    from packaging.utils import canonicalize_name

    said = run(
        programs / "python", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"
    ).stdout
    return {canonicalize_name(one["name"]): one["version"] for one in json.loads(said)}


def _is_licensed(component: dict[str, Any], rules: dict[str, Any]) -> bool:
    licences = [one["expression"] for one in component["licenses"]]
    return bool(licences) and all(is_allowed(one, component["name"], rules) for one in licences)
