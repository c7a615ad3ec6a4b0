import os
from pathlib import Path

import pytest

from hilum.registry import durable


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path):
    file = tmp_path / "alias.json"
    for content in (b"old", b"new"):
        durable.write_durably(file, content)
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "alias.json"
    durable.write_durably(file, b"old")

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        durable.write_durably(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_content_is_prepared_where_it_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "bundle"
    folder.mkdir()
    seen: list[set[str]] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append(set(os.listdir(folder))), sync(handle))[1])
    durable.write_durably(folder / "SIGNATURE", b"x", beside=tmp_path)
    assert seen == [set(), {"SIGNATURE"}]


def test_every_file_and_folder_of_a_tree_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("one", "a/two", "a/b/three"):
        (tmp_path / name).write_bytes(b"x")
    synced: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda handle: synced.add(os.fstat(handle).st_ino))
    durable.sync_tree(tmp_path)
    assert synced == {path.stat().st_ino for path in (tmp_path, *tmp_path.rglob("*"))}


def test_the_folder_is_synced_when_a_file_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    file = tmp_path / "history.jsonl"
    durable.append_durably(file, b"one\n")
    durable.append_durably(file, b"two\n")
    assert file.read_bytes() == b"one\ntwo\n"
    assert synced == [file.stat().st_ino, tmp_path.stat().st_ino, file.stat().st_ino]
