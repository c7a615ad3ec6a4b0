"""What the pages name exists: endpoints, settings, series, commands with their options, files, codes."""

import re
import shlex
from typing import Any

import pytest
import typer.main

from hilum.cli.main import app
from hilum.serving.access import TABLE
from hilum.serving.metrics import Metrics
from hilum.serving.settings import ServiceSettings

from .container_files import ROOT

PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("api", "deployment", "security")}
WORDS_AFTER_HILUM = re.compile(r"(?:^|[\s`/])hilum ((?:[a-z-]+ )?[a-z-]+(?: [^`\n|#;&]*)?)", re.MULTILINE)
NO_PATHS = {("GET", "/static/{path:path}"), ("HEAD", "/static/{path:path}"), ("HEAD", "/")}


def commands() -> list[tuple[str, list[str]]]:
    """Return (page, words) of every `hilum ...` that is a command."""
    known = typer.main.get_command(app).commands
    found = []
    for page, text in PAGES.items():
        for match in WORDS_AFTER_HILUM.finditer(text.replace("\\\n", " ")):
            words = shlex.split(match[1].replace("'", ""))
            if words[0] in known:
                found.append((page, words))
    return found


def test_the_search_for_commands_finds_them():
    named = {words[0] for _, words in commands()}
    assert {"serve", "keys", "audit-log", "register", "promote", "rollback", "commission"} <= named


@pytest.mark.parametrize(
    ("page", "words"), commands(), ids=lambda value: value if isinstance(value, str) else "-".join(value[:2])
)
def test_every_command_and_option_exists(page: str, words: list[str]):
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands") and rest:
        assert rest[0] in command.commands, f"{page}: hilum {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


def test_every_setting_exists():
    known = {f"HILUM_{name.upper()}" for name in ServiceSettings.model_fields}
    named = {word for text in PAGES.values() for word in re.findall(r"HILUM_[A-Z_]+[A-Z]", text)}
    assert named <= known, named - known


def test_the_api_page_names_every_endpoint():
    cells = re.findall(r"^\| `.*\| .* \|$", PAGES["api"].split("## A film")[0], re.MULTILINE)
    named = set()
    for cell in cells:
        for part in cell.split(" | ")[0].split(";"):
            methods = [word for word in ("GET", "POST", "DELETE") if word in part]
            paths = [path for path in re.findall(r"(/[\w/{}.]*)", part) if "..." not in path]
            named |= {(method, path) for method in methods for path in paths}
    assert set(TABLE) - NO_PATHS <= named, set(TABLE) - NO_PATHS - named
    assert named - {("GET", "/static/")} <= set(TABLE), named - set(TABLE)


def test_every_series_exists():
    exposed = Metrics().expose().decode()
    for name in set(re.findall(r"hilum_[a-z_]+", PAGES["deployment"])):
        if name.endswith(("_total", "_seconds", "_ready", "_fallback", "_work", "_confidence")):
            assert f"\n# TYPE {name} " in exposed or f"\n# TYPE {name.removesuffix('_total')} " in exposed, (
                name
            )


def test_every_code_of_a_refusal_exists():
    sources = "".join(
        path.read_text() for folder in ("serving", "imaging", "inference", "evaluation", "domain")
        for path in (ROOT / "src" / "hilum" / folder).rglob("*.py")
    )  # fmt: skip
    table = PAGES["api"].split("## When it says no")[1].split("| status |")[1]
    codes = {code for row in table.splitlines() for code in re.findall(r"`([a-z]+(?:[_-][a-z]+)+)`", row)}
    assert codes
    missing = {code for code in codes if f'"{code}"' not in sources}
    assert not missing


def test_every_file_of_deploy_that_is_named_exists():
    for text in PAGES.values():
        for name in re.findall(r"deploy/[\w./-]*[\w]", text):
            if not name.startswith("deploy/secrets"):
                assert (ROOT / name).exists(), name
