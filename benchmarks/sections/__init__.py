"""Sections of docs/results.md that have a record of their own in docs/measured, in the order of the page."""

from sections import (
    adaptation,
    audit,
    collimation,
    commissioning,
    dicom_files,
    explanations,
    gate,
    monitoring,
    remedies,
    robustness,
    serving,
    shortcuts,
)

SECTIONS = (
    robustness.section,
    remedies.section,
    adaptation.section,
    commissioning.section,
    gate.section,
    collimation.section,
    serving.section,
    monitoring.section,
    explanations.section,
    dicom_files.section,
    audit.section,
    shortcuts.section,
)
