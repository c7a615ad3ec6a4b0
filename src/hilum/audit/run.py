"""The audit, as a table of contents: read, measure, count, judge, probe, write."""

import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from hilum.audit.duplicates import audit_duplicates
from hilum.audit.inventory import judge_inventory, take_inventory
from hilum.audit.leakage import audit_leakage, patients_from_names
from hilum.audit.measures import FilmMeasures, measure_films
from hilum.audit.outcome import Audit
from hilum.audit.quality import audit_quality
from hilum.audit.record import AuditFinding, accept, check_accepted, worst_first
from hilum.audit.report import write_report
from hilum.config.schema import TrainConfig
from hilum.data.ingest import Dataset, open_dataset
from hilum.data.manifest import manifest_digest, write_manifest
from hilum.progress import progress_bar

if TYPE_CHECKING:
    from hilum.audit.probes import ProbeReport


def run_audit(
    data: Path,
    out: Path,
    *,
    config: TrainConfig,
    patient_pattern: str | None = None,
    deep: bool = True,
    accepted: Mapping[str, str] = MappingProxyType({}),
) -> Audit:
    """Audit a data set and write manifest.parquet, audit.html and audit.json into `out`.

    Parameters
    ----------
    patient_pattern
        Regular expression whose first group names the patient in a path, for films without an id.
    deep
        Whether to run the probes (shortcuts, confounding, label noise, same patient), which take longest.
    accepted
        Codes of blockers that are known and accepted, each with the reason: they stay as warnings.

    Raises
    ------
    EmptyDataset, DatasetError, ConfigError
        If there is nothing to audit, the pattern finds no patient, or an accepted code is unknown.
    """
    check_accepted(accepted)
    clock = _Clock("reading")
    dataset = open_dataset(data, config)
    if patient_pattern is not None:
        dataset = _name_patients(dataset, patient_pattern)
    clock.start("measuring")
    with progress_bar("measuring", total=len(dataset.manifest)) as bar:
        measures = measure_films(dataset, on_films=bar.update)
    clock.start("counting")
    inventory = take_inventory(measures.table)
    findings = judge_inventory(inventory)
    records: dict[str, object] = {}
    for name, part in _PARTS.items():
        clock.start(name)
        records[name], found = part(measures, dataset)
        findings += found
    sentences: list[str] = []
    if deep:
        report, found = _probe(measures, dataset, clock)
        records |= {field.name: getattr(report, field.name) for field in fields(report)}
        findings += found
        sentences = report.sentences()
    audit = Audit(
        inventory=inventory,
        findings=tuple(worst_first(accept(findings, accepted))),
        records=records,
        without_lungs=tuple(sentences),
        seconds_of=clock.stop(),
        data_sha256=manifest_digest(dataset.manifest),
        folder=out,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_manifest(dataset.manifest, out / "manifest.parquet")
    write_report(audit, dataset)
    return audit


_PARTS: Mapping[str, Callable[[FilmMeasures, Dataset], tuple[object, list[AuditFinding]]]] = {
    "quality": lambda measures, _: audit_quality(measures),
    "duplicates": lambda measures, dataset: audit_duplicates(measures, dataset.pixels),
    "leakage": lambda measures, _: audit_leakage(measures.table),
}


def _probe(
    measures: FilmMeasures, dataset: Dataset, clock: "_Clock"
) -> "tuple[ProbeReport, list[AuditFinding]]":
    from hilum.audit.probes import PROBES, run_probes  # brings scikit-learn, which a quick audit does without

    used = dataset.manifest["excluded"].isna().to_numpy()
    with progress_bar("probing", total=len(PROBES), unit="probe") as bar:

        def advance(name: str) -> None:
            clock.start(f"probing {name}")
            bar.set_postfix_str(name)
            bar.update(PROBES.index(name) - bar.n)  # those that are done

        return run_probes(
            dataset.manifest[used].reset_index(drop=True),
            dataset.pixels[used],
            file_bytes=measures.table["file_bytes"][used].to_numpy(dtype=float),
            progress=advance,
        )


def _name_patients(dataset: Dataset, pattern: str) -> Dataset:
    manifest = dataset.manifest
    return replace(dataset, manifest=manifest.assign(patient_id=patients_from_names(manifest, pattern)))


class _Clock:
    """Seconds by part: a part lasts until the next one starts."""

    def __init__(self, first: str) -> None:
        self.seconds_of: dict[str, float] = {}
        self._since = time.perf_counter()
        self._part = first

    def start(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds_of[self._part] = now - self._since
        self._since, self._part = now, part

    def stop(self) -> dict[str, float]:
        self.start("")
        return self.seconds_of
