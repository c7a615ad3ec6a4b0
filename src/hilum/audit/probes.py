"""The probes that look deeper than a count, each handed the usable films; imported only when they run."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hilum.audit.markers import audit_markers
from hilum.audit.measures import FilmMeasures
from hilum.audit.record import AuditFinding
from hilum.audit.shortcuts import audit_shortcuts
from hilum.data.ingest import Dataset

Probe = Callable[[FilmMeasures, Dataset], tuple[object, list[AuditFinding]]]


def _shortcuts(measures: FilmMeasures, dataset: Dataset) -> tuple[object, list[AuditFinding]]:
    used = dataset.manifest["excluded"].isna()
    rows = dataset.manifest[used].reset_index(drop=True)
    file_bytes = measures.table["file_bytes"][used].to_numpy(dtype=float)
    return audit_shortcuts(rows, dataset.pixels[used.to_numpy()], file_bytes=file_bytes)


def _markers(_: FilmMeasures, dataset: Dataset) -> tuple[object, list[AuditFinding]]:
    used = dataset.manifest["excluded"].isna()
    return audit_markers(dataset.manifest[used].reset_index(drop=True), dataset.pixels[used.to_numpy()])


PROBES: Mapping[str, Probe] = MappingProxyType({"shortcuts": _shortcuts, "markers": _markers})
