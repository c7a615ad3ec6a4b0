import os
import socket
import stat
from pathlib import Path

import pytest

from hilum.domain.errors import DatasetError, FileTooLarge, FileUnreadable
from hilum.domain.thresholds import MAX_FILE_BYTES
from hilum.imaging import file_bytes
from hilum.imaging.file_bytes import read_file


def test_a_file_and_a_link_to_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("film")
    assert read_file(tmp_path / "film", name="film") == read_file(tmp_path / "link", name="film") == b"abc"


def test_a_file_whose_size_is_not_stated_is_read() -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux has /proc")
    assert status.stat().st_size == 0
    assert b"Pid:" in read_file(status, name="status")


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "endless device"])
def test_what_is_no_regular_file_is_refused_at_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    path = Path({"device": "/dev/null", "endless device": "/dev/zero"}.get(kind, kind))
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(str(path))
    link = tmp_path / "film.png"
    link.symlink_to(path.absolute())
    words = {"folder": "a folder", "pipe": "a named pipe", "socket": "a socket"}.get(kind, "a device")
    for named in (path, link):
        with pytest.raises(FileUnreadable) as refused:
            read_file(named, name="film.png")
        assert str(refused.value) == (
            f"film.png: this is {words}; a regular file is needed. Name the file itself."
        )


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(Path, "stat", lambda _path: os.stat_result((stat.S_IFREG, *[0] * 9)))
    with pytest.raises(FileUnreadable, match="this is a named pipe"):
        read_file(tmp_path / "pipe", name="film.png")


def test_a_kind_of_file_that_has_no_name_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_bytes, "_KINDS", ())
    with pytest.raises(FileUnreadable, match="this is not a file; a regular file"):
        read_file(tmp_path, name="film.png")


def test_missing_file_and_bad_path(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable) as refused:
        read_file(tmp_path / "no.png", name="no.png")
    assert str(refused.value) == "no.png: cannot be opened (No such file or directory). Check the path."
    with pytest.raises(FileUnreadable, match=r"cannot be opened \(the path is not valid\)"):
        read_file(Path("a\0b.png"), name="film")


def test_a_file_above_the_limit_is_refused_for_the_caller_s_reason(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(FileTooLarge, match=f"huge: the file has {MAX_FILE_BYTES + 1:,} bytes; at most"):
        read_file(path, name="huge")
    with pytest.raises(DatasetError, match=rf"has {MAX_FILE_BYTES + 1:,} bytes; .* are read\. Split it\."):
        read_file(path, name="table.csv", refusal=DatasetError)
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES)
    assert len(read_file(path, name="huge")) == MAX_FILE_BYTES


def test_a_table_that_is_a_pipe_is_an_error_of_the_data_set(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "table.csv")
    with pytest.raises(DatasetError, match=r"table\.csv: this is a named pipe"):
        read_file(tmp_path / "table.csv", name="table.csv", refusal=DatasetError)
    with pytest.raises(DatasetError, match=r"cannot be opened \(No such file"):
        read_file(tmp_path / "none.csv", name="none.csv", refusal=DatasetError)
