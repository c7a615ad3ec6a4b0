import dataclasses
import json

import numpy as np
import pytest

from hilum.audit.contrasts import SICK_OR_NORMAL
from hilum.audit.probe_features import LungBoxes
from hilum.audit.record import Severity
from hilum.audit.shortcuts import LUNG_FREE, WHOLE_FILM, audit_shortcuts
from tests.audit.make_rows import make_rows, noise_films

COUNT = 160
LABELS = ["Normal", "Tuberculosis"] * (COUNT // 2)
SICK = np.arange(COUNT) % 2 == 1


def fixed_lungs(count=COUNT):
    """Lungs known to lie in the middle, so that no time is spent on looking for them."""
    shares = np.zeros((8, 8))
    shares[1:7, 1:7] = 1.0
    box = np.asarray([12, 12, 84, 84])  # of 96
    return LungBoxes(np.tile(box, (count, 1)), shares, np.ones(count, bool))


def audit(films, rows=None, **options):
    return audit_shortcuts(
        make_rows(LABELS) if rows is None else rows, films, lungs=fixed_lungs(len(films)), **options
    )


def film_scores(record, scope="one"):
    return {result.probe: result.score.auroc for result in record.probes if result.scope == scope}


@pytest.fixture(scope="module")
def bright_corner():
    films = noise_films(COUNT)
    films[SICK, :10, -10:] += 25
    return audit(films)


@pytest.fixture(scope="module")
def lesion():
    films = noise_films(COUNT)
    films[SICK, 40:60, 40:60] += 25
    return audit(films)


def test_a_bright_corner_blocks_and_is_named(bright_corner):
    record, findings = bright_corner
    (finding,) = findings
    assert finding.code == "label-without-lungs"
    assert finding.severity is Severity.BLOCKER
    assert "of 1.00 AUROC is available without the lungs" in finding.sentence
    assert "it shows most at: top right edge" in finding.sentence
    assert finding.figures["auroc_without_lungs"] > 0.95
    assert len(finding.films) == 12
    assert record.available[0].share == pytest.approx(1.0, abs=0.05)


def test_the_map_points_at_the_corner_only(bright_corner):
    (found,) = bright_corner[0].maps
    assert found.cells_outside_lungs == 28
    assert found.auroc[0][7] > 0.95
    assert found.auroc[3][3] is None
    assert found.significant_cells == 1


def test_a_lesion_in_the_lungs_is_no_shortcut(lesion):
    record, findings = lesion
    assert findings == []
    scores = film_scores(record)
    assert scores[WHOLE_FILM] > 0.95
    assert max(scores[name] for name in LUNG_FREE) < 0.65
    assert record.maps[0].regions == ()
    assert record.available[0].share < 0.3
    assert "available without the lungs" in record.available[0].sentence()


def test_the_record_is_plain_json(bright_corner):
    text = json.dumps(dataclasses.asdict(bright_corner[0]))
    assert json.loads(text)["available"][0]["contrast"] == SICK_OR_NORMAL


def test_the_size_of_the_files_is_a_shortcut():
    rows = make_rows(LABELS)
    rows.loc[SICK, "width"] = 200
    record, (finding,) = audit(noise_films(COUNT), rows)
    assert finding.figures["probe"] == "file facts"
    assert film_scores(record)["file facts"] == 1.0


def test_bytes_are_probed_but_do_not_count_as_lung_free():
    record, findings = audit(noise_films(COUNT), file_bytes=1000.0 + 500.0 * SICK)
    assert film_scores(record)["bytes per pixel"] == 1.0
    assert findings == []


def test_a_shortcut_in_one_source_is_found_there():
    films = noise_films(2 * COUNT, seed=1)
    films[:COUNT][SICK, :, :8] += 25
    rows = make_rows(LABELS * 2, source=["a"] * COUNT + ["b"] * COUNT)
    record, findings = audit(films, rows)
    assert [finding.figures["scope"] for finding in findings if finding.severity is Severity.BLOCKER] == ["a"]
    assert film_scores(record, "b")["border"] < 0.65
    across = [finding for finding in findings if finding.code == "label-without-lungs-across-sources"]
    assert all(finding.severity is Severity.WARNING for finding in across)


def test_sources_are_told_apart_by_normal_films():
    films = noise_films(2 * COUNT, seed=2)
    films[:COUNT, :8] += 25
    record, _ = audit(films, make_rows(LABELS * 2, source=["a"] * COUNT + ["b"] * COUNT))
    assert {probe.source for probe in record.sources} == {"a", "b"}
    assert all(probe.score.auroc > 0.95 for probe in record.sources)


def test_few_patients_are_said_to_be_too_few():
    rows = make_rows(["Normal", "Tuberculosis"] * 10)
    record, findings = audit(noise_films(20), rows)
    assert (record.probes, findings) == ((), [])
    assert record.skipped == ("one, sick or normal: fewer than 25 patients on one side",)


def test_a_whole_film_that_tells_nothing_has_no_share():
    record, findings = audit(noise_films(COUNT, seed=4))
    assert record.available[0].share is None
    assert findings == []
