"""Keep the README's file map true: one line per module, in running order, in the module's own words.

python scripts/file_map.py           print the map
python scripts/file_map.py --write   put it into README.md
"""

import ast
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
START, END = "<!-- file map -->", "<!-- end of file map -->"
RUNNING_ORDER = (
    "cli",
    "config",
    "domain",
    "imaging",
    "data",
    "data/phantom",
    "audit",
    "model",
    "training",
    "evaluation",
    "explain",
    "robustness",
    "registry",
    "inference",
    "journal",
    "journal/migrations",
    "journal/migrations/versions",
    "monitoring",
    "serving",
    "serving/routes",
)


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n", 1)[0].rstrip(".")


def make_map() -> str:
    """Return the map as it stands in the README."""
    root = REPOSITORY / "src" / "hilum"
    lines = ["```"]
    for package in RUNNING_ORDER:
        lines.append(f"{package}/  {first_line(root / package / '__init__.py')}")
        modules = sorted(path for path in (root / package).glob("*.py") if path.name != "__init__.py")
        width = max((len(path.name) for path in modules), default=0)
        lines += [f"  {path.name:<{width}}  {first_line(path)}" for path in modules]
    return "\n".join([*lines, "```"])


def place_map(readme: str) -> str:
    """Return the README with the map between its marks."""
    before, rest = readme.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{make_map()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        page = REPOSITORY / "README.md"
        page.write_text(place_map(page.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(make_map() + "\n")
