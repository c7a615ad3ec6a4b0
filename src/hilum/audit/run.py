"""The audit, as a table of contents: read, measure, count, judge, probe, write."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from hilum.audit.duplicates import audit_duplicates
from hilum.audit.inventory import judge_inventory, take_inventory
from hilum.audit.leakage import audit_leakage, patients_from_names
from hilum.audit.measures import FilmMeasures, measure_films
from hilum.audit.outcome import Audit
from hilum.audit.quality import audit_quality
from hilum.audit.record import AuditFinding, worst_first
from hilum.audit.report import write_report
from hilum.config.schema import TrainConfig
from hilum.data.ingest import Dataset, open_dataset
from hilum.data.manifest import manifest_digest, write_manifest

Part = Callable[[FilmMeasures, Dataset], tuple[object, list[AuditFinding]]]
"""Looks at the films: returns a record of figures and its findings."""


def run_audit(
    data: Path, out: Path, *, config: TrainConfig, patient_pattern: str | None = None, deep: bool = True
) -> Audit:
    """Audit a data set and write manifest.parquet, audit.html and audit.json into `out`.

    Parameters
    ----------
    patient_pattern
        Regular expression whose first group names the patient in a path, for films without an id.
    deep
        Whether to run the probes (shortcuts, confounding, label noise, same patient), which take longest.

    Raises
    ------
    EmptyDataset, DatasetError, ConfigError
        If there is nothing to audit, or the pattern names nobody.
    """
    clock = _Clock()
    dataset = open_dataset(data, config)
    if patient_pattern is not None:
        dataset = _name_patients(dataset, patient_pattern)
    clock.lap("reading")
    with tqdm(desc="measuring", total=len(dataset.manifest), unit="film", disable=None, leave=False) as bar:
        measures = measure_films(dataset, on_films=bar.update)
    clock.lap("measuring")
    inventory = take_inventory(measures.table)
    findings = judge_inventory(inventory)
    records: dict[str, object] = {}
    for name, part in _parts(deep=deep).items():
        records[name], found = part(measures, dataset)
        findings += found
        clock.lap(name)
    audit = Audit(
        inventory=inventory,
        findings=tuple(worst_first(findings)),
        records=records,
        seconds_of=clock.laps,
        data_sha256=manifest_digest(dataset.manifest),
        folder=out,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_manifest(dataset.manifest, out / "manifest.parquet")
    write_report(audit, dataset)
    return audit


def _parts(*, deep: bool) -> dict[str, Part]:
    basic: dict[str, Part] = {
        "quality": lambda measures, _: audit_quality(measures),
        "duplicates": lambda measures, _: audit_duplicates(measures),
        "leakage": lambda measures, _: audit_leakage(measures.table),
    }
    if not deep:
        return basic
    from hilum.audit.probes import PROBES

    return {**basic, **PROBES}


def _name_patients(dataset: Dataset, pattern: str) -> Dataset:
    manifest = dataset.manifest
    return replace(dataset, manifest=manifest.assign(patient_id=patients_from_names(manifest, pattern)))


class _Clock:
    """Seconds by part."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._start = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._start
        self._start = now
