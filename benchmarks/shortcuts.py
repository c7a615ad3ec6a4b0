"""What can be told of real films without their lungs, beside the figures that came with them.

Runs every probe of the audit once and keeps counts and figures, never a file name: each probe inside each
source, the border and histogram probes beside an independent logistic regression whose figures came with the
data (sick or normal, five folds by patient), letters, single facts, how right recovered patients are where
identifiers are known, and how many of labels flipped on purpose (5 %) the search for wrong labels finds.

    python benchmarks/shortcuts.py FOLDER
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from commit import current_commit
from hilum.audit.contrasts import SICK_OR_NORMAL
from hilum.audit.label_noise import audit_labels
from hilum.audit.probe_features import whole_film
from hilum.audit.probes import ProbeReport, run_probes
from hilum.config.load import load_config
from hilum.data.ingest import open_dataset
from hilum.domain.findings import Finding

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "shortcuts.json"
REFERENCE = {
    "border": {"shenzhen": 0.84, "sakha_tb": 0.78, "nih14": 0.79, "kermany": 0.93},
    "histogram": {"shenzhen": 0.77, "sakha_tb": 0.65, "nih14": 0.79, "kermany": 0.77},
}
FLIPPED_SHARE = 0.05


def main() -> None:
    """Probe and write docs/measured/shortcuts.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    dataset = open_dataset(data, load_config())
    used = dataset.manifest["excluded"].isna().to_numpy()
    rows, pixels = dataset.manifest[used].reset_index(drop=True), dataset.pixels[used]
    sizes = np.asarray([(dataset.root / path).stat().st_size for path in rows["path"]], np.float64)
    start, start_cpu = time.perf_counter(), time.process_time()
    report, findings = run_probes(rows, pixels, file_bytes=sizes)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    record = {
        "films": len(rows),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "probes": probe_table(report),
        "available": [dataclasses.asdict(row) for row in report.shortcuts.available],
        "regions": {found.scope: list(found.regions) for found in report.shortcuts.maps},
        "reference": REFERENCE,
        "findings": [{"code": found.code, "severity": found.severity.value} for found in findings],
        "never_together": [list(pair) for pair in report.confounding.never_together],
        "effective_resolution_px": dict(report.confounding.effective_resolution_px),
        "films_with_letters": report.markers.share_with_letters,
        "recovered_patients": {
            "pairs": report.same_patient.known_pairs,
            "right": report.same_patient.known_right,
            "recall": report.same_patient.known_recall,
        },
        "flipped_labels": find_flipped(rows, pixels),
        "command": "python benchmarks/shortcuts.py FOLDER",
        "commit": current_commit(),
    }
    MEASURED.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def probe_table(report: ProbeReport) -> dict[str, dict[str, dict[str, float]]]:
    """Return scope to probe to its score, sick or normal."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for result in report.shortcuts.probes:
        if result.contrast == SICK_OR_NORMAL:
            table.setdefault(result.scope, {})[result.probe] = dataclasses.asdict(result.score)
    return table


def find_flipped(rows: pd.DataFrame, pixels: np.ndarray) -> dict[str, dict[str, float]]:
    """Flip labels inside each source and count what is found; return source to precision and recall."""
    noisy = rows.copy()
    generator = np.random.default_rng(0)
    flipped: set[str] = set()
    for _, group in rows.groupby("source"):
        names = sorted(set(group["label"]))
        if len(names) != 2 or Finding.NORMAL not in names:
            continue
        chosen = generator.choice(group.index, round(FLIPPED_SHARE * len(group)), replace=False)
        noisy.loc[chosen, "label"] = [names[1 - names.index(label)] for label in rows.loc[chosen, "label"]]
        flipped |= set(rows.loc[chosen, "path"])
    record, _ = audit_labels(noisy, pixels, embeddings=whole_film(pixels))
    sources = dict(zip(rows["path"], rows["source"], strict=True))
    found = {}
    for source in record.sources:
        doubted = [candidate.path for candidate in record.candidates if candidate.source == source.source]
        there = {path for path in flipped if sources[path] == source.source}
        right = len(there & set(doubted))
        found[source.source] = {
            "flipped": len(there),
            "doubted": len(doubted),
            "precision": right / max(len(doubted), 1),
            "recall": right / max(len(there), 1),
            "probe_auroc": source.probe_auroc,
        }
    return found


if __name__ == "__main__":
    main()
