import dataclasses
import json

import cv2
import numpy as np
import pandas as pd
import pytest

from hilum.audit.confounding import audit_confounding
from hilum.audit.record import Severity
from tests.audit.make_rows import make_rows, noise_films

FILMS = noise_films(1, side=64)


def audit(labels, source, films=None, rows=None, **options):
    rows = make_rows(labels, source=source) if rows is None else rows
    films = np.repeat(FILMS, len(rows), axis=0) if films is None else films
    return audit_confounding(rows, films, **options)


def codes(findings):
    return [finding.code for finding in findings]


def test_a_pair_that_no_source_holds_blocks():
    labels = ["Normal", "Pneumonia"] * 30 + ["Normal", "Tuberculosis"] * 30
    record, findings = audit(labels, ["a"] * 60 + ["b"] * 60)
    assert record.never_together == (("Pneumonia", "Tuberculosis"),)
    assert record.counts["a"] == {"Normal": 30, "Pneumonia": 30, "Tuberculosis": 0}
    blockers = [finding for finding in findings if finding.severity is Severity.BLOCKER]
    assert codes(blockers) == ["classes-never-in-one-source"]
    assert "both Pneumonia and Tuberculosis" in blockers[0].sentence


def test_one_source_with_both_lifts_the_block():
    labels = ["Normal", "Pneumonia"] * 30 + ["Normal", "Tuberculosis"] * 30 + ["Pneumonia", "Tuberculosis"]
    record, findings = audit(labels, ["a"] * 60 + ["b"] * 60 + ["c"] * 2)
    assert record.never_together == ()
    assert "classes-never-in-one-source" not in codes(findings)


def test_a_class_that_is_nowhere_makes_no_pair():
    record, _ = audit(["Normal", "Tuberculosis"] * 10, "a")
    assert record.never_together == ()


def test_normal_films_from_elsewhere_block_too():
    record, _ = audit(["Normal"] * 30 + ["Tuberculosis"] * 30, ["a"] * 30 + ["b"] * 30)
    assert record.never_together == (("Normal", "Tuberculosis"),)


def test_the_source_tells_the_class_by_as_much_as_counted():
    labels = ["Normal"] * 80 + ["Tuberculosis"] * 20 + ["Normal"] * 20 + ["Tuberculosis"] * 80
    record, findings = audit(labels, ["a"] * 100 + ["b"] * 100)
    assert record.from_source["sick or normal"].auroc == pytest.approx(0.8)  # 0.8 * 0.8 + ties / 2
    assert "class-told-by-source" in codes(findings)


def test_balanced_sources_tell_nothing():
    record, findings = audit(["Normal", "Tuberculosis"] * 60, ["a"] * 60 + ["b"] * 60)
    assert record.from_source["sick or normal"].auroc == 0.5
    assert findings == []


def test_a_source_of_one_class_warns():
    labels = ["Normal", "Tuberculosis"] * 30 + ["Normal"] * 39 + ["Tuberculosis"]
    record, findings = audit(labels, ["a"] * 60 + ["b"] * 40)
    assert record.nearly_pure == {"b": "Normal"}
    (found,) = (finding for finding in findings if finding.code == "source-of-one-class")
    assert "Source b is 98% Normal" in found.sentence


def test_unknown_sources_are_said_to_be_unchecked():
    _, findings = audit(["Normal", "Tuberculosis"] * 30, "unknown")
    assert codes(findings) == ["source-not-told"]


def test_a_blurred_source_that_gives_the_class_away_warns():
    labels = ["Normal", "Tuberculosis", "Tuberculosis"] * 40 + ["Normal", "Normal", "Tuberculosis"] * 40
    films = noise_films(240, side=64)
    blurred = [cv2.resize(film[::2, ::2], (64, 64), interpolation=cv2.INTER_CUBIC) for film in films]
    films[:120] = blurred[:120]
    record, findings = audit(labels, ["a"] * 120 + ["b"] * 120, films)
    (found,) = (finding for finding in findings if finding.code == "sources-differ-in-resolution")
    assert found.severity is Severity.WARNING
    assert found.figures["lowest"] == "a"
    assert record.effective_resolution_px["a"] < 48 < record.effective_resolution_px["b"]


def test_one_fact_that_tells_the_class_is_named():
    labels = ["Normal", "Tuberculosis"] * 30
    rows = make_rows(labels)
    rows.loc[1::2, "height"] = pd.array([120] * 30, "Int64")
    record, (finding,) = audit(labels, "one", rows=rows)
    assert finding.code == "file-fact-tells-class"
    assert "the aspect ratio alone tells it, AUROC 1.00 (lower means positive)" in finding.sentence
    assert set(finding.films) <= set(rows["path"][1::2])
    assert {fact.fact for fact in record.facts} == {"effective resolution", "shorter side", "aspect ratio"}


def test_bytes_per_pixel_are_a_fact_and_unknown_ones_are_filled():
    file_bytes = np.where(np.arange(60) % 2, 9000.0, 5000.0)
    file_bytes[0] = np.nan
    record, findings = audit(["Normal", "Tuberculosis"] * 30, "one", file_bytes=file_bytes)
    assert [finding.figures["fact"] for finding in findings] == ["bytes per pixel"]
    assert json.loads(json.dumps(dataclasses.asdict(record)))["facts"][3]["fact"] == "bytes per pixel"
