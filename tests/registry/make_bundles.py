"""Tiny bundles as the registry sees them: real files and checksums, weights of a few bytes."""

import copy
import json
import os
from pathlib import Path
from typing import Any

from hilum.domain.findings import CLASS_NAMES
from hilum.registry.bundle import GRAPH_FILE, SELFTEST_FILE, SUMS_FILE, WEIGHTS_FILE, sum_files

DISEASES = ("Pneumonia", "Tuberculosis")


def measure(value: float | None, low: float | None = None, high: float | None = None, **more: Any) -> dict:
    return {"value": value, "low": low, "high": high, **more}


def make_evaluation(weights_sha256: str = "aa" * 32) -> dict[str, Any]:
    """An evaluation that every gate likes, in the form that `hilum evaluate` writes."""
    row = {"auroc": measure(0.98, 0.96, 0.99, films=100), "recall": measure(0.92, 0.85, 0.97, films=100)}
    return {
        "classes": list(CLASS_NAMES),
        "model": {"weights_sha256": weights_sha256},
        "provenance": {"data_sha256": "dd" * 32, "split": "test"},
        "method": {"films": 500, "fitted_on_test": False, "patients_also_in_validation": 0},
        "discrimination": {
            "films": 500,
            "accuracy": measure(0.92, 0.90, 0.94),
            "macro": {"auroc": measure(0.98, 0.97, 0.99), "f1": measure(0.91, 0.88, 0.94)},
            "classes": {name: copy.deepcopy(row) for name in CLASS_NAMES},
        },
        "calibration": {
            "after": {
                "ece": measure(0.03, 0.02, 0.05),
                "bins": [{"films": count} for count in (0, 10, 40, 150, 300)],
            }
        },
        "scenarios": [
            {
                "scenario": scenario,
                "disease": disease,
                "sensitivity": measure(0.95, 0.88, 0.99, films=100),
                "precision": measure(0.9, 0.85, 0.95, films=110),
            }
            for scenario in ("screening", "confirmation")
            for disease in DISEASES
        ],
        "subgroups": [
            {
                "column": "source",
                "value": value,
                "discrimination": {"sick_vs_normal": measure(auroc, auroc - 0.03, auroc + 0.02)},
            }
            for value, auroc in (("north", 0.97), ("south", 0.93))
        ],
        "promises": {
            "rules": [
                {"rule": {"disease": disease, "max_miss_rate": 0.05}, "referred": 250, "all_films": 500}
                for disease in DISEASES
            ]
        },
    }


def make_facts(name: str, *, version: str, weights_sha256: str = "aa" * 32) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "name": name,
        "version": version,
        "class_names": list(CLASS_NAMES),
        "settings": {
            "model": {"architecture": "net"},
            "preprocessing": {"image_size": 224, "normalization": "pretrained", "color_mode": "rgb"},
        },
        "temperature": 1.5,
        "weights_sha256": weights_sha256,
        "provenance": {"data": "dd" * 32, "train_films": {"Normal": 1200, "Pneumonia": 300}},
        "evaluations": ["test"],
        "input_gate": {"version": 1},
        "explanations": {"findings": {finding: {"passes": True} for finding in CLASS_NAMES}},
        "referral": {
            "rules": [
                {"disease": disease, "max_miss_rate": 0.05, "is_as_asked": True} for disease in DISEASES
            ],
            "sets": {"miss_rate": 0.1},
        },
    }


def make_bundle(
    root: Path,
    version: str = "1.0.0",
    *,
    day: str = "20260504",
    weights_sha256: str = "aa" * 32,
    evaluation: dict[str, Any] | None = None,
    **facts: Any,
) -> str:
    """Write a bundle that passes every gate, with changes; return its name."""
    name = f"net_v{version}_{day}"
    folder = root / f".{name}.{os.getpid()}"
    folder.mkdir(parents=True)
    content = {**make_facts(name, version=version, weights_sha256=weights_sha256), **facts}
    (folder / "bundle.json").write_text(json.dumps(content))
    (folder / WEIGHTS_FILE).write_bytes(name.encode() * 10)
    (folder / GRAPH_FILE).write_bytes(b"graph")
    (folder / SELFTEST_FILE).write_bytes(b"films")
    (folder / "card.md").write_text(f"# {name}\n")
    (folder / "evaluation-test.json").write_text(json.dumps(evaluation or make_evaluation(weights_sha256)))
    seal(folder)
    folder.rename(root / name)
    return name


def seal(folder: Path) -> None:
    (folder / SUMS_FILE).write_text(sum_files(folder))
