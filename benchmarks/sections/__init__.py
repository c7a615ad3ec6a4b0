"""Sections of docs/results.md that have a record of their own in docs/measured, in the order of the page."""

from sections import (
    adaptation,
    audit,
    backbones,
    collimation,
    commissioning,
    dicom_files,
    explanations,
    gate,
    monitoring,
    recipes,
    remedies,
    robustness,
    serving,
    shortcuts,
)

SECTIONS = (
    recipes.section,
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
    backbones.section,
    audit.section,
    shortcuts.section,
)
