"""Films are found by what they are, whatever their names; everything else is counted and named."""

import os
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from hilum.data.film_folder import (
    BROKEN_LINK,
    LINK_LOOP,
    LITTER,
    NOT_A_FILE,
    NOT_AN_IMAGE,
    LeftOut,
    describe_left_out,
    storable_path,
    stored_file,
    walk_films,
)


def film(path: Path, suffix: str = ".png") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(suffix, np.zeros((8, 8), np.uint8))
    path.write_bytes(data.tobytes())
    return path


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in walk_films(folder).films]


def reasons(folder: Path) -> dict[str, str]:
    return {one.path: one.reason for one in walk_films(folder).left_out}


def test_names_do_not_matter(tmp_path: Path):
    film(tmp_path / "a.jfif", ".jpg")
    film(tmp_path / "deep" / "er" / "noname")
    film(tmp_path / "odd.txt")
    dicom = get_testdata_file("CT_small.dcm", download=False)
    uid = pydicom.dcmread(dicom).SOPInstanceUID
    (tmp_path / uid).write_bytes(Path(dicom).read_bytes())
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    assert sorted(names(tmp_path)) == sorted([uid, "a.jfif", "damaged.png", "deep/er/noname", "odd.txt"])
    assert reasons(tmp_path) == {}


def test_litter_and_other_files_are_left_out_and_named(tmp_path: Path):
    film(tmp_path / "@eaDir" / "a.png")
    film(tmp_path / "__MACOSX" / "._a.png")
    film(tmp_path / ".ipynb_checkpoints" / "a-checkpoint.png")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "sources.csv").write_text("path\n")
    film(tmp_path / "a.png")
    assert names(tmp_path) == ["a.png"]
    assert reasons(tmp_path) == {
        "@eaDir": LITTER, "__MACOSX": LITTER, ".ipynb_checkpoints": LITTER, "Thumbs.db": LITTER,
        "notes.txt": NOT_AN_IMAGE,
    }  # fmt: skip


def test_links_are_followed_once_and_loops_end(tmp_path: Path):
    outside = film(tmp_path / "outside" / "b.png").parent
    folder = tmp_path / "films"
    film(folder / "a.png")
    (folder / "linked").symlink_to(outside)
    (folder / "again").symlink_to(folder)
    (folder / "nothing.png").symlink_to(tmp_path / "gone.png")
    (folder / "one.png").symlink_to(outside / "b.png")
    assert names(folder) == ["a.png", "linked/b.png", "one.png"]
    assert reasons(folder) == {"again": LINK_LOOP, "nothing.png": BROKEN_LINK}


def test_a_pipe_is_named_and_never_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    film(tmp_path / "a.png")
    assert names(tmp_path) == ["a.png"]
    assert reasons(tmp_path) == {"pipe.png": NOT_A_FILE}


def test_names_that_are_not_utf_8_are_found_and_shown(tmp_path: Path):
    strange = os.fsdecode(b"caf\xe9.txt")
    (tmp_path / strange).write_bytes(b"text")
    film(tmp_path / os.fsdecode(b"caf\xe9.png"))
    assert len(walk_films(tmp_path).films) == 1
    assert describe_left_out(walk_films(tmp_path).left_out) == [r"left out, not an image: 1 (caf\xe9.txt)"]


def test_reasons_are_counted_with_their_first_names():
    left_out = [LeftOut(f"{index}.txt", NOT_AN_IMAGE) for index in range(5)] + [LeftOut(".x", LITTER)]
    assert describe_left_out(left_out) == [
        "left out, not an image: 5 (0.txt, 1.txt, 2.txt, ...)",
        "left out, litter of systems: 1 (.x)",
    ]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        walk_films(tmp_path / "none")


def test_a_name_that_is_not_utf_8_is_stored_as_text_and_found_again(tmp_path: Path):
    strange = film(tmp_path / "a" / os.fsdecode(b"caf\xe9.png"))
    stored = storable_path(f"a/{strange.name}")
    assert stored == r"a/caf\xe9.png"
    assert stored_file(tmp_path, stored) == strange
    assert stored_file(tmp_path, "a/b.png") == tmp_path / "a" / "b.png"
