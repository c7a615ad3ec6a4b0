from dataclasses import replace

import numpy as np

from hilum.audit.duplicates import audit_duplicates
from hilum.audit.measures import FilmMeasures, measure_films
from hilum.audit.record import AuditFinding, Severity
from hilum.data.ingest import Dataset
from hilum.data.phantom.film import draw_film
from hilum.domain.thresholds import DUPLICATE_MIN_CORRELATION
from tests.audit.make_films import dataset


def by_code(findings: list[AuditFinding]) -> dict[str, AuditFinding]:
    return {finding.code: finding for finding in findings}


def test_planted_copies_are_found_under_their_name_and_no_others(
    faulty: FilmMeasures, faulty_set: Dataset, planted
):
    audit, findings = audit_duplicates(faulty, faulty_set.pixels)
    found = by_code(findings)
    exact = [copy for copy in planted["duplicate_across_splits"] if not copy["is_brightened"]]
    near = [copy for copy in planted["duplicate_across_splits"] if copy["is_brightened"]]
    expected = {
        "exact-duplicate-across-splits": (exact, Severity.BLOCKER),
        "near-duplicate-across-splits": (near, Severity.BLOCKER),
        "exact-duplicate-other-label": (planted["duplicate_other_label"], Severity.BLOCKER),
        "exact-duplicate": (planted["duplicate_in_split"], Severity.WARNING),
    }
    assert set(found) == set(expected)
    for code, (copies, severity) in expected.items():
        assert found[code].severity is severity
        assert found[code].figures["pairs"] == len(copies)
        assert set(found[code].films) == {
            path for copy in copies for path in (copy["path"], copy["original"])
        }
    assert (audit.exact_pairs, audit.near_pairs) == (6, 2)
    assert audit.is_complete


def test_clean_films_have_no_copies(clean: FilmMeasures, clean_set: Dataset):
    audit, findings = audit_duplicates(clean, clean_set.pixels)
    assert findings == []
    assert (audit.exact_pairs, audit.near_pairs, audit.alike_by_pixels) == (0, 0, 0)


def films(count: int) -> np.ndarray:
    return np.stack([draw_film(index, side_px=128).pixels for index in range(count)])


def test_a_near_copy_under_another_label_is_a_warning_and_inside_a_class_a_note():
    drawn = films(4)
    pixels = np.concatenate([drawn, np.clip(drawn[:2] * 0.9 + 9, 0, 255).astype(np.uint8)])
    rows = [{}, {}, {}, {}, {"label": "Pneumonia"}, {}]
    audit, findings = audit_duplicates(measure_films(dataset(rows, pixels)), pixels)
    found = by_code(findings)
    assert found["near-duplicate-other-label"].severity is Severity.WARNING
    assert found["near-duplicate-other-label"].films == ("000.png", "004.png")
    assert found["near-duplicate"].severity is Severity.NOTE
    assert found["near-duplicate"].films == ("001.png", "005.png")
    assert audit.near_pairs == 2


def test_alike_hashes_of_different_pictures_are_no_copies():
    measures = measure_films(dataset([{}] * 4, films(4)))
    audit, findings = audit_duplicates(replace(measures, hashes=np.full(4, 7, np.uint64)), films(4))
    assert audit.alike_by_hash == 6
    assert audit.alike_by_pixels == 0
    assert findings == []


def test_two_films_of_one_patient_are_no_copies():
    # the one pair in 48 films whose thumbnails agree: a follow-up that was taken in nearly the same pose
    pixels = np.stack([draw_film(index, seed=9008, side_px=128).pixels for index in (0, 3)])
    measures = measure_films(dataset([{}, {}], pixels))
    assert float((measures.thumbnails[0] * measures.thumbnails[1]).sum()) > DUPLICATE_MIN_CORRELATION
    audit, findings = audit_duplicates(measures, pixels)
    assert audit.alike_by_hash == 1
    assert findings == []


def test_a_file_many_times_over_is_a_chain_and_blank_films_are_no_copies():
    pixels = np.zeros((6, 64, 64), np.uint8)
    rows = [*({"sha256": "same", "split": split} for split in ("train", "test", "train", "val")), {}, {}]
    audit, findings = audit_duplicates(measure_films(dataset(rows, pixels)), pixels)
    found = by_code(findings)
    assert audit.exact_pairs == 3
    assert found["exact-duplicate-across-splits"].figures["pairs"] == 2
    assert found["exact-duplicate"].films == ("000.png", "002.png")
    assert audit.near_pairs == 0
