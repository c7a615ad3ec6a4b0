"""No coroutine of the service does what blocks: engine, journal, database and files are for threads."""

import ast
from pathlib import Path

import pytest

SERVING = Path(__file__).parents[2] / "src" / "hilum" / "serving"
MODULES = sorted(SERVING.rglob("*.py"))
OWNERS = frozenset({"journal", "keys", "switches", "feedback", "store", "models", "engine", "Path"})
"""Whose methods block."""
FUNCTIONS = frozenset(
    {"predict", "open", "read_bytes", "read_text", "write_bytes", "write_text", "urlopen", "execute"}
)


def blocking_calls(source: str) -> list[str]:
    """Return every call in an `async def` that blocks and is not in a function handed to a thread."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        inner = {
            id(node)
            for other in ast.walk(function)
            if isinstance(other, ast.FunctionDef | ast.Lambda)
            for node in ast.walk(other)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and id(node) not in inner:
                *owners, name = ast.unparse(node.func).split(".")
                if name in FUNCTIONS or OWNERS & set(owners):
                    found.append(f"{ast.unparse(node.func)}:{node.lineno}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_coroutine_calls_what_blocks(path: Path):
    assert blocking_calls(path.read_text()) == []


def test_the_rule_finds_what_it_forbids():
    assert blocking_calls("async def f(s):\n    return s.models.ask(b'')") == ["s.models.ask:2"]
    assert blocking_calls("async def f(s):\n    s.journal.append(1)") == ["s.journal.append:2"]
    assert blocking_calls("async def f(p):\n    return p.read_bytes()") == ["p.read_bytes:2"]
    assert blocking_calls("async def f(s):\n    return await s.run(s.models.ask)") == []
    handed = "async def f(s):\n    def work():\n        return s.models.ask()\n    return await s.run(work)"
    assert blocking_calls(handed) == []


@pytest.mark.parametrize("path", sorted((SERVING / "routes").glob("*.py")), ids=lambda path: path.name)
def test_routes_are_thin(path: Path):
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.decorator_list:
            assert (function.end_lineno or 0) - function.body[0].lineno < 20, function.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_durations_are_measured_on_the_clock_that_nobody_sets(path: Path):
    assert "time.time()" not in path.read_text()
