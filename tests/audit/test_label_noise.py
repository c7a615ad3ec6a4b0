import numpy as np
import pytest

from hilum.audit.label_noise import audit_labels, label_margins, suggest_labels
from hilum.audit.record import Severity
from hilum.data.phantom.film import draw_film
from hilum.domain.findings import CLASS_NAMES
from tests.audit.make_rows import make_rows, noise_films

COUNT = 300


def flip(labels, share, seed):
    """Give a share of the labels the next class; return them and which were flipped."""
    chosen = np.random.default_rng(seed).choice(len(labels), round(share * len(labels)), replace=False)
    noisy = list(labels)
    for index in chosen:
        noisy[index] = CLASS_NAMES[(CLASS_NAMES.index(labels[index]) + 1) % 3]
    return noisy, set(chosen.tolist())


def numbers(rows, record):
    paths = rows["path"].tolist()
    return [paths.index(candidate.path) for candidate in record.candidates]


def test_the_confident_joint_worked_by_hand():
    probabilities = np.asarray([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9], [0.85, 0.15]])
    given = np.asarray([0, 0, 0, 1, 1, 1])
    # thresholds: class 0 (0.9 + 0.7 + 0.2) / 3 = 0.6, class 1 (0.6 + 0.9 + 0.15) / 3 = 0.55
    assert suggest_labels(probabilities, given).tolist() == [0, 0, 1, 1, 1, 0]
    assert label_margins(probabilities, given) == pytest.approx([0.8, 0.4, -0.6, 0.2, 0.8, -0.7])


def test_a_film_that_is_sure_of_nothing_keeps_its_label():
    probabilities = np.asarray([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.05, 0.95]])
    assert suggest_labels(probabilities, np.asarray([0, 0, 1, 1])).tolist() == [0, 0, 1, 1]


def test_flipped_labels_are_found_with_telling_embeddings():
    truth = [CLASS_NAMES[index % 3] for index in range(COUNT)]
    centres = np.eye(3)[np.arange(COUNT) % 3] * 4
    embeddings = centres + np.random.default_rng(0).normal(size=(COUNT, 3))
    noisy, flipped = flip(truth, 0.1, seed=1)
    rows = make_rows(noisy)
    record, (finding,) = audit_labels(rows, noise_films(1), embeddings=embeddings)
    found = numbers(rows, record)
    assert len(flipped & set(found)) / len(flipped) >= 0.75  # recall
    assert len(flipped & set(found)) / len(found) >= 0.8  # precision
    assert set(found[:20]) <= flipped  # the first ones first
    assert finding.severity is Severity.NOTE
    assert finding.films == tuple(rows["path"].iloc[found[:24]])
    first = record.candidates[0]
    assert first.suggested == truth[found[0]]
    assert first.label == noisy[found[0]]


def test_flipped_phantom_labels_are_found_far_above_chance():
    films = [draw_film(index, seed=4, side_px=96) for index in range(240)]
    noisy, flipped = flip([film.row["label"] for film in films], 0.1, seed=2)
    rows = make_rows(noisy, patients=[film.row["patient_id"] for film in films])
    record, _ = audit_labels(rows, np.stack([film.pixels for film in films]))
    found = numbers(rows, record)
    assert len(flipped & set(found)) / len(flipped) >= 0.4
    assert len(flipped & set(found)) / len(found) >= 2 * 0.1  # twice the share of flipped ones
    assert record.sources[0].probe_auroc > 0.75


def test_a_probe_that_tells_nothing_makes_no_finding():
    labels = ["Normal", "Tuberculosis"] * 60
    embeddings = np.random.default_rng(5).normal(size=(120, 4))
    record, findings = audit_labels(make_rows(labels), noise_films(1), embeddings=embeddings)
    assert record.sources[0].probe_auroc < 0.7
    assert findings == []


def test_a_source_is_not_held_against_another():
    labels = ["Normal", "Tuberculosis"] * 40 + ["Pneumonia"] * 40
    rows = make_rows(labels, source=["a"] * 80 + ["b"] * 40)
    embeddings = np.random.default_rng(6).normal(size=(120, 2))
    embeddings[1:80:2, 0] += 6
    record, _ = audit_labels(rows, noise_films(1), embeddings=embeddings)
    assert record.skipped == ("b",)
    assert {candidate.suggested for candidate in record.candidates} <= {"Normal", "Tuberculosis"}
