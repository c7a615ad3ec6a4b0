"""What an evaluation starts from: two tables of scored films, checked once, as arrays.

Knows nothing about networks or files: whoever ran the model hands over tables.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hilum.domain.errors import DatasetError, EmptyDataset
from hilum.domain.findings import CLASS_NAMES, parse_finding
from hilum.domain.thresholds import AGE_BAND_STARTS_YEARS

if TYPE_CHECKING:
    import pandas as pd  # a service that answers films reads no tables, and saves its memory

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

LOGIT_COLUMNS: tuple[str, ...] = tuple(f"logit_{name}" for name in CLASS_NAMES)
REQUIRED_COLUMNS: tuple[str, ...] = ("path", "label", *LOGIT_COLUMNS)
SUBGROUP_COLUMNS: tuple[str, ...] = ("sex", "age_band", "view")


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationInput:
    """Everything one evaluation looks at.

    Parameters
    ----------
    predictions
        The split under test: path, label, logit_<class> for each class; source, patient_id, split, sex,
        age and view where known.
    validation
        The split on which temperature and operating points are fitted, same columns; None fits nothing.
    fitted_on_test
        Says that `validation` is the split under test; the report then calls its figures optimistic.
    read_film
        Path as in the table to pixels, uint8 (H, W), for the gallery.
    cams
        Path to the Grad-CAM of the called class, float32 (h, w), not negative, unscaled, for the gallery.
    model_facts, zones, provenance
        Printed as they are: what the model is, where it looks, which command made this.
    history
        Training history with lists train_loss, val_loss, train_f1, val_f1 and an epoch number best_epoch
        (the first epoch is 1), for Table 12.
    """

    predictions: "pd.DataFrame"
    validation: "pd.DataFrame | None" = None
    fitted_on_test: bool = False
    read_film: Callable[[str], npt.NDArray[np.uint8]] | None = None
    cams: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    model_facts: Mapping[str, object] = field(default_factory=dict)
    zones: Mapping[str, object] = field(default_factory=dict)
    provenance: Mapping[str, object] = field(default_factory=dict)
    history: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFilms:
    """N films with their true class and the model's logits.

    Parameters
    ----------
    paths
        N names as in the table.
    labels
        int64 (N,), position of the true class in `CLASS_NAMES`.
    logits
        float64 (N, K), finite, before temperature.
    sources
        N source names; "unknown" where the table has none.
    patients
        int64 (N,), 0 .. P-1; a film without a patient identifier is a patient of its own.
    films_without_patient
        How many films had no patient identifier.
    groups
        Column name to N values ("unknown" where missing), for the columns of `SUBGROUP_COLUMNS` that exist.
    """

    paths: tuple[str, ...]
    labels: IntArray
    logits: FloatArray
    sources: npt.NDArray[np.str_]
    patients: IntArray
    films_without_patient: int
    groups: Mapping[str, npt.NDArray[np.str_]]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_patients(self) -> int:
        """Distinct patients."""
        return len(np.unique(self.patients))

    def select(self, mask: BoolArray) -> "ScoredFilms":
        """Return the films where the mask, bool (N,), is true."""
        chosen = np.flatnonzero(mask)
        return ScoredFilms(
            paths=tuple(self.paths[index] for index in chosen),
            labels=self.labels[mask],
            logits=self.logits[mask],
            sources=self.sources[mask],
            patients=np.unique(self.patients[mask], return_inverse=True)[1].astype(np.int64),
            films_without_patient=self.films_without_patient,
            groups={name: values[mask] for name, values in self.groups.items()},
        )


def read_scored_films(table: "pd.DataFrame", *, name: str = "predictions") -> ScoredFilms:
    """Check a table of predictions and return it as arrays.

    Raises
    ------
    EmptyDataset
        If the table has no rows.
    DatasetError
        If a column is missing, a label is unknown, a path occurs twice or a logit is not a finite number.
    """
    missing = [column for column in REQUIRED_COLUMNS if column not in table.columns]
    if missing:
        raise DatasetError(
            f"{name}: column(s) {', '.join(missing)} missing; expected {', '.join(REQUIRED_COLUMNS)}."
            " Write the table with `hilum evaluate`."
        )
    if table.empty:
        raise EmptyDataset(f"{name}: the table has no rows; there is nothing to evaluate.")
    paths = tuple(str(path) for path in table["path"])
    repeated = len(paths) - len(set(paths))
    if repeated:
        raise DatasetError(f"{name}: {repeated} row(s) repeat a path; each film may be scored once.")
    logits = table[list(LOGIT_COLUMNS)].to_numpy(dtype=np.float64)
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if broken.size:
        raise DatasetError(
            f"{name}: {broken.size} row(s) have a logit that is not a finite number"
            f" (first at row {broken[0]}): the model diverged or the table is damaged. Score them again."
        )
    patients, without = _patient_codes(table)
    return ScoredFilms(
        paths=paths,
        labels=np.array([CLASS_NAMES.index(parse_finding(str(label))) for label in table["label"]], np.int64),
        logits=logits,
        sources=_text_column(table, "source"),
        patients=patients,
        films_without_patient=without,
        groups=_group_columns(table),
    )


def check_separate(test: "pd.DataFrame", validation: "pd.DataFrame") -> int:
    """Return how many patients are in both tables; refuse a film that is in both.

    Raises
    ------
    DatasetError
        If the tables share a path.
    """
    shared = set(test["path"].astype(str)) & set(validation["path"].astype(str))
    if shared:
        raise DatasetError(
            f"{len(shared)} film(s) are in the split under test and in validation; cut-offs fitted on the"
            " films they are tested on look better than they are. Name another validation split, or say"
            " fitted_on_test=True and the report will say so too."
        )
    if "patient_id" not in test.columns or "patient_id" not in validation.columns:
        return 0
    return len(
        set(test["patient_id"].dropna().astype(str)) & set(validation["patient_id"].dropna().astype(str))
    )


def _patient_codes(table: "pd.DataFrame") -> tuple[IntArray, int]:
    if "patient_id" not in table.columns:
        return np.arange(len(table), dtype=np.int64), len(table)
    known = table["patient_id"].notna().to_numpy()
    keys = [
        ("patient", str(value)) if is_known else ("film", str(row))
        for row, (value, is_known) in enumerate(zip(table["patient_id"], known, strict=True))
    ]
    first_seen: dict[tuple[str, str], int] = {}
    codes = np.array([first_seen.setdefault(key, len(first_seen)) for key in keys], dtype=np.int64)
    return codes, int((~known).sum())


def _text_column(table: "pd.DataFrame", column: str) -> npt.NDArray[np.str_]:
    if column not in table.columns:
        return np.full(len(table), "unknown")
    values = table[column]
    return np.array(
        ["unknown" if gone else str(value) for value, gone in zip(values, values.isna(), strict=True)]
    )


def _group_columns(table: "pd.DataFrame") -> dict[str, npt.NDArray[np.str_]]:
    groups = {column: _text_column(table, column) for column in ("sex", "view") if column in table.columns}
    if "age" in table.columns:
        import pandas as pd

        years = pd.to_numeric(table["age"], errors="coerce").to_numpy(dtype=np.float64)
        groups["age_band"] = np.array([_age_band(value) for value in years])
    # A column that holds nothing known makes no subgroup.
    return {name: values for name, values in groups.items() if (values != "unknown").any()}


def _age_band(years: float) -> str:
    starts = AGE_BAND_STARTS_YEARS
    if not np.isfinite(years) or years < starts[0]:
        return "unknown"
    last = max(index for index, start in enumerate(starts) if start <= years)
    if last == len(starts) - 1:
        return f"{starts[last]}+ years"
    return f"{starts[last]}-{starts[last + 1] - 1} years"
