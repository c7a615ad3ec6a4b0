"""Tables of every dialect give the same rows; bad rows are counted before anything stops."""

from pathlib import Path

import pytest

from hilum.data.table import broken_patient_ids, label_problem, raise_bad_rows, read_table
from hilum.domain.errors import DatasetError

HEADER, ROWS = ["path", "label", "patient_id"], [["a/b.png", "Normal", "007"], ["c.png", "TB", "12"]]


def lines(mark: str) -> str:
    return "\n".join(mark.join(row) for row in [HEADER, *ROWS]) + "\n"


@pytest.mark.parametrize(
    "data",
    [
        lines(",").encode(),
        lines(";").encode(),
        lines("\t").encode(),
        lines("|").encode(),
        b"sep=;\n" + lines(";").encode(),
        b"\xef\xbb\xbf" + lines(",").encode(),
        lines(",").encode("utf-16"),
        lines(";").encode("utf-16-le"),
        lines(",").encode("utf-16-be"),
        lines(",").replace("\n", "\r\n").encode(),
        lines(",").replace("path,label,patient_id", " Path , LABEL ,Patient ID").encode(),
        lines(",").replace("a/b.png", "  a\\b.png ").encode(),
        lines(",").replace("TB,12", 'TB,"12",,').replace("patient_id", "patient_id,").encode(),
        lines(",").encode() + b",,\n\n",
    ],
)
def test_every_dialect_is_read_alike(tmp_path: Path, data: bytes):
    table = tmp_path / "films.csv"
    table.write_bytes(data)
    frame = read_table(table)
    assert list(frame.columns) == HEADER
    assert frame.to_numpy().tolist() == ROWS


def test_latin_1_and_line_numbers(tmp_path: Path):
    table = tmp_path / "films.csv"
    table.write_bytes("sep=;\npath;label\n\ncafé.png;\n".encode("latin-1"))
    frame = read_table(table)
    assert frame.to_numpy().tolist() == [["café.png", None]]
    assert frame.index.tolist() == [4]


def test_all_bad_rows_are_counted_and_the_first_are_named():
    bad = [(number, "has no label") for number in range(2, 10)]
    with pytest.raises(DatasetError, match=r"t.csv: 8 of 24 rows cannot be used: row 2 has no label; row 3"):
        raise_bad_rows(Path("t.csv"), bad, 24, "Mend them.")
    with pytest.raises(DatasetError, match=r"row 6 has no label; and 3 more. Mend them."):
        raise_bad_rows(Path("t.csv"), bad, 24, "Mend them.")
    raise_bad_rows(Path("t.csv"), [], 24, "")


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("Normal", None),
        ("tb", None),
        (None, "has no label"),
        ("Covid", "has the label 'Covid', which is not one of Normal, Pneumonia, Tuberculosis or an alias"),
        ("Pneumonia|Infiltration", "has several labels, 'Pneumonia|Infiltration', where one is needed"),
    ],
)
def test_labels_have_one_finding(label: str | None, problem: str | None):
    assert label_problem(label) == problem


def test_ids_that_a_spreadsheet_destroyed_are_found():
    assert broken_patient_ids(["007", "8", None, "1e5x"]) is None
    message = broken_patient_ids(["1.23E+11", "1,5e+09", "12"])
    assert message is not None
    assert message.startswith("2 of 3 patient ids are in scientific notation")
    assert broken_patient_ids([*["#REF!"] * 9, *map(str, range(9))]) is None  # half, not most
    message = broken_patient_ids([*["#REF!"] * 10, *map(str, range(9))])
    assert message is not None
    assert message.startswith("one patient id stands in 10 of 19 rows")
    assert "REF" not in message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not a readable CSV"),
        (b'path,label\n"a,Normal\n', "is not a readable CSV"),
        (b"path,label\na,b,c\n", "1 of 1 rows cannot be used: row 2 has more cells than the header"),
        (b"\xff\xfex\x00\xd8", "begins as utf-16 and is not"),
        (b"\x89PNG\r\n\x1a\n", "but a PNG image"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes, message: str):
    table = tmp_path / "films.csv"
    table.write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        read_table(table)
