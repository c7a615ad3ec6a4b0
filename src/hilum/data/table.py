"""A CSV as people really have it: any delimiter and encoding, any case of its column names, bad rows counted.

All cells are text, so that patient identifiers keep their zeros. Knows nothing about which are needed.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from hilum.domain.errors import DatasetError, EmptyDataset
from hilum.domain.findings import CLASS_NAMES, find_finding
from hilum.files import show_name
from hilum.imaging.file_bytes import read_file
from hilum.imaging.headers import sniff_format

DELIMITERS = ",;\t|"
ROW = "row"
"""Name of the index: the number of the line in the file, the first line being 1."""

_SEEN_BYTES = 200  # in which UTF-16 without its mark shows: every other byte of plain letters is zero
_SHOWN_ROWS = 5
_SCIENTIFIC = re.compile(r"\d([.,]\d+)?[eE]\+?\d+")
_MIN_ROWS_FOR_ONE_ID = 10
_SEVERAL = re.compile(r"[|;,/+&]")


def read_table(table: Path) -> pd.DataFrame:
    """Read a table of text; empty cells are None, the index is the number of the row in the file.

    Column names lose case and surrounding spaces, spaces inside become underscores; values lose surrounding
    spaces, and a path its backslashes.

    Raises
    ------
    DatasetError
        If the file cannot be read, is no table, or has rows with more cells than columns.
    EmptyDataset
        If it has no rows.
    """
    data = read_file(table, name=str(table), refusal=DatasetError)
    image = sniff_format(data)
    if image is not None:
        raise DatasetError(
            f"{table}: is not a readable CSV, but a {image} image. Give a table with path and label."
        )
    text, encoding = _decode(data, table)
    lines = text.splitlines()
    skipped = 0
    if lines and (stated := re.fullmatch(r"sep=(.)", lines[0].strip())):
        delimiter, skipped = stated[1], 1
    else:
        delimiter = _delimiter(lines)
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines[skipped:])), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DatasetError(f"{table}: is not a readable CSV ({error}). Export the table again.") from error
    if not rows or not any(cell.strip() for cell in rows[0]):
        raise DatasetError(f"{table}: is not a readable CSV. Give one with the columns path and label.")
    names = [_column_name(cell) for cell in rows[0]]
    while names and not names[-1]:
        names.pop()
    numbered = [(number, row) for number, row in enumerate(rows[1:], skipped + 2) if any(map(str.strip, row))]
    wide = [(number, "has more cells than the header") for number, row in numbered if any(row[len(names) :])]
    raise_bad_rows(table, wide, len(numbered), f"The delimiter was taken to be {delimiter!r} ({encoding}).")
    if not numbered:
        raise EmptyDataset(f"{table}: has no rows.")
    cells = [[cell.strip() or None for cell in row[: len(names)]] for _, row in numbered]
    padded = [[*row, *[None] * (len(names) - len(row))] for row in cells]
    index = pd.Index([number for number, _ in numbered], name=ROW)
    frame = pd.DataFrame(padded, columns=names, index=index, dtype="object")
    if "path" in frame.columns:
        plain = [None if path is None else path.replace("\\", "/") for path in frame["path"]]
        frame["path"] = pd.Series(plain, index=index, dtype="object")
    return frame


def need_columns(frame: pd.DataFrame, table: Path, needed: Sequence[str], optional: Iterable[str]) -> None:
    """Refuse a table that lacks a column.

    Raises
    ------
    DatasetError
    """
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        found = ", ".join(show_name(str(name)) for name in frame.columns)
        raise DatasetError(
            f"{table}: lacks the column {' and '.join(missing)}; needed: {', '.join(needed)};"
            f" optional: {', '.join(optional)}. Found: {found}."
        )


def raise_bad_rows(table: Path, bad: Sequence[tuple[int, str]], rows: int, way_out: str) -> None:
    """Refuse a table for all of its bad rows at once; nothing happens without any.

    Parameters
    ----------
    bad
        Number of the row in the file, and what is wrong with it.
    rows
        Of the table.

    Raises
    ------
    DatasetError
    """
    if not bad:
        return
    shown = "; ".join(f"row {number} {problem}" for number, problem in bad[:_SHOWN_ROWS])
    more = f"; and {len(bad) - _SHOWN_ROWS} more" if len(bad) > _SHOWN_ROWS else ""
    raise DatasetError(f"{table}: {len(bad)} of {rows} rows cannot be used: {shown}{more}. {way_out}")


def label_problem(label: str | None) -> str | None:
    """Return what is wrong with a label, as a continuation of "row 5"; None for one that can be used."""
    if label is None:
        return "has no label"
    if find_finding(label) is not None:
        return None
    if _SEVERAL.search(label):
        return f"has several labels, {show_name(label)!r}, where one is needed"
    return f"has the label {show_name(label)!r}, which is not one of {', '.join(CLASS_NAMES)} or an alias"


def broken_patient_ids(ids: Sequence[str | None]) -> str | None:
    """Return how a spreadsheet destroyed the patient identifiers of a table; None if it did not.

    No identifier is quoted.
    """
    known = [identifier for identifier in ids if isinstance(identifier, str)]
    scientific = sum(_SCIENTIFIC.fullmatch(identifier) is not None for identifier in known)
    if scientific:
        return (
            f"{scientific} of {len(known)} patient ids are in scientific notation, as a spreadsheet rounds"
            " long numbers: different patients became one. Export the table again with the ids as text."
        )
    most = max((known.count(one) for one in set(known)), default=0) if len(set(known)) < len(known) else 1
    if len(known) >= _MIN_ROWS_FOR_ONE_ID and most > len(known) / 2:
        return (
            f"one patient id stands in {most} of {len(known)} rows: the ids are lost or were filled in."
            " Export the table again, or leave the column out."
        )
    return None


def _decode(data: bytes, table: Path) -> tuple[str, str]:
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return _as(data, encoding, table), encoding
    for zeros, encoding in ((data[1:_SEEN_BYTES:2], "utf-16-le"), (data[0:_SEEN_BYTES:2], "utf-16-be")):
        if zeros.count(0) > len(zeros) / 2:
            return _as(data, encoding, table), encoding
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "cp1252"


def _as(data: bytes, encoding: str, table: Path) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{table}: is not a readable CSV: it begins as {encoding} and is not. Export the table as UTF-8."
        ) from error


def _delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that splits the header into most cells."""
    header = next((line for line in lines if line.strip()), "")
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))


def _column_name(cell: str) -> str:
    return re.sub(r"\s+", "_", cell.strip().lower())
