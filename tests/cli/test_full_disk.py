"""A full disk or a folder that refuses: one line that names the file, exit code 1, no half-written file."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Hilum

LIMIT_BYTES = 5_000


@contextmanager
def full_disk() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(params=["phantoms", "evaluate", "audit", "register"])
def command(request: pytest.FixtureRequest, tiny_data: Path) -> tuple[object, ...]:
    if request.param == "phantoms":
        return "phantoms", "--n", 6
    if request.param == "audit":
        return "audit", tiny_data, "--quick", "--out"
    request.getfixturevalue("without_graph")
    model = request.getfixturevalue("tiny_run") / "models" / "best_model.pt"
    if request.param == "evaluate":
        return "evaluate", "--data", tiny_data, "--model", model, "--out"
    return "register", "--model", model, "--evaluation", request.getfixturevalue("tiny_evaluation"), "--out"


def test_a_full_disk_is_one_line_that_names_the_file(
    hilum: Hilum, command: tuple[object, ...], tmp_path: Path
):
    hilum(*command, tmp_path / "room")  # fills the cache of pixels
    out = tmp_path / "out"
    with full_disk():
        answer = hilum(*command, out)
    line = answer.err.splitlines()[-1]
    assert (answer.code, answer.out) == (1, "")
    assert line.startswith(f"hilum: {out}/")
    assert line.endswith(": File too large")
    file = Path(line.removeprefix("hilum: ").removesuffix(": File too large"))
    assert not any(part.startswith(".") for part in file.relative_to(out).parts)
    assert not file.exists()
    assert not list(out.rglob(".*"))


def test_a_folder_that_refuses_is_one_line(hilum: Hilum, command: tuple[object, ...], tmp_path: Path):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    answer = hilum(*command, taken / "out")
    line = answer.err.splitlines()[-1]
    assert (answer.code, answer.out) == (1, "")
    assert line.startswith(f"hilum: {taken}")
    assert line.endswith(": Not a directory")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
