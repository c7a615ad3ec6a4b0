"""Every probe of the audit in one call: shortcuts, letters, confounding, label noise, recovered patients.

Takes a manifest's usable rows with their pixels and returns figures and findings; reads no file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.audit.confounding import ConfoundingAudit, audit_confounding
from hilum.audit.label_noise import LabelNoiseAudit, audit_labels
from hilum.audit.linear_probe import FloatArray
from hilum.audit.markers import MarkerAudit, audit_markers
from hilum.audit.probe_features import Films, lung_boxes
from hilum.audit.record import AuditFinding
from hilum.audit.same_patient import SamePatientAudit, audit_same_patient
from hilum.audit.shortcuts import ShortcutAudit, audit_shortcuts

PROBES: Final = ("lungs", "shortcuts", "letters", "confounding", "labels", "patients")
"""What `run_probes` runs, in its order."""


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The figures of every probe; `dataclasses.asdict` makes it JSON."""

    shortcuts: ShortcutAudit
    markers: MarkerAudit
    confounding: ConfoundingAudit
    label_noise: LabelNoiseAudit
    same_patient: SamePatientAudit

    def sentences(self) -> list[str]:
        """Say for every source what is available without the lungs."""
        return [available.sentence() for available in self.shortcuts.available]


def run_probes(
    rows: pd.DataFrame,
    pixels: Films,
    *,
    file_bytes: FloatArray | None = None,
    embeddings: NDArray[np.floating] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> tuple[ProbeReport, list[AuditFinding]]:
    """Run every probe on a data set.

    Parameters
    ----------
    rows
        Usable rows of a manifest (`excluded` missing), N of them.
    pixels
        uint8 (N, side, side), row for row.
    file_bytes
        Size of each file, float64 (N,), NaN where unknown; None leaves compression out.
    embeddings
        float (N, C) for the search for wrong labels, from a model that has not seen these labels.
    seed
        Of folds, shuffles and components.
    progress
        Called with the name of each of `PROBES` before it runs.

    Returns
    -------
    report, findings
        Findings in the order of the probes, not by severity.
    """
    say = progress or _say_nothing
    say("lungs")
    lungs = lung_boxes(pixels)
    say("shortcuts")
    shortcuts, found = audit_shortcuts(rows, pixels, lungs=lungs, file_bytes=file_bytes, seed=seed)
    say("letters")
    markers, letters = audit_markers(rows, pixels, seed=seed)
    say("confounding")
    confounding, confounded = audit_confounding(rows, pixels, file_bytes=file_bytes)
    say("labels")
    labels, doubted = audit_labels(rows, pixels, embeddings=embeddings, seed=seed)
    say("patients")
    patients, recovered = audit_same_patient(rows, pixels, lungs.boxes, seed=seed)
    report = ProbeReport(shortcuts, markers, confounding, labels, patients)
    return report, [*found, *letters, *confounded, *doubted, *recovered]


def _say_nothing(_: str) -> None:
    pass
