import dataclasses
import json

import numpy as np

from hilum.audit.probes import run_probes
from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.film import draw_film
from hilum.domain.findings import Finding
from tests.audit.make_rows import make_rows

COUNT = 90


def probe(faults=None):
    films = [draw_film(index, seed=6, side_px=128, faults=faults) for index in range(COUNT)]
    rows = make_rows(
        [film.row["label"] for film in films],
        patients=[film.row["patient_id"] for film in films],
        source=[film.row["source"] for film in films],
    )
    said = []
    report, findings = run_probes(rows, np.stack([film.pixels for film in films]), progress=said.append)
    return report, findings, said


def test_clean_phantoms_raise_no_alarm():
    report, findings, said = probe()
    assert [finding.code for finding in findings if finding.code != "label-noise-candidates"] == []
    assert said == ["lungs", "shortcuts", "letters", "confounding", "labels", "patients"]
    assert len(report.sentences()) == 3  # sick or normal, and each disease
    text = json.dumps(dataclasses.asdict(report))
    assert set(json.loads(text)) == {"shortcuts", "markers", "confounding", "label_noise", "same_patient"}


def test_letters_on_one_class_are_found_by_their_own_test():
    _, findings, _ = probe(PhantomFaults(Finding.TUBERCULOSIS, 1.0))
    assert "letters-tied-to-class" in {finding.code for finding in findings}
