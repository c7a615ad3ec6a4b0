"""A file is the old one or the new one, and JSON holds numbers that every reader takes."""

import os
import resource
import stat
from pathlib import Path

import pytest

from hilum.files import guard_cell, naming, open_atomic, show_name, to_json, write_atomic


@pytest.mark.parametrize("durable", [False, True])
def test_the_file_holds_what_was_written_and_nothing_lies_beside_it(tmp_path: Path, durable: bool):
    file = tmp_path / "new" / "file.txt"
    write_atomic(file, "café\n", durable=durable)
    write_atomic(file, b"bytes", durable=durable)
    assert file.read_bytes() == b"bytes"
    assert list(file.parent.iterdir()) == [file]


def test_rights_are_the_process_s_own_or_private(tmp_path: Path):
    mask = os.umask(0o027)
    try:
        write_atomic(tmp_path / "open", b"")
        write_atomic(tmp_path / "private", b"", private=True)
    finally:
        os.umask(mask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"open": 0o640, "private": 0o600}


def test_the_mask_of_the_process_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another thread that makes a file meanwhile would make it for everybody."""
    monkeypatch.setattr(os, "umask", lambda _mask: pytest.fail("the mask belongs to every thread"))
    write_atomic(tmp_path / "file", b"")


def test_a_disk_that_refuses_leaves_the_old_file_and_no_other(tmp_path: Path):
    file = tmp_path / "file"
    write_atomic(file, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as refusal:
            write_atomic(file, bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert refusal.value.filename == str(file)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_written_in_parts_appears_when_it_is_whole(tmp_path: Path):
    path = tmp_path / "file"
    with open_atomic(path) as file:
        file.write(b"first,")
        assert not path.exists()
        file.write(b"second")
    assert path.read_bytes() == b"first,second"
    with pytest.raises(TypeError), open_atomic(path) as file:
        file.writelines([b"third", "no bytes"])
    assert path.read_bytes() == b"first,second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_may_be_as_long_as_a_name_can_be(tmp_path: Path):
    for name in ("a" * 251 + ".png", "\U0001fa7b" * 63):
        write_atomic(tmp_path / name, b"film")
        assert (tmp_path / name).read_bytes() == b"film"


def test_an_error_names_what_people_know(tmp_path: Path):
    """Not the temporary name; the name of another file stays."""
    final, building, other = tmp_path / "bundle", tmp_path / ".bundle.7", tmp_path / "other"
    no_space = (28, "No space left on device")
    shown = {
        OSError(*no_space): final,
        OSError(*no_space, str(building)): final,
        OSError(*no_space, str(building), None, str(final)): final,
        OSError(*no_space, str(building / "card.md")): final / "card.md",
        OSError(*no_space, str(other)): other,
    }
    for error, file in shown.items():
        with pytest.raises(OSError, match=f": '{file}'$"), naming(final, temporary=building):
            raise error


def test_a_failed_rename_is_named_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError) as refusal:
        write_atomic(tmp_path / "file", b"")
    assert str(refusal.value) == f"[Errno 21] Is a directory: '{tmp_path / 'file'}'"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_json_refuses_what_is_no_number():
    assert to_json({"b": 1, "a": [0.5, None]}, sort_keys=True) == '{"a": [0.5, null], "b": 1}'
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            to_json({"value": value})


def test_names_are_shown_without_what_a_terminal_would_obey():
    assert show_name("film 1.png") == "film 1.png"
    assert show_name("caf\udce9\x1b[31m\u202egnp") == r"caf\xe9\x1b[31m\u202egnp"


@pytest.mark.parametrize(
    ("cell", "guarded"), [("=cmd", "'=cmd"), ("-a.png", "'-a.png"), ("a=b", "a=b"), ("", "")]
)
def test_no_cell_is_a_formula(cell: str, guarded: str):
    assert guard_cell(cell) == guarded
