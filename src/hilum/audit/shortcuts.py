"""How much of the label can be told without the lungs, source by source, and from where.

Linear probes, cross-validated by patient, on film borders, corners, films with the lungs in black and facts
of the file see no lung; 8 x 8 thumbnails, grey histograms and the bytes per pixel that a file takes see lungs
without any detail; the whole film is what they are held against. A shortcut is what a network may learn
instead of the disease. A weak probe misses weak shortcuts: letters have a test of their own in
`hilum.audit.markers`. Anatomy outside the lungs can carry honest information (a wasted body, a film taken in
bed), which these probes cannot tell from an artefact.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hilum.audit import probe_features
from hilum.audit.contrasts import ALL_SOURCES, Contrast, list_contrasts, make_contrast
from hilum.audit.linear_probe import (
    FloatArray,
    IntArray,
    ProbeScore,
    enough_patients,
    patient_codes,
)
from hilum.audit.patch_map import PatchMap, map_patches
from hilum.audit.probe_features import Films, LungBoxes
from hilum.audit.record import AuditFinding, Severity
from hilum.domain.findings import Finding
from hilum.domain.thresholds import (
    CHANCE_AUROC,
    MIN_PROBE_PATIENTS,
    SHORTCUT_BLOCKER_AUROC,
    SHORTCUT_WARNING_AUROC,
)

WHOLE_FILM = "whole film"
LUNG_FREE = ("border", "corners", "lungs in black", "file facts")
WITHOUT_DETAIL = ("8 x 8 thumbnail", "histogram", "bytes per pixel")

_FILMS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe's answer to one contrast."""

    scope: str
    contrast: str
    probe: str
    score: ProbeScore


@dataclass(frozen=True, slots=True)
class Availability:
    """How much of what the whole film tells is there without the lungs: `share` of the AUROC above chance.

    `share` is None where the whole film tells nothing.
    """

    scope: str
    contrast: str
    films: int
    patients: int
    best_probe: str
    without_lungs: ProbeScore
    whole_film: ProbeScore
    share: float | None

    def sentence(self) -> str:
        """Say it as the report does."""
        there, whole = self.without_lungs.auroc, self.whole_film.auroc
        return (
            f"{self.scope}, {self.contrast}: {there:.2f} of {whole:.2f} AUROC is available without the lungs"
            f" (from: {self.best_probe})"
        )


@dataclass(frozen=True, slots=True)
class SourceProbe:
    """How well one source is told from the others by the borders of its Normal films."""

    source: str
    score: ProbeScore


@dataclass(frozen=True, slots=True)
class ShortcutAudit:
    """Every figure of the shortcut audit; `skipped` says which contrasts had too few patients."""

    probes: tuple[ProbeResult, ...]
    available: tuple[Availability, ...]
    maps: tuple[PatchMap, ...]
    sources: tuple[SourceProbe, ...]
    lungs_believed_share: float
    skipped: tuple[str, ...]


