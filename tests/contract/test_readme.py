import importlib.util
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def load_script(name: str):
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_file_map_is_true():
    script = load_script("file_map")
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert script.place_map(readme) == readme, "run: python scripts/file_map.py --write"


def test_file_map_knows_every_package():
    script = load_script("file_map")
    root = REPOSITORY / "src" / "hilum"
    packages = {
        path.parent.relative_to(root).as_posix()
        for path in root.rglob("__init__.py")
        if path.parent != root and any(other.name != "__init__.py" for other in path.parent.glob("*.py"))
    }
    assert packages == set(script.RUNNING_ORDER)


def test_results_page_is_what_was_measured():
    import subprocess
    import sys

    script = REPOSITORY / "benchmarks" / "results.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_machine_path_or_secret_word_is_tracked():
    import subprocess

    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    places = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/")
    for name in filter(None, tracked):
        path = REPOSITORY / name
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".json", ".txt", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not any(place in text for place in places), name
