"""The layers of the design hold, in pytest as in the linter."""

import contextlib
import io
from pathlib import Path

from importlinter import cli

ROOT = Path(__file__).parents[2]


def lint(config: Path) -> tuple[int, str]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = cli.lint_imports(config_filename=str(config), no_cache=True)
    return code, output.getvalue()


def test_every_contract_is_kept():
    code, text = lint(ROOT / "pyproject.toml")
    assert code == 0, text
    assert "0 broken" in text


def test_a_broken_contract_is_noticed(tmp_path: Path):
    upside_down = tmp_path / "layers.toml"
    upside_down.write_text(
        '[tool.importlinter]\nroot_package = "hilum"\n[[tool.importlinter.contracts]]\nname = "upside down"\n'
        'type = "layers"\ncontainers = ["hilum"]\nlayers = ["domain", "config"]\n'
    )
    code, text = lint(upside_down)
    assert code == 1
    assert "hilum.config is not allowed to import hilum.domain" in " ".join(text.split())


def test_every_package_has_its_layer():
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = {name.strip(" ()") for row in layers for name in row.replace(":", "|").split("|")}
    packages = {path.parent.name for path in (ROOT / "src/hilum").glob("*/__init__.py")}
    assert packages <= named
