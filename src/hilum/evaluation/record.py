"""The evaluation as JSON for machines: every figure with its interval, what was fitted, how it was made."""

import dataclasses
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath

import numpy as np

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import (
    BOOTSTRAP_RESAMPLES,
    CALIBRATION_BINS,
    CONFIDENCE_LEVEL,
    MIN_FILMS_FOR_CLAIM,
)
from hilum.evaluation.discrimination import Discrimination
from hilum.evaluation.evaluate import Evaluation
from hilum.evaluation.measure import Measure
from hilum.evaluation.operating_points import SCENARIO_CUTOFFS
from hilum.evaluation.subgroups import Subgroup
from hilum.evaluation.summary import find_headlines, summarise

SCHEMA_VERSION = 1
NOTICE = "Research software. Not a medical device; not for diagnosis."


def to_record(evaluation: Evaluation) -> dict[str, object]:
    """Return an evaluation as plain values that JSON can hold: no NaN, no arrays, no film pixels."""
    record = {
        "schema_version": SCHEMA_VERSION,
        "notice": NOTICE,
        "summary": summarise(evaluation),
        "headlines": [
            {"severity": headline.severity.name.lower(), "text": headline.text, "detail": headline.detail}
            for headline in find_headlines(evaluation)
        ],
        "provenance": evaluation.inputs.provenance,
        "model": evaluation.inputs.model_facts,
        "classes": CLASS_NAMES,
        "method": _method(evaluation),
        "temperature": evaluation.temperature,
        "operating_points": _operating_points(evaluation),
        "discrimination": _discrimination(evaluation.discrimination),
        "calibration": {"before": evaluation.uncalibrated, "after": evaluation.calibrated},
        "scenarios": evaluation.scenarios,
        "who_target": {target.disease: target for target in evaluation.targets},
        "subgroups": [_subgroup(group) for group in evaluation.subgroups],
        "confounding": evaluation.confounding,
        "worst_films": evaluation.worst_films,
        "generalization_gap": None
        if evaluation.gap is None
        else {**dataclasses.asdict(evaluation.gap), "f1_gap": evaluation.gap.f1_gap},
        "promises": evaluation.promises,
        "referral": evaluation.promises.to_answer_record() if evaluation.promises else None,
        "attention": evaluation.inputs.zones,
    }
    plain = to_plain(record)
    assert isinstance(plain, dict), "a mapping stays a mapping"
    return plain


def to_plain(value: object) -> object:  # noqa: PLR0911 one line per kind of value
    """Return a value as what JSON knows; a number that is not finite becomes null."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Measure):
        return {
            name: part
            for name, part in dataclasses.asdict(value).items()
            if name == "value" or part is not None
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(part) for part in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def _method(evaluation: Evaluation) -> dict[str, object]:
    return {
        "films": len(evaluation.films),
        "patients": evaluation.films.n_patients,
        "films_without_patient": evaluation.films.films_without_patient,
        "splits": sorted({str(split) for split in evaluation.inputs.predictions.get("split", [])}),
        "validation_films": evaluation.validation_films,
        "fitted_on_test": evaluation.inputs.fitted_on_test,
        "patients_also_in_validation": evaluation.shared_patients,
        "confidence_level": CONFIDENCE_LEVEL,
        "resamples": evaluation.resamples,
        "default_resamples": BOOTSTRAP_RESAMPLES,
        "seed": evaluation.seed,
        "calibration_bins": CALIBRATION_BINS,
        "min_films_for_claim": MIN_FILMS_FOR_CLAIM,
    }


def _operating_points(evaluation: Evaluation) -> dict[str, object]:
    """Return scenario to finding to cut-off; null means the most probable class, {} that none was found."""
    points: dict[str, object] = {scenario.value: cutoffs for scenario, cutoffs in SCENARIO_CUTOFFS.items()}
    points["who_triage"] = {
        target.disease: target.cutoff for target in evaluation.targets if target.cutoff is not None
    }
    return points


def _discrimination(scores: Discrimination) -> dict[str, object]:
    return {
        "films": scores.films,
        "patients": scores.patients,
        "accuracy": scores.accuracy,
        "classes": {row.name: row for row in scores.classes},
        "macro": scores.macro,
        "weighted": scores.weighted,
        "sick_vs_normal": scores.sick_vs_normal,
        "disease_vs_normal": scores.disease_vs_normal,
        "confusion": scores.confusion,
        "confusion_rates": scores.confusion_rates,
    }


def _subgroup(group: Subgroup) -> dict[str, object]:
    return {
        "column": group.column,
        "value": group.value,
        "films": group.films,
        "patients": group.patients,
        "support": group.support,
        "discrimination": _discrimination(group.discrimination),
        "calibration": group.calibration,
        "scenarios": group.scenarios,
    }
