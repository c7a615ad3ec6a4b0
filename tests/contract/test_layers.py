"""The layers of the design hold, in pytest as in the linter."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def lint(config: Path) -> tuple[int, str]:
    # a process of its own: import-linter configures logging and switches off every logger that exists
    code = "import sys; from importlinter import cli; sys.exit(cli.lint_imports(sys.argv[1], no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(config)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


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


def test_json_is_never_written_with_nan():
    root = Path(__file__).resolve().parents[2] / "src"
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"json.dumps", "json.dump"}:
                refuses = [keyword for keyword in node.keywords if keyword.arg == "allow_nan"]
                assert refuses, f"{path.name}:{node.lineno}: give allow_nan=False"
                assert ast.literal_eval(refuses[0].value) is False