def audit_shortcuts(
    rows: pd.DataFrame,
    pixels: Films,
    *,
    lungs: LungBoxes | None = None,
    file_bytes: FloatArray | None = None,
    seed: int = 0,
) -> tuple[ShortcutAudit, list[AuditFinding]]:
    """Probe a data set for shortcuts.

    Parameters
    ----------
    rows
        Usable rows of a manifest, N of them.
    pixels
        uint8 (N, side, side), row for row.
    lungs
        Of `probe_features.lung_boxes`; None looks for them.
    file_bytes
        Size of each file, float64 (N,), NaN where unknown; None leaves compression out.
    seed
        Of the folds.
    """
    patients = patient_codes(rows)
    contrasts, skipped = list_contrasts(rows, patients, seed=seed)
    lungs = lungs or probe_features.lung_boxes(pixels)
    looks: dict[str, FloatArray] = {
        "border": probe_features.border(pixels),
        "corners": probe_features.corners(pixels),
        "lungs in black": probe_features.without_lungs(pixels, lungs.boxes),
        "file facts": probe_features.file_facts(rows),
        "8 x 8 thumbnail": probe_features.thumbnails(pixels),
        "histogram": probe_features.histogram(pixels),
        WHOLE_FILM: probe_features.whole_film(pixels),
    }
    if file_bytes is not None:
        looks["bytes per pixel"] = probe_features.bytes_per_pixel(rows, file_bytes)
    probes = [
        ProbeResult(contrast.scope, contrast.name, name, contrast.score(features))
        for contrast in contrasts
        for name, features in looks.items()
    ]
    available = [_availability(contrast, probes) for contrast in contrasts]
    cells = probe_features.patches(pixels)
    maps = {
        (contrast.scope, contrast.name): map_patches(cells, contrast, lungs.shares)
        for contrast in contrasts
        if contrast.scope != ALL_SOURCES
    }
    findings = []
    for contrast, figures in zip(contrasts, available, strict=True):
        if figures.without_lungs.low < SHORTCUT_WARNING_AUROC:
            continue
        scores = contrast.film_scores(looks[figures.best_probe])
        told = np.argsort(-np.where(contrast.positive, scores, -scores))[:_FILMS_SHOWN]
        films = tuple(rows["path"].iloc[contrast.films[told]].astype(str))
        findings.append(_finding(figures, maps.get((contrast.scope, contrast.name)), films))
    record = ShortcutAudit(
        tuple(probes),
        tuple(available),
        tuple(maps.values()),
        _probe_sources(rows, looks["border"], patients, seed=seed),
        float(lungs.believed.mean()),
        tuple(skipped),
    )
    return record, findings


def _availability(contrast: Contrast, probes: list[ProbeResult]) -> Availability:
    scores = {
        result.probe: result.score
        for result in probes
        if (result.scope, result.contrast) == (contrast.scope, contrast.name)
    }
    best = max(LUNG_FREE, key=lambda name: scores[name].auroc)
    gain, whole = scores[best].auroc - CHANCE_AUROC, scores[WHOLE_FILM].auroc - CHANCE_AUROC
    return Availability(
        contrast.scope,
        contrast.name,
        len(contrast.films),
        len(np.unique(contrast.patients)),
        best,
        scores[best],
        scores[WHOLE_FILM],
        max(gain, 0.0) / whole if scores[WHOLE_FILM].low > CHANCE_AUROC else None,
    )


def _finding(figures: Availability, found: PatchMap | None, films: tuple[str, ...]) -> AuditFinding:
    """Word a shortcut; `films` are those whose label was told most surely without the lungs."""
    is_inside = figures.scope != ALL_SOURCES
    score = figures.without_lungs
    blocks = is_inside and score.low >= SHORTCUT_BLOCKER_AUROC
    where = f"; it shows most at: {', '.join(found.regions)}" if found and found.regions else ""
    mixed = "" if is_inside else "; part of this is telling the sources apart"
    return AuditFinding(
        code="label-without-lungs" if is_inside else "label-without-lungs-across-sources",
        severity=Severity.BLOCKER if blocks else Severity.WARNING,
        sentence=f"{figures.sentence()}, interval {score.low:.2f} to {score.high:.2f}{where}{mixed}.",
        advice="Look at the films shown and find what tells them apart outside the lungs. Train with border"
        " crop, lung crop, marker inpainting or one resolution; believe only figures from a source left out.",
        films=films,
        figures={
            "scope": figures.scope,
            "contrast": figures.contrast,
            "probe": figures.best_probe,
            "auroc_without_lungs": score.auroc,
            "low": score.low,
            "high": score.high,
            "auroc_whole_film": figures.whole_film.auroc,
            "share": figures.share,
        },
    )


def _probe_sources(
    rows: pd.DataFrame, features: FloatArray, patients: IntArray, *, seed: int
) -> tuple[SourceProbe, ...]:
    """Tell each source from the rest by Normal films alone: a disease must not help."""
    normal = np.flatnonzero(rows["label"].to_numpy(dtype=object) == Finding.NORMAL)
    sources = rows["source"].to_numpy(dtype=object)[normal]
    names = sorted(set(sources)) if len(set(sources)) > 1 else []
    return tuple(
        SourceProbe(
            str(name),
            make_contrast(
                str(name), Finding.NORMAL, normal, sources == name, patients=patients, seed=seed
            ).score(features),
        )
        for name in names
        if enough_patients(sources == name, patients[normal], at_least=MIN_PROBE_PATIENTS)
    )
