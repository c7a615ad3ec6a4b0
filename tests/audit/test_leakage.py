import pytest

from hilum.audit.leakage import audit_leakage, patients_from_names
from hilum.audit.record import Severity
from hilum.domain.errors import ConfigError
from tests.audit.make_films import table

ROWS = [
    {"path": "a/secret1_x.png", "patient_id": "secret1", "split": "train"},
    {"path": "b/secret1_y.png", "patient_id": "secret1", "split": "test"},
    {"path": "c/secret2_x.png", "patient_id": "secret2", "split": "test"},
    {"path": "d/secret2_y.png", "patient_id": "secret2", "split": "test"},
    {"path": "e/other.png", "split": "val"},
]


def test_a_patient_in_two_splits_is_a_blocker_and_films_without_a_patient_a_warning():
    audit, findings = audit_leakage(table(ROWS))
    assert (audit.patients, audit.shared_patients, audit.shared_films) == (2, 1, 2)
    assert audit.films_without_patient == 1
    shared, unknown = findings
    assert (shared.code, shared.severity) == ("patient-across-splits", Severity.BLOCKER)
    assert set(shared.films) == {"a/secret1_x.png", "b/secret1_y.png"}
    assert "1 of 2 patients" in shared.sentence
    assert "secret" not in shared.sentence + shared.advice
    assert (unknown.code, unknown.severity) == ("no-patient-ids", Severity.WARNING)


def test_patients_inside_one_split_are_no_finding():
    audit, findings = audit_leakage(table([{"patient_id": "a"}, {"patient_id": "a"}, {"patient_id": "b"}]))
    assert findings == []
    assert audit.patients == 2


def test_missing_ids_are_read_from_names_and_known_ones_stay():
    rows = [{"path": "a/p1_x.png"}, {"path": "b/p1_y.png", "patient_id": "told"}, {"path": "c/p1_z.png"}]
    assert patients_from_names(table(rows), r"(p\d+)_").tolist() == ["p1", "told", "p1"]
    assert patients_from_names(table(rows), r"p\d+_[xz]").tolist() == ["p1_x", "told", "p1_z"]
    some = patients_from_names(table([{"path": "p1.png"}, {"path": "q.png"}]), r"p\d")
    assert some.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "no regular expression"), ("zzz", "matches none of 5")]
)
def test_a_pattern_that_names_nobody_is_refused(pattern: str, message: str):
    with pytest.raises(ConfigError, match=message):
        patients_from_names(table(ROWS), pattern)
