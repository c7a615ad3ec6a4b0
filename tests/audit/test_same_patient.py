import numpy as np
import pytest

from hilum.audit.record import Severity
from hilum.audit.same_patient import audit_same_patient
from hilum.data.phantom.film import draw_film
from tests.audit.make_rows import make_rows, noise_films

COUNT = 120


@pytest.fixture(scope="module")
def films():
    """120 films of noise; film 2 n + 1 shows the structure of film 2 n, brighter and noisier, for n < 10."""
    films = noise_films(COUNT, seed=1, side=64)
    films = np.stack([np.repeat(np.repeat(film[:16, :16], 4, axis=0), 4, axis=1) for film in films])
    noise = np.random.default_rng(2).integers(0, 12, (COUNT, 64, 64), dtype=np.uint8)
    for first in range(0, 20, 2):
        films[first + 1] = films[first] + 10
    return films + noise


BOXES = np.tile(np.asarray([8, 8, 56, 56]), (COUNT, 1))
LABELS = ["Normal"] * COUNT
TRUE = {(f"film_{first:04d}.png", f"film_{first + 1:04d}.png") for first in range(0, 20, 2)}


def names(record):
    return {(pair.first.rsplit("/", 1)[1], pair.second.rsplit("/", 1)[1]) for pair in record.pairs}


def test_films_of_one_patient_are_recovered(films):
    rows = make_rows(LABELS, patients=[None] * COUNT)
    rows["split"] = ["train", "test"] * (COUNT // 2)
    record, (finding,) = audit_same_patient(rows, films, BOXES)
    assert names(record) >= TRUE
    assert len(record.pairs) <= len(TRUE) + 2
    assert all(pair.is_across_splits for pair in record.pairs[: len(TRUE)])
    assert finding.severity is Severity.NOTE
    assert finding.figures["across_splits"] >= len(TRUE)
    assert record.known_recall is None


def test_known_patients_measure_it_and_are_no_candidates(films):
    patients = [f"p{max(0, row // 2) if row < 20 else row}" for row in range(COUNT)]
    record, findings = audit_same_patient(make_rows(LABELS, patients=patients), films, BOXES)
    assert (record.pairs, findings) == ((), [])
    assert record.known_right == len(TRUE)
    assert record.known_pairs <= len(TRUE) + 2
    assert record.known_recall == 1.0


def test_sources_are_not_mixed(films):
    source = ["a", "b"] * (COUNT // 2)
    rows = make_rows(LABELS, source=source, patients=[None] * COUNT)
    record, _ = audit_same_patient(rows, films, BOXES)  # 60 films each: too few
    assert record.pairs == ()


def test_a_small_set_says_nothing(films):
    record, findings = audit_same_patient(
        make_rows(LABELS[:50], patients=[None] * 50), films[:50], BOXES[:50]
    )
    assert (record.pairs, record.known_recall, findings) == ((), None, [])


def test_unrelated_phantoms_are_seldom_paired():
    drawn = [draw_film(index, seed=9, side_px=96) for index in range(COUNT)]
    rows = make_rows(
        [film.row["label"] for film in drawn], patients=[film.row["patient_id"] for film in drawn]
    )
    boxes = np.tile(np.asarray([10, 10, 80, 86]), (COUNT, 1))
    record, _ = audit_same_patient(rows, np.stack([film.pixels for film in drawn]), boxes)
    assert record.known_pairs - record.known_right <= 3
