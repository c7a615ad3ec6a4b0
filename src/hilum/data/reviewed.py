"""Films that were answered in use, with the labels that readers gave their answers: a table to train on.

A table of the site (`film,request_id`, and optionally source, patient_id, age, sex, view) says which file a
request was about; the service keeps no films. The labels come from the journal. Knows nothing of databases.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hilum.data.table import need_columns, read_table
from hilum.domain.errors import DatasetError, EmptyDataset, HilumError
from hilum.files import write_atomic

_KEY = ("film", "request_id")
_CARRIED = ("source", "patient_id", "age", "sex", "view")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The written table, the films that have a label, and those that have none."""

    table: Path
    labelled: int
    unlabelled: int


def is_reviewed_table(path: Path) -> bool:
    """Say whether a file is a table of films and requests."""
    if not path.is_file() or path.suffix.lower() != ".csv":
        return False
    try:
        columns = read_table(path).columns
    except HilumError:
        return False
    return set(_KEY) <= set(columns)


def write_reviewed(table: Path, labels: Mapping[str, str], out: Path) -> Reviewed:
    """Write a data set's CSV of the films whose answers have a label.

    Parameters
    ----------
    table
        See the module; films are relative to it.
    labels
        The newest label by request id.

    Raises
    ------
    DatasetError
        If it cannot be read, or names a film twice.
    EmptyDataset
        If none of its requests has a label.
    """
    rows = read_table(table)
    need_columns(rows, table, _KEY, _CARRIED)
    repeated = rows["film"][rows["film"].duplicated()]
    if len(repeated):
        raise DatasetError(f"{table}: {len(repeated)} film(s) are named twice; name each film once.")
    found = rows["request_id"].map(labels)
    has_label = found.notna()
    if not has_label.any():
        raise EmptyDataset(
            f"{table}: none of {len(rows)} requests has a label in the journal. Let readers confirm or"
            " correct answers first."
        )
    root = table.parent.resolve()
    films = rows.loc[has_label, [name for name in _CARRIED if name in rows]].assign(
        path=[str(root / film) for film in rows.loc[has_label, "film"]], label=found[has_label]
    )
    write_atomic(out, films.to_csv(index=False))
    return Reviewed(out, int(has_label.sum()), int((~has_label).sum()))
